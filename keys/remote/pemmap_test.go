package remote

import (
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// mapOf writes a map from kid to PEM.
func mapOf(pairs ...string) ([]byte, error) {
	object := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		object[pairs[i]] = pairs[i+1]
	}
	return json.Marshal(object)
}

func TestPEMMap(t *testing.T) {
	ec, ed, large := ecKey(elliptic.P256()), edKey(), rsaKey(2048)
	certificate := block("CERTIFICATE", certify(ec, timeOf(2026, 7)))
	sibling := spki(ed)
	now := timeOf(2026, 6)
	for _, c := range []struct {
		rule  string
		pairs []string
		ids   string
		want  string
	}{
		{"certificates, as Google publishes them", []string{"b", certificate, "a", block("CERTIFICATE", certify(ecKey(elliptic.P384()), timeOf(2026, 7)))}, "a b", ""},
		{"public keys", []string{"x", spki(large), "y", spki(ed), "z", block("RSA PUBLIC KEY", marshalPKCS1(rsaKey(3072)))}, "x y z", ""},
		{"an expired certificate gives its key", []string{"a", block("CERTIFICATE", certify(ec, timeOf(2026, 5))), "s", sibling}, "a s", "certificate_expired"},
		{"one key under two names is two", []string{"a", sibling, "b", sibling}, "a b", "single_key"},
		{"names that are names of private members", []string{"d", certificate, "p", sibling}, "d p", ""},
		{"a key of no use is kept", []string{"a", spki(rsaKey(1024)), "s", sibling}, "a s", "single_key unusable_key"},
		{"white space around a block", []string{"a", "\n " + certificate + "\n", "s", sibling}, "a s", ""},
		{"no PEM", []string{"a", "junk", "s", sibling}, "s", "single_key unreadable_key"},
		{"two blocks for one kid", []string{"a", certificate + sibling, "s", sibling}, "s", "single_key unreadable_key"},
		{"bad base64", []string{"a", "-----BEGIN PUBLIC KEY-----\n??\n-----END PUBLIC KEY-----", "s", sibling}, "s", "single_key unreadable_key"},
		{"broken DER", []string{"a", block("CERTIFICATE", []byte{0x30, 0x80}), "s", sibling}, "s", "single_key unreadable_key"},
		{"P-224", []string{"a", spki(ecKey(elliptic.P224()).Public()), "s", sibling}, "s", "single_key unsupported_key"},
		{"a certificate request", []string{"a", block("CERTIFICATE REQUEST", []byte{1}), "s", sibling}, "s", "single_key unsupported_block"},
		{"a kid that is empty", []string{"", certificate, "s", sibling}, "s", "bad_key_id single_key"},
		{"a kid of 257 bytes", []string{strings.Repeat("k", 257), certificate, "s", sibling}, "s", "bad_key_id single_key"},
		{"a kid beyond ASCII", []string{"é", certificate, "s", sibling}, "s", "bad_key_id single_key"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			for _, format := range []string{"auto", "pem"} {
				document, err := parse(must(mapOf(c.pairs...)), format, now)
				if err != nil {
					t.Fatal(err)
				}
				if document.Format != "pem_map" || ids(document.Keys) != c.ids || codes(document) != c.want {
					t.Errorf("got %s of %q, %v", document.Format, ids(document.Keys), document.Warnings)
				}
				for _, key := range document.Keys {
					if key.Unnamed || key.Algorithm != "" {
						t.Errorf("not a named key: %+v", key)
					}
				}
				wantSoundWarnings(t, document, len(c.pairs)/2)
			}
		})
	}
}

func TestPEMMapsThatAreRefused(t *testing.T) {
	sibling := spki(edKey())
	many := []string{}
	for i := range MaxKeys + 1 {
		many = append(many, fmt.Sprint("k", i), sibling)
	}
	private := block("RSA PRIVATE KEY", []byte{1, 2, 3})
	for _, c := range []struct {
		rule   string
		data   []byte
		format string
		want   error // nil: any
	}{
		{"asked for a JWKS", must(mapOf("a", sibling)), "jwks", nil},
		{"asked for a map by name", must(mapOf("a", sibling)), "pem_map", nil},
		{"JWK-13 65 entries", must(mapOf(many...)), "auto", ErrTooManyKeys},
		{"JWK-09 a private key", must(mapOf("a", sibling, "b", private)), "auto", ErrPrivateKey},
		{"JWK-09 a private key beside a public one", must(mapOf("a", sibling+private)), "pem", ErrPrivateKey},
		{"JWK-09 a private key behind escapes", []byte(strings.Replace(string(must(mapOf("a", sibling, "b", private))), "PRIVATE", `\u0050RIVATE`, 1)), "auto", ErrPrivateKey},
		{"JWK-09 a private JWK that quotes PEM", []byte(`{"kty":"RSA","d":"AQAB","pem":"-----BEGIN PUBLIC KEY-----"}`), "auto", ErrPrivateKey},
		{"JWK-15 a kid twice", []byte(`{"a":"-----BEGIN PUBLIC KEY-----","a":"-----BEGIN PUBLIC KEY-----"}`), "auto", nil},
		{"a value that is no string", []byte(`{"a":"-----BEGIN PUBLIC KEY-----","b":5}`), "auto", nil},
		{"no usable entry", must(mapOf("a", block("PUBLIC KEY", []byte{1}))), "auto", nil},
		{"KEY-06 an error answer", must(mapOf("error", "unauthorized", "error_description", "go away")), "auto", nil},
		{"KEY-06 nothing", []byte(`{}`), "auto", nil},
	} {
		t.Run(c.rule, func(t *testing.T) {
			document, err := Parse(c.data, c.format)
			if err == nil || document != nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, %v", document, err)
			}
		})
	}
	if document, err := Parse(must(mapOf(many[2:]...)), "auto"); err != nil || len(document.Keys) != MaxKeys {
		t.Errorf("64 entries: %v", err)
	}
}
