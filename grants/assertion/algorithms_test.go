package assertion_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
)

// JWT-01: RFC 8725 §3.1, the class of CVE-2015-9235. Ten headers with four
// signatures each, the last of which is good for this very text.
func TestNoAlgorithm(t *testing.T) {
	sound := strings.Split(sign(soundHeader, soundClaims), ".")
	combinations := 0
	for _, alg := range []struct{ value, found string }{
		{`"none"`, "none"}, {`"None"`, "None"}, {`"NONE"`, "NONE"}, {`"nOnE"`, "nOnE"}, {`""`, ""}, {`" none"`, " none"},
		{"", ""}, {"null", ""}, {`["RS256"]`, ""}, {"0", ""},
	} {
		header := soundHeader.with("alg", alg.value)
		for name, signature := range map[string]string{
			"no": "", "a random": b64([]byte("x")), "a stolen": sound[2], "a good": strings.Split(sign(header, soundClaims), ".")[2],
		} {
			combinations++
			t.Run("alg "+alg.value+" with "+name+" signature", func(t *testing.T) {
				refused(t, b64([]byte(header.String()))+"."+sound[1]+"."+signature, grants.AlgNotAllowed, `expected RS256; found alg "`+alg.found+`"`)
			})
		}
	}
	if combinations != 40 {
		t.Errorf("%d combinations", combinations)
	}
}

// JWT-01: a name is the policy's byte by byte, or another.
func TestAlgorithmsInAnotherSpelling(t *testing.T) {
	for value, found := range map[string]string{
		`"rs256"`: "rs256", `"RS256 "`: "RS256 ", `"RS256\u0000"`: `RS256\x00`, `"RS256,RS512"`: "RS256,RS512", `"ＲS256"`: `\uff32S256`,
	} {
		t.Run(value, func(t *testing.T) {
			refused(t, sign(soundHeader.with("alg", value), soundClaims), grants.AlgNotAllowed, `expected RS256; found alg "`+found+`"`)
		})
	}
	t.Run("an escaped character is that character", func(t *testing.T) { accepted(t, sign(soundHeader.with("alg", `"\u0052S256"`), soundClaims)) })
}

// secrets are what a public key may look like to whoever takes it for one.
func secrets() map[string][]byte {
	public := &rsaKey().PublicKey
	der := must(x509.MarshalPKIXPublicKey(public))
	spki := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	jwk := string(must(json.Marshal(jose.JSONWebKey{Key: public, KeyID: "k1"})))
	return map[string][]byte{
		"PEM": []byte(spki), "PEM with CRLF": []byte(strings.ReplaceAll(spki, "\n", "\r\n")), "PEM without its last line feed": []byte(strings.TrimSuffix(spki, "\n")),
		"PKCS #1 PEM": pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(public)}),
		"DER":         der, "JWK": []byte(jwk), "JWKS": []byte(`{"keys":[` + jwk + `]}`),
		"the modulus": public.N.Bytes(), "the modulus in base64": []byte(b64(public.N.Bytes())), "nothing": nil,
	}
}

// JWT-02: RFC 8725 §2.1, CVE-2026-33322: the public key is no secret.
func TestThePublicKeyAsASecret(t *testing.T) {
	combinations := 0
	for alg, newHash := range map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New} {
		for name, secret := range secrets() {
			combinations++
			t.Run(alg+" with "+name, func(t *testing.T) {
				signed := b64([]byte(soundHeader.with("alg", `"`+alg+`"`).String())) + "." + b64([]byte(soundClaims.String()))
				mac := hmac.New(newHash, secret)
				mac.Write([]byte(signed))
				refused(t, signed+"."+b64(mac.Sum(nil)), grants.AlgNotAllowed, `expected RS256; found alg "`+alg+`"`)
			})
		}
	}
	if combinations != 30 {
		t.Errorf("%d combinations", combinations)
	}
}

// JWT-03: RFC 8725 §3.1: a good signature by a key of the set, under an
// algorithm that the policy does not name.
func TestAlgorithmsThatThePolicyDoesNotName(t *testing.T) {
	for algorithm, keys := range signers() {
		if algorithm == jose.RS256 {
			continue
		}
		t.Run(string(algorithm), func(t *testing.T) {
			raw, key := signAs(algorithm, keys[0], soundClaims), assertion.Key{ID: "k1", Public: keys[1]}
			source := finding(key)
			claims, refusal := judge(raw, soundPolicy(), source)
			wantReason(t, claims, refusal, grants.AlgNotAllowed, fmt.Sprintf("expected RS256; found alg %q", algorithm))
			if source.asked != nil {
				t.Error("keys were asked for")
			}
			policy := soundPolicy()
			policy.Algorithms = []string{"RS256", string(algorithm)}
			if _, refusal := judge(raw, policy, source); refusal != nil {
				t.Errorf("under a policy that names it: %v", refusal)
			}
		})
	}
}

// JWT-03: algorithms that nobody here knows stay unknown even when a policy
// names them. What signed is the right key, with RS256.
func TestAlgorithmsThatNobodyKnows(t *testing.T) {
	for _, alg := range []string{
		"ES256K", "Ed448", "ESP256", "ESB256", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "SLH-DSA-SHA2-128s", "FN-DSA-512", "HS1", "RS1", "RS224",
		"RSA1_5", "RSA-OAEP", "A128KW", "dir", "ECDH-ES", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "RSASSA-PKCS1-v1_5", "sha256WithRSAEncryption",
	} {
		t.Run(alg, func(t *testing.T) {
			raw := sign(soundHeader.with("alg", fmt.Sprintf("%q", alg)), soundClaims)
			refused(t, raw, grants.AlgNotAllowed, fmt.Sprintf("expected RS256; found alg %q", alg))
			policy := soundPolicy()
			policy.Algorithms = []string{"RS256", alg}
			claims, refusal := judge(raw, policy, finding(rightKey()))
			wantReason(t, claims, refusal, grants.KeyUnusable, "no key fits "+alg)
		})
	}
}

// RFC 9864 §2.2: EdDSA and Ed25519 are two names of one algorithm; a policy
// still names what it takes.
func TestEd25519ByBothNames(t *testing.T) {
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	for _, alg := range []string{"EdDSA", "Ed25519"} {
		signed := b64([]byte(soundHeader.with("alg", fmt.Sprintf("%q", alg)).String())) + "." + b64([]byte(soundClaims.String()))
		raw := signed + "." + b64(ed25519.Sign(private, []byte(signed)))
		for _, allowed := range []string{"EdDSA", "Ed25519"} {
			t.Run(alg+" where "+allowed+" is allowed", func(t *testing.T) {
				policy := soundPolicy()
				policy.Algorithms = []string{allowed}
				claims, refusal := judge(raw, policy, finding(assertion.Key{ID: "k1", Public: public, Algorithm: "EdDSA"}))
				if alg != allowed {
					wantReason(t, claims, refusal, grants.AlgNotAllowed, "expected "+allowed)
				} else if refusal != nil {
					t.Error(refusal)
				}
			})
		}
	}
}

// JWT-05: CVE-2022-21449. An EC key is in the set: where ES256 is not allowed
// nobody does arithmetic, and where it is the arithmetic says no.
func TestPsychicSignatures(t *testing.T) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	policy, source := soundPolicy(), finding(assertion.Key{ID: "k1", Public: &key.PublicKey})
	policy.Algorithms = []string{"ES256"}
	sound := signAs(jose.ES256, key, soundClaims)
	if _, refusal := judge(sound, policy, source); refusal != nil {
		t.Fatal(refusal)
	}
	signed, n, p := sound[:strings.LastIndexByte(sound, '.')], elliptic.P256().Params().N, elliptic.P256().Params().P
	values := map[string]*big.Int{
		"0": new(big.Int), "1": big.NewInt(1), "n - 1": new(big.Int).Sub(n, big.NewInt(1)), "n": n, "n + 1": new(big.Int).Add(n, big.NewInt(1)), "p": p,
	}
	for r, rValue := range values {
		for s, sValue := range values {
			t.Run("r = "+r+", s = "+s, func(t *testing.T) {
				raw := signed + "." + b64(append(rValue.FillBytes(make([]byte, 32)), sValue.FillBytes(make([]byte, 32))...))
				refused(t, raw, grants.AlgNotAllowed, `expected RS256; found alg "ES256"`)
				claims, refusal := judge(raw, policy, source)
				wantReason(t, claims, refusal, grants.SignatureInvalid, `kid "k1", alg ES256`)
			})
		}
	}
}
