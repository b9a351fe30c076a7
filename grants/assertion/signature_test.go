package assertion_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
)

// unverified judges a token whose key is found and whose signature is not that
// key's. Keys are asked for exactly once, under the policy's reference.
func unverified(t *testing.T, raw string) {
	t.Helper()
	source := finding(rightKey())
	claims, refusal := judge(raw, soundPolicy(), source)
	wantReason(t, claims, refusal, grants.SignatureInvalid, `expected a signature by a key of https://acme.example/jwks.json; found kid "k1", alg RS256`)
	if want := []assertion.KeyQuery{{Ref: soundPolicy().Keys, KeyID: "k1"}}; !slices.Equal(source.asked, want) {
		t.Errorf("keys were asked %+v, want %+v", source.asked, want)
	}
}

// JWT-04, JWT-31: RFC 7515 §5.2. Wycheproof's 213 are in e2e/vectors, alterations
// of the padding in grants/jws.
func TestSignaturesThatAreAltered(t *testing.T) {
	sound, another := sign(soundHeader, soundClaims), sign(soundHeader, soundClaims.with("sub", `"auth0|2"`))
	accepted(t, sound)
	accepted(t, another)
	parts, others := strings.Split(sound, "."), strings.Split(another, ".")
	signature := must(base64.RawURLEncoding.DecodeString(parts[2]))
	plus := func(d *big.Int) []byte { return new(big.Int).Add(new(big.Int).SetBytes(signature), d).Bytes() }
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	for name, altered := range map[string][]byte{
		"none": nil, "one byte": {0}, "truncated": signature[:255], "without its first byte": signature[1:], "extended": append(slices.Clone(signature), 0),
		"a leading zero": append([]byte{0}, signature...), "all zero": make([]byte, 256), "one": append(make([]byte, 255), 1), "twice": slices.Repeat(signature, 2),
		"the modulus added": plus(rsaKey().N), "one added": plus(big.NewInt(1)), "the modulus": rsaKey().N.Bytes(), "the digest": digest[:],
		"PSS": must(rsa.SignPSS(rand.Reader, rsaKey(), crypto.SHA256, digest[:], nil)), "by another key": must(rsa.SignPKCS1v15(rand.Reader, otherKey(), crypto.SHA256, digest[:])),
		"of the digest without its algorithm": must(rsa.SignPKCS1v15(rand.Reader, rsaKey(), 0, digest[:])),
	} {
		t.Run(name, func(t *testing.T) { unverified(t, parts[0]+"."+parts[1]+"."+b64(altered)) })
	}
	for bit := range 8 * 256 {
		flipped := slices.Clone(signature)
		flipped[bit/8] ^= 1 << (bit % 8)
		if _, refusal := judge(parts[0]+"."+parts[1]+"."+b64(flipped), soundPolicy(), finding(rightKey())); refusal == nil || refusal.Reason != grants.SignatureInvalid {
			t.Fatalf("bit %d: %v", bit, refusal)
		}
	}
	t.Run("of another token (transplant)", func(t *testing.T) { unverified(t, parts[0]+"."+parts[1]+"."+others[2]) })
	t.Run("under the payload of another token", func(t *testing.T) { unverified(t, parts[0]+"."+others[1]+"."+parts[2]) })
	t.Run("under a header with one space more", func(t *testing.T) {
		unverified(t, b64([]byte(soundHeader.String()+" "))+"."+parts[1]+"."+parts[2])
	})
	t.Run("under a payload with one space more", func(t *testing.T) {
		unverified(t, parts[0]+"."+b64([]byte(soundClaims.String()+" "))+"."+parts[2])
	})
}

// certificate is self-signed or, for the key of another, signed by the signer.
func certificate(key *rsa.PublicKey, signer *rsa.PrivateKey) string {
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	return `"` + base64.StdEncoding.EncodeToString(must(x509.CreateCertificate(rand.Reader, template, template, key, signer))) + `"`
}

// JWT-06, JWT-08: RFC 7515 §4.1.3 and §4.1.6, CVE-2018-0114, CVE-2025-24976. The
// token is signed by the key it brings along, and names the kid of a real one.
// Nobody reads what it brings, so garbage there makes no good token bad.
func TestAKeyWithinTheTokenIsNotUsed(t *testing.T) {
	attacker := otherKey()
	jwk := string(must(json.Marshal(jose.JSONWebKey{Key: &attacker.PublicKey, KeyID: "k1"})))
	own, forReal := certificate(&attacker.PublicKey, attacker), certificate(&rsaKey().PublicKey, attacker)
	for _, test := range []struct{ name, value string }{
		{"jwk", jwk}, {"jwk", `{"kty":"oct","k":"AAAA"}`}, {"jwk", "null"},
		{"x5c", "[" + own + "]"}, {"x5c", "[" + forReal + "]"}, {"x5c", "[" + forReal + "," + own + "]"}, {"x5c", "[" + own + "," + forReal + "]"},
		{"x5c", `["AAAA"]`}, {"x5c", `["not base64!"]`}, {"x5c", "[]"}, {"x5c", `"x"`}, {"x5c", "null"},
		{"x5t", `"AAAA"`}, {"x5t#S256", `"AAAA"`}, {"keys", "[" + jwk + "]"},
	} {
		t.Run(fmt.Sprintf("%s %.20s", test.name, test.value), func(t *testing.T) {
			header := soundHeader.with(test.name, test.value)
			unverified(t, signText(attacker, header.String(), soundClaims.String()))
			accepted(t, sign(header, soundClaims))
		})
	}
}

// JWT-07: RFC 8725 §3.10, CVE-2025-52477. The decoy's first caller is the test
// itself: nobody followed the link.
func TestALinkWithinTheTokenIsNotFollowed(t *testing.T) {
	for _, name := range []string{"jku", "x5u"} {
		t.Run(name, func(t *testing.T) {
			decoy := must(net.Listen("tcp", "127.0.0.1:0"))
			defer decoy.Close()
			unverified(t, signText(otherKey(), soundHeader.with(name, `"http://`+decoy.Addr().String()+`/keys"`).String(), soundClaims.String()))
			ours := must(net.Dial("tcp", decoy.Addr().String()))
			defer ours.Close()
			first := must(decoy.Accept())
			defer first.Close()
			if first.RemoteAddr().String() != ours.LocalAddr().String() {
				t.Error("somebody called the decoy")
			}
		})
	}
}

// JWT-32: RFC 7515 App. A.2, whose signature grants/jws verifies. Its claims are
// judged first: it is of another issuer, names no audience, and ends in 2011.
func TestRFC7515AppendixA2IsNotForUs(t *testing.T) {
	const claims = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"
	refused(t, signText(rsaKey(), `{"alg":"RS256"}`, claims), grants.IssuerUnknown, "joe")
	refused(t, sign(soundHeader, soundClaims.with("exp", "1300819380", "iat", "1300819000")), grants.TokenExpired, "exp 2011-03-22T18:43:00Z")
	accepted(t, sign(soundHeader, soundClaims.with("http://example.com/is_root", "true")))
}

// What a refusal is for the log holds no part of the token (JWT-09).
func TestRefusalsForTheLogHoldNothingOfTheToken(t *testing.T) {
	for name, raw := range map[string]string{
		"issuer": sign(soundHeader, soundClaims.with("iss", `"https://SECRET"`)),
		"typ":    sign(soundHeader.with("typ", `"SECRET"`), soundClaims),
		"alg":    sign(soundHeader.with("alg", `"SECRET"`), soundClaims),
		"aud":    sign(soundHeader, soundClaims.with("aud", `"SECRET"`)),
		"twin":   sign(soundHeader, soundClaims.with("ｓｕｂ SECRET", `"SECRET"`, "ｓｕｂ", `"SECRET"`)),
		"kid":    signText(otherKey(), soundHeader.with("kid", `"SECRET"`).String(), soundClaims.String()),
		"base64": base64.StdEncoding.EncodeToString([]byte("SECRET=>?")) + ".SECRET.SECRET",
	} {
		t.Run(name, func(t *testing.T) {
			_, refusal := judge(raw, soundPolicy(), finding(rightKey()))
			if refusal == nil || strings.Contains(refusal.Error(), "SECRET") {
				t.Errorf("got %v", refusal)
			}
		})
	}
}
