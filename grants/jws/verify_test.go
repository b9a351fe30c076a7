package jws_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"hash"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/grants/jws"
)

func wantSignatureError(t *testing.T, token *jws.Token, algorithm string, key any) {
	t.Helper()
	if err := token.Verify(algorithm, key); !errors.Is(err, jws.ErrSignature) {
		t.Errorf("Verify(%q, %T) = %v, want ErrSignature", algorithm, key, err)
	}
}

func number(text string) *big.Int {
	return new(big.Int).SetBytes(must(base64.RawURLEncoding.DecodeString(text)))
}

// The payload of RFC 7515 App. A.1 to A.3.
const rfcPayload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

// JWT-32: RFC 7515 App. A.2, RS256.
func TestRFC7515AppendixA2(t *testing.T) {
	key := &rsa.PublicKey{E: 65537, N: number("ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_" +
		"YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxv" +
		"b3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ")}
	const signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4" +
		"BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv" +
		"hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
	token := parse(t, "eyJhbGciOiJSUzI1NiJ9."+rfcPayload+"."+signature)
	if err := token.Verify("RS256", key); err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Issuer    string `json:"iss"`
		ExpiresAt int64  `json:"exp"`
	}
	if err := json.Unmarshal(token.Payload, &claims); err != nil || claims.Issuer != "joe" || claims.ExpiresAt != 1300819380 {
		t.Errorf("got %s, %v", token.Payload, err)
	}
	wantSignatureError(t, token, "RS384", key)
	wantSignatureError(t, token, "PS256", key)
}

// RFC 7515 App. A.3: ES256; and A.1, A.5, which no asymmetric key verifies.
func TestOtherVectorsOfRFC7515(t *testing.T) {
	point := slices.Concat([]byte{4}, number("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU").Bytes(), number("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0").Bytes())
	key := must(ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point))
	es256 := parse(t, "eyJhbGciOiJFUzI1NiJ9."+rfcPayload+".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
	if err := es256.Verify("ES256", key); err != nil {
		t.Error(err)
	}
	hs256 := parse(t, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."+rfcPayload+".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
	none := parse(t, "eyJhbGciOiJub25lIn0."+rfcPayload+".")
	for _, public := range []any{key, &rsaKey().PublicKey} {
		for _, algorithm := range []string{"RS256", "ES256", "HS256", "none", ""} {
			wantSignatureError(t, hs256, algorithm, public)
			wantSignatureError(t, none, algorithm, public)
		}
	}
}

// signers gives a private and a public key for every algorithm that a key URL
// may allow.
func signers() map[jose.SignatureAlgorithm][2]any {
	all := map[jose.SignatureAlgorithm][2]any{}
	for _, name := range []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512} {
		all[name] = [2]any{rsaKey(), &rsaKey().PublicKey}
	}
	for name, curve := range map[jose.SignatureAlgorithm]elliptic.Curve{jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521()} {
		key := must(ecdsa.GenerateKey(curve, rand.Reader))
		all[name] = [2]any{key, &key.PublicKey}
	}
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	all[jose.EdDSA] = [2]any{private, public}
	return all
}

// JWT-03 and RFC 8725 §3.1: a signature counts under the algorithm of the
// policy and under no other.
func TestEachAlgorithmVerifiesAsItselfOnly(t *testing.T) {
	all := signers()
	for name, keys := range all {
		t.Run(string(name), func(t *testing.T) {
			signer := must(jose.NewSigner(jose.SigningKey{Algorithm: name, Key: keys[0]}, nil))
			token := parse(t, must(must(signer.Sign([]byte(`{"sub":"a"}`))).CompactSerialize()))
			if err := token.Verify(string(name), keys[1]); err != nil {
				t.Fatal(err)
			}
			for other, otherKeys := range all {
				if other != name {
					wantSignatureError(t, token, string(other), keys[1])
					wantSignatureError(t, token, string(other), otherKeys[1])
				}
			}
			for _, algorithm := range []string{"none", "", strings.ToLower(string(name)), string(name) + " ", "HS256"} {
				wantSignatureError(t, token, algorithm, keys[1])
			}
		})
	}
}

// The header says one algorithm, the signature was made with another.
func TestAlgorithmsCannotBeSwapped(t *testing.T) {
	parts := strings.Split(signRS256(`{"alg":"RS256"}`, `{}`), ".")
	for name, header := range map[string]string{
		"the header is not what was signed": `{"alg":"RS256","kid":"k"}`,
		"the header has more spaces":        `{"alg": "RS256"}`,
	} {
		t.Run(name, func(t *testing.T) {
			wantSignatureError(t, parse(t, b64(header)+"."+parts[1]+"."+parts[2]), "RS256", &rsaKey().PublicKey)
		})
	}
	for _, alg := range []string{"PS256", "RS384", "RS512", "ES256", "EdDSA", "HS256", "none", "rs256"} {
		t.Run("a PKCS #1 signature with SHA-256 said to be "+alg, func(t *testing.T) {
			token := parse(t, signRS256(`{"alg":"`+alg+`"}`, `{}`))
			wantSignatureError(t, token, alg, &rsaKey().PublicKey)
			wantSignatureError(t, token, "RS256", &rsaKey().PublicKey)
		})
	}
}

// JWT-02: the public key is no secret (RFC 8725 §2.1, CVE-2026-33322).
func TestPublicKeysAreNoSecrets(t *testing.T) {
	public := &rsaKey().PublicKey
	der := must(x509.MarshalPKIXPublicKey(public))
	spki := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	jwk := must(json.Marshal(jose.JSONWebKey{Key: public, KeyID: "k"}))
	for name, secret := range map[string][]byte{
		"PEM":                     []byte(spki),
		"PEM with CRLF":           []byte(strings.ReplaceAll(spki, "\n", "\r\n")),
		"PEM without a last line": []byte(strings.TrimSuffix(spki, "\n")),
		"PKCS #1 PEM":             pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(public)}),
		"DER":                     der,
		"JWK":                     jwk,
		"JWKS":                    []byte(`{"keys":[` + string(jwk) + `]}`),
		"the modulus":             public.N.Bytes(),
		"the modulus in base64":   []byte(base64.RawURLEncoding.EncodeToString(public.N.Bytes())),
		"nothing":                 nil,
	} {
		for alg, newHash := range map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New, "RS256": sha256.New} {
			t.Run(name+", said to be "+alg, func(t *testing.T) {
				signed := b64(`{"alg":"`+alg+`"}`) + "." + b64(`{}`)
				mac := hmac.New(newHash, secret)
				mac.Write([]byte(signed))
				token := parse(t, signed+"."+b64(string(mac.Sum(nil))))
				wantSignatureError(t, token, "RS256", public)
				wantSignatureError(t, token, alg, public)
				wantSignatureError(t, token, alg, secret)
			})
		}
	}
}

// JWT-01: alg none in any spelling, with no, a random and a stolen signature.
func TestNoneNeverVerifies(t *testing.T) {
	stolen := strings.Split(signRS256(`{"alg":"RS256"}`, `{}`), ".")[2]
	for _, alg := range []string{`"none"`, `"None"`, `"NONE"`, `"nOnE"`, `""`, `" none"`, `null`} {
		for name, signature := range map[string]string{"no": "", "a random": b64("signature"), "a stolen": stolen} {
			t.Run(alg+" with "+name+" signature", func(t *testing.T) {
				token := parse(t, b64(`{"alg":`+alg+`}`)+"."+b64(`{}`)+"."+signature)
				for _, algorithm := range []string{token.Algorithm, "none", "RS256", ""} {
					for _, key := range []any{&rsaKey().PublicKey, &ecKey().PublicKey, nil} {
						wantSignatureError(t, token, algorithm, key)
					}
				}
			})
		}
	}
}

// JWT-04, JWT-31.
func TestAlteredSignatures(t *testing.T) {
	parts := strings.Split(signRS256(`{"alg":"RS256"}`, `{"sub":"a"}`), ".")
	signature := must(base64.RawURLEncoding.DecodeString(parts[2]))
	flipped := append([]byte(nil), signature...)
	flipped[100] ^= 1
	for name, altered := range map[string][]byte{
		"none":                     nil,
		"truncated":                signature[:255],
		"extended":                 append(append([]byte(nil), signature...), 0),
		"a leading zero":           append([]byte{0}, signature...),
		"a bit flipped":            flipped,
		"all zero":                 make([]byte, 256),
		"one":                      append(make([]byte, 255), 1),
		"the modulus added":        new(big.Int).Add(new(big.Int).SetBytes(signature), rsaKey().N).Bytes(),
		"twice":                    append(append([]byte(nil), signature...), signature...),
		"of another token":         must(base64.RawURLEncoding.DecodeString(strings.Split(signRS256(`{"alg":"RS256"}`, `{"sub":"b"}`), ".")[2])),
		"with another hash inside": must(rsa.SignPKCS1v15(rand.Reader, rsaKey(), crypto.SHA512, make([]byte, 64))),
	} {
		t.Run(name, func(t *testing.T) {
			wantSignatureError(t, parse(t, parts[0]+"."+parts[1]+"."+b64(string(altered))), "RS256", &rsaKey().PublicKey)
		})
	}
	t.Run("another key", func(t *testing.T) {
		other := must(rsa.GenerateKey(rand.Reader, 2048))
		wantSignatureError(t, parse(t, strings.Join(parts, ".")), "RS256", &other.PublicKey)
	})
	t.Run("the payload of another token (transplant)", func(t *testing.T) {
		wantSignatureError(t, parse(t, parts[0]+"."+b64(`{"sub":"b"}`)+"."+parts[2]), "RS256", &rsaKey().PublicKey)
	})
}

// JWT-05: CVE-2022-21449, "psychic signatures".
func TestPsychicSignatures(t *testing.T) {
	n := elliptic.P256().Params().N
	half := func(x *big.Int) string { return string(x.FillBytes(make([]byte, 32))) }
	zero, one := new(big.Int), big.NewInt(1)
	for name, signature := range map[string]string{
		"r = 0, s = 0": half(zero) + half(zero), "r = n, s = n": half(n) + half(n), "r = 0, s = 1": half(zero) + half(one),
		"r = 1, s = 0": half(one) + half(zero), "r = 1, s = 1": half(one) + half(one), "nothing": "", "short": half(one),
		"DER": "\x30\x06\x02\x01\x01\x02\x01\x01",
	} {
		t.Run(name, func(t *testing.T) {
			token := parse(t, b64(`{"alg":"ES256"}`)+"."+b64(`{}`)+"."+b64(signature))
			wantSignatureError(t, token, "ES256", &ecKey().PublicKey)
		})
	}
}

// JWT-06, JWT-07: keys and links to keys that a token brings along are read by
// nobody (CVE-2018-0114, CVE-2025-52477).
func TestKeysWithinTheTokenAreNotUsed(t *testing.T) {
	jwk := string(must(json.Marshal(jose.JSONWebKey{Key: &rsaKey().PublicKey})))
	owner := must(rsa.GenerateKey(rand.Reader, 2048))
	for _, member := range []string{`"jwk":` + jwk, `"jku":"http://127.0.0.1:1/keys"`, `"x5u":"http://127.0.0.1:1/cert"`, `"x5t":"AAAA"`, `"iss":"joe"`} {
		name, _, _ := strings.Cut(member, ":")
		t.Run(name, func(t *testing.T) {
			token := parse(t, signRS256(`{"alg":"RS256","kid":"k",`+member+`}`, `{}`))
			wantSignatureError(t, token, "RS256", &owner.PublicKey)
			if err := token.Verify("RS256", &rsaKey().PublicKey); err != nil {
				t.Errorf("with the right key: %v", err)
			}
		})
	}
}

func TestKeysThatAreNone(t *testing.T) {
	token := parse(t, signRS256(`{"alg":"RS256"}`, `{}`))
	for name, key := range map[string]any{
		"nil": nil, "a nil RSA key": (*rsa.PublicKey)(nil), "an RSA key by value": rsaKey().PublicKey, "text": "key",
		"an EC key": &ecKey().PublicKey, "a nil EC key": (*ecdsa.PublicKey)(nil), "an empty Ed25519 key": ed25519.PublicKey(nil), "bytes": []byte("key"),
	} {
		t.Run(name, func(t *testing.T) { wantSignatureError(t, token, "RS256", key) })
	}
}

// RFC 7518 §3.4: R and S have one length and the key one curve, or one signature
// would have several texts. P-224 is what would fit into the bytes of P-256.
func TestECDSASignaturesOfAnotherShape(t *testing.T) {
	signed := b64(`{"alg":"ES256"}`) + "." + b64(`{}`)
	digest := sha256.Sum256([]byte(signed))
	r, s := new(big.Int), new(big.Int)
	sign := func(key *ecdsa.PrivateKey) { r, s, _ = ecdsa.Sign(rand.Reader, key, digest[:]) }
	bytes := func(x *big.Int, size int) string { return string(x.FillBytes(make([]byte, size))) }
	sign(ecKey())
	if err := parse(t, signed+"."+b64(bytes(r, 32)+bytes(s, 32))).Verify("ES256", &ecKey().PublicKey); err != nil {
		t.Fatal(err)
	}
	for name, signature := range map[string]string{
		"S with a leading zero": bytes(r, 32) + bytes(s, 33), "R with a leading zero": bytes(r, 33) + bytes(s, 32), "both": bytes(r, 33) + bytes(s, 33),
		"a byte after it": bytes(r, 32) + bytes(s, 32) + "\x00", "S before R": bytes(s, 32) + bytes(r, 32),
	} {
		t.Run(name, func(t *testing.T) {
			wantSignatureError(t, parse(t, signed+"."+b64(signature)), "ES256", &ecKey().PublicKey)
		})
	}
	t.Run("DER (RFC 3279)", func(t *testing.T) {
		der := must(ecdsa.SignASN1(rand.Reader, ecKey(), digest[:]))
		wantSignatureError(t, parse(t, signed+"."+b64(string(der))), "ES256", &ecKey().PublicKey)
	})
	t.Run("by a key on P-224", func(t *testing.T) {
		small := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
		sign(small)
		wantSignatureError(t, parse(t, signed+"."+b64(bytes(r, 32)+bytes(s, 32))), "ES256", &small.PublicKey)
	})
}
