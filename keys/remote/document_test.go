package remote

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants/strictjson"
)

func TestFormatIsDecidedByContent(t *testing.T) {
	set, text := string(named("a")), spki(edKey())
	for _, c := range []struct{ rule, data, format, want string }{
		{"auto reads a JWKS", set, "auto", "jwks"},
		{"auto reads a JWKS after white space", " \r\n\t" + set, "auto", "jwks"},
		{"auto reads PEM", text, "auto", "pem"},
		{"auto reads PEM after white space", "\n  " + text, "auto", "pem"},
		{"auto reads PEM after other text", "the key of the issuer:\n" + text, "auto", "pem"},
		{"no format means auto", text, "", "pem"},
		{"pem allows leading text", "Bag Attributes\n" + text, "pem", "pem"},
		{"jwks reads a JWKS", set, "jwks", "jwks"},
		{"jwks refuses PEM", text, "jwks", "expected a jwks document, found pem"},
		{"pem refuses a JWKS", set, "pem", "expected a pem document, found jwks"},
		{"pem refuses a page that quotes a key", "<pre>\n" + text, "pem", "found HTML or XML"},
		{"auto refuses a page that quotes a key", "<pre>\n" + text, "auto", "found HTML or XML"},
		{"JSON that holds PEM is JSON", `{"key":"x` + "\n" + text + `"}`, "auto", "expected a JWK set"},
		{"nothing", "", "auto", "found nothing"},
		{"only white space", " \n ", "auto", "found nothing"},
		{"JWK-17 a byte order mark", "\xef\xbb\xbf" + set, "auto", "found a byte order mark"},
		{"JWK-17 a byte order mark before PEM", "\xef\xbb\xbf" + text, "pem", "found a byte order mark"},
		{"an array", "[" + set + "]", "auto", "found something else"},
		{"a banner", "-ERR unknown command\r\n", "auto", "found something else"},
		{"BEGIN in the middle of a line", "x " + text, "auto", "found something else"},
		{"an unknown format", set, "der", "expected the format auto, jwks or pem"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			document, err := Parse([]byte(c.data), c.format)
			switch {
			case err != nil && !strings.Contains(err.Error(), c.want):
				t.Errorf("got error %v, want %s", err, c.want)
			case err == nil && document.Format != c.want:
				t.Errorf("got %s, want %s", document.Format, c.want)
			}
		})
	}
}

func TestDocumentsThatAreRefusedWhole(t *testing.T) {
	public := ecKey(elliptic.P256()).Public()
	with := func(name string, value any) []byte {
		return jwks(jwk(public, nil), jwk(rsaKey(2048), map[string]any{name: value}))
	}
	entries := func(count int) []byte { // small, so that many fit
		return []byte(`{"keys":[` + strings.Repeat("{},", count-1) + `{}]}`)
	}
	type document struct {
		rule string
		data []byte
		want error // nil: any
	}
	cases := []document{
		{"KEY-06 JWK set without keys", []byte(`{}`), nil},
		{"KEY-06 keys null", []byte(`{"keys":null}`), nil},
		{"KEY-06 keys an object", []byte(`{"keys":{}}`), nil},
		{"KEY-06 a JSON error answer", []byte(`{"error":"unauthorized"}`), nil},
		{"JWK-15 KEYS", bytes.Replace(named("a"), []byte("keys"), []byte("KEYS"), 1), nil},
		{"a single JWK", []byte(`{"kty":"EC"}`), nil},
		{"JWK-15 a second document", append(named("a"), named("b")...), strictjson.ErrTrailing},
		{"JWK-15 a member twice", []byte(`{"keys":[{"kty":"EC","kty":"RSA"}]}`), strictjson.ErrDuplicate},
		{"JWK-15 a member twice in different case", []byte(`{"keys":[{"kty":"EC","KTY":"RSA"}]}`), strictjson.ErrDuplicate},
		{"JWK-15 10^5 levels", []byte(`{"keys":` + strings.Repeat("[", 100_000)), strictjson.ErrDepth},
		{"JWK-15 a byte order mark", append([]byte("\xef\xbb\xbf"), named("a")...), nil},
		{"cut short", named("a")[:50], strictjson.ErrSyntax},
		{"JWK-13 65 keys", entries(MaxKeys + 1), ErrTooManyKeys},
		{"JWK-13 10 000 keys", entries(10_000), ErrTooManyKeys},
		{"JWK-13 65 times the same key", jwks(slices.Repeat([]any{jwk(public, nil)}, MaxKeys+1)...), ErrTooManyKeys},
		{"10 000 members of one key", []byte(`{"keys":[{"x":[` + strings.Repeat("1,", 10_000) + `1]}]}`), ErrTooManyKeys},
		{"more than 256 KiB", append(named("a"), bytes.Repeat([]byte(" "), MaxDocumentBytes)...), ErrDocumentTooLarge},
		{"JWK-09 a private key beside the set", []byte(`{"keys":[],"jwk":{"kty":"EC","d":"AQ"}}`), ErrPrivateKey},
		{"JWK-09 a private key in a key of no use", []byte(`{"keys":[{"kty":"AKP","use":"enc","priv":"AQ"}]}`), ErrPrivateKey},
		{"JWK-09 PEM of a private key inside of JSON", []byte(`{"keys":[],"pem":"-----BEGIN RSA PRIVATE KEY-----\nAA"}`), ErrPrivateKey},
		{"JWK-09 PEM of a private key behind escapes", []byte(`{"keys":[],"pem":["\u002d----BEGIN PRIVATE KEY-----"]}`), ErrPrivateKey},
		{"JWK-13 65 PEM blocks", []byte(strings.Repeat(spki(edKey()), MaxKeys+1)), ErrTooManyKeys},
		{"JWK-21 256 KiB of BEGIN", bytes.Repeat([]byte("-----BEGIN "), MaxDocumentBytes/11), ErrTooManyKeys},
		{"JWK-21 1 MB of BEGIN", bytes.Repeat([]byte("-----BEGIN "), 100_000), ErrDocumentTooLarge},
		{"JWK-21 10^5 headers", []byte("-----BEGIN PUBLIC KEY-----\n" + strings.Repeat("a:\n", 80_000) + "\n" + spki(edKey())), nil},
		{"JWK-18 PEM without a usable block", []byte(block("CERTIFICATE REQUEST", []byte{1})), nil},
		{"JWK-21 PEM with broken DER", []byte(block("PUBLIC KEY", []byte{0x30, 0x82, 0xff})), nil},
		{"JWK-21 truncated DER", []byte(block("PUBLIC KEY", derOf(spki(public))[:40])), nil},
		{"JWK-21 trailing DER", []byte(block("PUBLIC KEY", append(derOf(spki(public)), 0))), nil},
		{"JWK-21 indefinite length", []byte(block("PUBLIC KEY", indefinite(derOf(spki(public))))), nil},
		{"JWK-21 10^4 levels of ASN.1", []byte(block("PUBLIC KEY", nested(10_000))), nil},
		{"JWK-21 10^4 levels of ASN.1 in a certificate", []byte(block("CERTIFICATE", nested(10_000))), nil},
		{"JWK-21 PEM with bad base64", []byte("-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n"), nil},
		{"JWK-20 a private PEM block that is broken", []byte(spki(edKey()) + "-----BEGIN EC PRIVATE KEY-----\n!!!"), ErrPrivateKey},
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "priv"} {
		cases = append(cases, document{"JWK-09 private member " + name, with(name, "AQAB"), ErrPrivateKey})
	}
	cases = append(cases, document{"JWK-09 private member oth", with("oth", []any{map[string]any{}}), ErrPrivateKey})
	for _, kind := range []string{"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"} {
		cases = append(cases, document{"JWK-18 JWK-20 PEM block " + kind, []byte(spki(public) + block(kind, []byte{1, 2, 3})), ErrPrivateKey})
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			document, err := Parse(c.data, "auto")
			if err == nil || document != nil {
				t.Fatal("accepted")
			}
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// indefinite rewrites a SEQUENCE in BER (X.690 §8.1.3.6).
func indefinite(der []byte) []byte {
	return slices.Concat([]byte{0x30, 0x80}, der[2:], []byte{0, 0})
}

// nested is so many SEQUENCEs in each other, each with the shortest length.
func nested(levels int) []byte {
	reversed := []byte{}
	for range levels {
		switch n := len(reversed); {
		case n < 0x80:
			reversed = append(reversed, byte(n))
		case n < 0x100:
			reversed = append(reversed, byte(n), 0x81)
		case n < 0x10000:
			reversed = append(reversed, byte(n), byte(n>>8), 0x82)
		default:
			reversed = append(reversed, byte(n), byte(n>>8), byte(n>>16), 0x83)
		}
		reversed = append(reversed, 0x30)
	}
	slices.Reverse(reversed)
	return reversed
}

func TestErrorsHoldNoBytesOfTheDocument(t *testing.T) {
	const secret = "hunter2"
	for _, data := range []string{
		secret, "{" + secret, `{"keys":"` + secret + `"}`, `{"` + secret + `":1,"` + secret + `":1}`,
		`{"keys":[{"kty":"` + secret + `","d":"` + secret + `"}]}`,
		"-----BEGIN " + secret + "-----\n" + secret + "\n-----END " + secret + "-----\n",
		block(secret, []byte(secret)), block("PUBLIC KEY", []byte(secret)), block("PRIVATE KEY", []byte(secret)),
	} {
		for _, format := range []string{"auto", "jwks", "pem"} {
			if _, err := Parse([]byte(data), format); err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("%s as %s: %v", data, format, err)
			}
		}
	}
}

func TestPEMBlocks(t *testing.T) {
	ec, ed, large := ecKey(elliptic.P384()), edKey(), rsaKey(2048)
	pkcs1 := block("RSA PUBLIC KEY", marshalPKCS1(large))
	p224 := spki(ecKey(elliptic.P224()).Public())
	valid := block("CERTIFICATE", certify(ec, timeOf(2026, 7)))
	negative := must(asn1.Marshal(struct{ N, E *big.Int }{new(big.Int).Neg(large.N), big.NewInt(publicExponent)}))
	now := timeOf(2026, 6)
	for _, c := range []struct {
		rule, data string
		keys       int
		problems   int
		warnings   string // about keys
	}{
		{"JWK-17 SPKI with RSA", spki(large), 1, 0, ""},
		{"JWK-17 SPKI with EC", spki(ec.Public()), 1, 0, ""},
		{"JWK-17 PKCS#1", pkcs1, 1, 0, ""},
		{"JWK-17 leading text", "Bag Attributes\n    friendlyName: signing\n" + spki(large), 1, 0, ""},
		{"JWK-17 CRLF", strings.ReplaceAll(spki(ed), "\n", "\r\n"), 1, 0, ""},
		{"JWK-17 trailing spaces", strings.ReplaceAll(spki(ed), "-----\n", "-----  \n"), 1, 0, ""},
		{"JWK-17 no newline at the end", strings.TrimSpace(spki(ed)), 1, 0, ""},
		{"JWK-10 the same key in two forms is one", spki(large) + pkcs1, 1, 0, ""},
		{"a certificate", valid, 1, 0, ""},
		{"a certificate of version 1", block("CERTIFICATE", versionOne(certify(ec, timeOf(2026, 7)))), 1, 0, ""},
		{"an expired certificate gives its key", block("CERTIFICATE", certify(ec, timeOf(2026, 5))), 1, 0, "certificate_expired"},

		{"JWK-18 SPKI with Ed25519, which is supported", spki(ed), 1, 0, ""},
		{"JWK-18 other blocks are skipped", block("X509 CRL", []byte{1}) + spki(ed) + block("EC PUBLIC KEY", []byte{1}), 1, 0, "unsupported_block unsupported_block"},
		{"JWK-18 a certificate request is skipped", block("CERTIFICATE REQUEST", []byte{1}) + spki(ed), 1, 0, "unsupported_block"},
		{"JWK-18 PGP is skipped", "-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: 1\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n" + spki(ed), 1, 0, "unsupported_block"},
		{"JWK-18 DSA is skipped", spki(ed) + block("PUBLIC KEY", spkiOf("\x2a\x86\x48\xce\x38\x04\x01")), 1, 0, "unsupported_key"},
		{"JWK-18 RSASSA-PSS is skipped", spki(ed) + block("PUBLIC KEY", spkiOf("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a")), 1, 0, "unsupported_key"},
		{"JWK-18 X25519 is skipped", spki(ed) + spki(must(ecdh.X25519().GenerateKey(rand.Reader)).PublicKey()), 1, 0, "unsupported_key"},
		{"JWK-18 P-224 is skipped", p224 + spki(ed), 1, 0, "unsupported_key"},
		{"JWK-18 EC without a curve is skipped", spki(ed) + block("PUBLIC KEY", spkiOf(oidEC)), 1, 0, "unsupported_key"},

		{"JWK-20 a mixture with junk between", "to whom it may concern\n" + spki(large) + valid + "junk\n" + spki(ed), 3, 0, ""},
		{"JWK-21 a broken block is skipped", block("PUBLIC KEY", []byte{0x30}) + spki(ed), 1, 0, "unreadable_key"},
		{"JWK-21 trailing DER is not read", block("PUBLIC KEY", append(derOf(spki(large)), 0)) + spki(ed), 1, 0, "unreadable_key"},
		{"JWK-21 trailing DER of a certificate is not read", block("CERTIFICATE", append(derOf(valid), 0)) + spki(ed), 1, 0, "unreadable_key"},
		{"JWK-21 a truncated certificate is skipped", block("CERTIFICATE", derOf(valid)[:100]) + spki(ed), 1, 0, "unreadable_key"},
		{"JWK-21 indefinite length is not read", block("PUBLIC KEY", indefinite(derOf(spki(ed)))) + spki(ed), 1, 0, "unreadable_key"},
		{"JWK-21 a block that is not PEM is skipped", "-----BEGIN PUBLIC KEY-----\n????\n-----END PUBLIC KEY-----\n" + spki(ed), 1, 0, "unreadable_key"},
		{"an Ed25519 point of small order is skipped", spki(ed) + spki(ed25519.PublicKey(make([]byte, 32))), 1, 0, "unreadable_key"},

		{"JWK-05 RSA of 1024 bits is kept and unusable", spki(rsaKey(1024)), 1, 1, "unusable_key"},
		{"JWK-05 RSA of 8192 bits is kept and unusable", spki(rsaKey(8192)), 1, 1, "unusable_key"},
		{"JWK-05 RSA with e = 3 is kept and unusable", spki(&rsa.PublicKey{N: large.N, E: 3}), 1, 1, "unusable_key"},
		{"JWK-07 a prime modulus is kept and unusable", spki(rsaOf(knownPrime(1919))), 1, 1, "unusable_key"},
		{"JWK-07 a negative modulus is not read", spki(ed) + block("RSA PUBLIC KEY", negative), 1, 0, "unreadable_key"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			document, err := parse([]byte(c.data), "auto", now)
			if err != nil {
				t.Fatal(err)
			}
			problems := 0
			for _, key := range document.Keys {
				if !key.Unnamed || key.ID != "" || key.Algorithm != "" {
					t.Errorf("a PEM key with a name: %+v", key)
				}
				if key.Problem != "" {
					problems++
				}
			}
			if len(document.Keys) != c.keys || problems != c.problems || keyCodes(document) != c.warnings {
				t.Errorf("got %d keys, %d problems, warnings %v", len(document.Keys), problems, document.Warnings)
			}
			wantSoundWarnings(t, document, strings.Count(c.data, "-----BEGIN "))
		})
	}
}

// spkiOf is a SubjectPublicKeyInfo with an algorithm and a key of one byte.
func spkiOf(oid string) []byte {
	id := append([]byte{6, byte(len(oid))}, oid...)
	algorithm := append([]byte{0x30, byte(len(id))}, id...)
	return slices.Concat([]byte{0x30, byte(len(algorithm) + 4)}, algorithm, []byte{3, 2, 0, 0})
}

// versionOne takes the version out of a certificate, which makes it one of
// version 1 for who reads no further than the key.
func versionOne(der []byte) []byte {
	var certificate struct{ Body, Algorithm, Signature asn1.RawValue }
	must(asn1.Unmarshal(der, &certificate))
	body := certificate.Body.Bytes[5:]
	certificate.Body = asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: body}
	return must(asn1.Marshal(certificate))
}

// JWK-20: up to 64.
func TestPEMTakesAsManyBlocksAsAllowed(t *testing.T) {
	text := ""
	for range MaxKeys {
		text += spki(edKey())
	}
	if document, err := Parse([]byte(text), "pem"); err != nil || len(document.Keys) != MaxKeys {
		t.Fatal(err)
	}
}
