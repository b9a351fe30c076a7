package remote

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"slices"
	"strings"
	"testing"
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
		{"a byte order mark", "\xef\xbb\xbf" + set, "auto", "found a byte order mark"},
		{"a byte order mark before PEM", "\xef\xbb\xbf" + text, "pem", "found a byte order mark"},
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
	many := make([]any, MaxKeys+1)
	for i := range many {
		many[i] = map[string]any{}
	}
	type document struct {
		rule string
		data []byte
		want error // nil: any
	}
	cases := []document{
		{"JWK set without keys", []byte(`{}`), nil},
		{"keys null", []byte(`{"keys":null}`), nil},
		{"keys an object", []byte(`{"keys":{}}`), nil},
		{"KEYS", bytes.Replace(named("a"), []byte("keys"), []byte("KEYS"), 1), nil},
		{"a single JWK", []byte(`{"kty":"EC"}`), nil},
		{"a JSON error answer", []byte(`{"error":"unauthorized"}`), nil},
		{"a second document", append(named("a"), named("b")...), nil},
		{"a member twice", []byte(`{"keys":[{"kty":"EC","kty":"RSA"}]}`), nil},
		{"a member twice in different case", []byte(`{"keys":[{"kty":"EC","KTY":"RSA"}]}`), nil},
		{"deep nesting", []byte(`{"keys":` + strings.Repeat("[", 100_000)), nil},
		{"cut short", named("a")[:50], nil},
		{"65 keys", jwks(many...), ErrTooManyKeys},
		{"more than 256 KiB", append(named("a"), bytes.Repeat([]byte(" "), MaxDocumentBytes)...), ErrDocumentTooLarge},
		{"a private key beside the set", []byte(`{"keys":[],"jwk":{"kty":"EC","d":"AQ"}}`), ErrPrivateKey},
		{"PEM of a private key inside of JSON", []byte(`{"keys":[],"pem":"-----BEGIN RSA PRIVATE KEY-----\nAA"}`), ErrPrivateKey},
		{"65 PEM blocks", []byte(strings.Repeat(spki(edKey()), MaxKeys+1)), ErrTooManyKeys},
		{"256 KiB of BEGIN", bytes.Repeat([]byte("-----BEGIN "), MaxDocumentBytes/11), ErrTooManyKeys},
		{"PEM without a usable block", []byte(block("CERTIFICATE REQUEST", []byte{1})), nil},
		{"PEM with broken DER", []byte(block("PUBLIC KEY", []byte{0x30, 0x82, 0xff})), nil},
		{"PEM with bad base64", []byte("-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n"), nil},
		{"a private PEM block that is broken", []byte(spki(edKey()) + "-----BEGIN EC PRIVATE KEY-----\n!!!"), ErrPrivateKey},
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "priv"} {
		cases = append(cases, document{"private member " + name, with(name, "AQAB"), ErrPrivateKey})
	}
	cases = append(cases, document{"private member oth", with("oth", []any{map[string]any{}}), ErrPrivateKey})
	for _, kind := range []string{"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"} {
		cases = append(cases, document{"PEM block " + kind, []byte(spki(public) + block(kind, []byte{1, 2, 3})), ErrPrivateKey})
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
	now := timeOf(2026, 6)
	for _, c := range []struct {
		rule, data string
		keys       int
		problems   int
		warnings   string
	}{
		{"SPKI with RSA", spki(large), 1, 0, ""},
		{"SPKI with EC", spki(ec.Public()), 1, 0, ""},
		{"SPKI with Ed25519", spki(ed), 1, 0, ""},
		{"PKCS#1", pkcs1, 1, 0, ""},
		{"the same key in two forms is one", spki(large) + pkcs1, 1, 0, ""},
		{"a certificate", block("CERTIFICATE", certify(ec, timeOf(2026, 7))), 1, 0, ""},
		{"an expired certificate gives its key", block("CERTIFICATE", certify(ec, timeOf(2026, 5))), 1, 0, "certificate_expired"},
		{"CRLF", strings.ReplaceAll(spki(ed), "\n", "\r\n"), 1, 0, ""},
		{"trailing spaces", strings.ReplaceAll(spki(ed), "-----\n", "-----  \n"), 1, 0, ""},
		{"a mixture with junk between", "to whom it may concern\n" + spki(large) + "junk\n" + block("CERTIFICATE", certify(ec, timeOf(2026, 7))) + spki(ed), 3, 0, ""},
		{"other blocks are skipped", block("X509 CRL", []byte{1}) + spki(ed) + block("EC PUBLIC KEY", []byte{1}), 1, 0, "unsupported_block unsupported_block"},
		{"P-224 is skipped", p224 + spki(ed), 1, 0, "unsupported_key"},
		{"a broken block is skipped", block("PUBLIC KEY", []byte{0x30}) + spki(ed), 1, 0, "unreadable_key"},
		{"trailing DER is not read", block("PUBLIC KEY", append(derOf(spki(large)), 0)) + spki(ed), 1, 0, "unreadable_key"},
		{"a block that is not PEM is skipped", "-----BEGIN PUBLIC KEY-----\n????\n-----END PUBLIC KEY-----\n" + spki(ed), 1, 0, "unreadable_key"},
		{"an Ed25519 point of small order is skipped", spki(ed) + spki(ed25519.PublicKey(make([]byte, 32))), 1, 0, "unreadable_key"},
		{"RSA of 1024 bits is kept and unusable", spki(rsaKey(1024)), 1, 1, "unusable_key"},
		{"RSA of 8192 bits is kept and unusable", spki(rsaKey(8192)), 1, 1, "unusable_key"},
		{"RSA with e = 3 is kept and unusable", spki(&rsa.PublicKey{N: large.N, E: 3}), 1, 1, "unusable_key"},
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
			if len(document.Keys) != c.keys || problems != c.problems || codes(document) != c.warnings {
				t.Errorf("got %d keys, %d problems, warnings %q", len(document.Keys), problems, codes(document))
			}
		})
	}
}

func TestPEMTakesAsManyBlocksAsAllowed(t *testing.T) {
	text := ""
	for range MaxKeys {
		text += spki(edKey())
	}
	if document, err := Parse([]byte(text), "pem"); err != nil || len(document.Keys) != MaxKeys {
		t.Fatal(err)
	}
}

func codes(document *Document) string {
	list := []string{}
	for _, warning := range document.Warnings {
		list = append(list, warning.Code)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// FuzzParse: whatever the bytes, no panic, and no key without a problem that
// the policy does not allow.
func FuzzParse(f *testing.F) {
	f.Add(jwks(jwk(rsaKey(2048), map[string]any{"kid": "a"}), jwk(edKey(), nil), jwk(ecKey(elliptic.P521()).Public(), nil)), "auto")
	f.Add(jwks(map[string]any{"kty": "oct", "k": "AQAB"}, jwk(rsaKey(1024), map[string]any{"use": "enc"})), "jwks")
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","x5c":[1]},null,[],{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}]}`), "auto")
	f.Add([]byte(spki(rsaKey(2048))+block("CERTIFICATE", certify(ecKey(elliptic.P256()), timeOf(2026, 6)))), "pem")
	f.Add([]byte(block("RSA PUBLIC KEY", marshalPKCS1(rsaKey(3072)))+spki(ecKey(elliptic.P224()).Public())), "auto")
	f.Fuzz(func(t *testing.T, data []byte, format string) {
		document, err := Parse(data, format)
		if err != nil {
			return
		}
		if len(document.Keys) > MaxKeys {
			t.Fatal("too many keys")
		}
		for _, key := range document.Keys {
			if key.Public == nil {
				t.Fatal("a key without a key")
			}
			if key.Problem != "" {
				continue
			}
			switch public := key.Public.(type) {
			case *rsa.PublicKey:
				if bits := public.N.BitLen(); bits < 2048 || bits > 4096 || public.E != 65537 {
					t.Fatalf("RSA key of %d bits, e = %d", bits, public.E)
				}
			case *ecdsa.PublicKey:
				if !slices.Contains([]elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()}, public.Curve) {
					t.Fatal("a curve that is not allowed")
				}
				if _, err := public.Bytes(); err != nil {
					t.Fatal("a point that is not on its curve")
				}
			case ed25519.PublicKey:
				if len(public) != ed25519.PublicKeySize {
					t.Fatal("an Ed25519 key of a wrong size")
				}
			default:
				t.Fatalf("a key of type %T", public)
			}
		}
	})
}
