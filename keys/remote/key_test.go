package remote

import (
	"crypto"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Each JWK is judged on its own, whatever stands beside it (RFC 7517 §5).
func TestEachJWKIsJudgedAlone(t *testing.T) {
	ec, ed, large := ecKey(elliptic.P256()).Public(), edKey(), rsaKey(2048)
	m := func(pairs ...any) map[string]any {
		members := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			members[pairs[i].(string)] = pairs[i+1]
		}
		return members
	}
	const kept, skipped, unusable = "kept", "skipped", "unusable"
	for _, c := range []struct {
		rule    string
		entry   any
		fate    string
		warning string
	}{
		{"P-256", jwk(ec, nil), kept, ""},
		{"P-384", jwk(ecKey(elliptic.P384()).Public(), nil), kept, ""},
		{"Ed25519", jwk(ed, nil), kept, ""},
		{"unknown members are ignored", jwk(ec, m("x_ms_issuer", "https://a.test", "n", 5)), kept, ""},
		{"a number out of range is ignored", jwk(ec, m("x_weight", json.Number("1e999"))), kept, ""},

		{"JWK-01 use sig", jwk(ec, m("use", "sig")), kept, ""},
		{"JWK-01 use absent", jwk(ec, m("use", nil)), kept, ""},
		{"JWK-01 use enc", jwk(ec, m("use", "enc")), unusable, "encryption_key"},
		{"JWK-01 use enc, as Keycloak has it", jwk(large, m("use", "enc", "alg", "RSA-OAEP")), unusable, "encryption_key"},
		{"JWK-01 use enc of an unsupported key", jwk(ed, m("use", "enc", "crv", "X25519")), skipped, "encryption_key"},
		{"JWK-01 use enc of a garbled key", jwk(large, m("use", "enc", "n", "?")), skipped, "unreadable_key"},
		{"JWK-01 use empty", jwk(ec, m("use", "")), unusable, "unusable_key"},
		{"JWK-01 use SIG", jwk(ec, m("use", "SIG")), unusable, "unusable_key"},
		{"JWK-01 use an array", jwk(ec, m("use", []any{"sig"})), unusable, "unusable_key"},

		{"JWK-02 key_ops verify", jwk(ec, m("key_ops", []any{"verify"})), kept, ""},
		{"JWK-02 key_ops sign and verify", jwk(ec, m("key_ops", []any{"sign", "verify"})), kept, ""},
		{"JWK-02 key_ops that agree with use", jwk(ec, m("use", "sig", "key_ops", []any{"sign", "verify"})), kept, ""},
		{"JWK-02 key_ops empty", jwk(ec, m("key_ops", []any{})), unusable, "unusable_key"},
		{"JWK-02 key_ops without verify", jwk(ec, m("key_ops", []any{"encrypt"})), unusable, "unusable_key"},
		{"JWK-02 key_ops sign only", jwk(ec, m("key_ops", []any{"sign"})), unusable, "unusable_key"},
		{"JWK-02 key_ops with duplicates", jwk(ec, m("key_ops", []any{"verify", "verify"})), unusable, "unusable_key"},
		{"JWK-02 key_ops against use", jwk(ec, m("use", "sig", "key_ops", []any{"verify", "encrypt"})), unusable, "unusable_key"},
		{"JWK-02 key_ops against use enc", jwk(ec, m("use", "enc", "key_ops", []any{"verify"})), unusable, "encryption_key"},
		{"JWK-02 key_ops a string", jwk(ec, m("key_ops", "verify")), unusable, "unusable_key"},
		{"JWK-02 key_ops of numbers", jwk(ec, m("key_ops", []any{1})), unusable, "unusable_key"},

		{"JWK-03 alg absent", jwk(large, m("alg", nil)), kept, ""},
		{"JWK-03 alg RS256", jwk(large, m("alg", "RS256")), kept, ""},
		{"JWK-03 alg PS256, which the verifier compares", jwk(large, m("alg", "PS256")), kept, ""},
		{"JWK-03 alg RS512, which the verifier compares", jwk(large, m("alg", "RS512")), kept, ""},
		{"JWK-03 alg RSA1_5", jwk(large, m("alg", "RSA1_5")), unusable, "unusable_key"},
		{"JWK-03 alg RSA-OAEP", jwk(large, m("alg", "RSA-OAEP")), unusable, "unusable_key"},
		{"JWK-03 alg HS256", jwk(large, m("alg", "HS256")), unusable, "unusable_key"},
		{"JWK-03 alg none", jwk(large, m("alg", "none")), unusable, "unusable_key"},
		{"JWK-03 alg empty", jwk(large, m("alg", "")), unusable, "unusable_key"},
		{"JWK-03 alg a number", jwk(large, m("alg", 256)), unusable, "unusable_key"},
		{"JWK-03 alg rs256", jwk(large, m("alg", "rs256")), unusable, "unusable_key"},
		{"JWK-03 alg of another type", jwk(ec, m("alg", "RS256")), unusable, "unusable_key"},
		{"JWK-03 alg of another curve", jwk(ec, m("alg", "ES384")), unusable, "unusable_key"},
		{"JWK-03 alg EdDSA", jwk(ed, m("alg", "EdDSA")), kept, ""},
		{"JWK-03 alg Ed25519", jwk(ed, m("alg", "Ed25519")), kept, ""},
		{"JWK-03 alg Ed448", jwk(ed, m("alg", "Ed448")), unusable, "unusable_key"},

		{"JWK-04 oct", m("kty", "oct", "k", "AQAB"), skipped, "symmetric_key"},
		{"JWK-04 oct without k", m("kty", "oct"), skipped, "symmetric_key"},
		{"JWK-04 k in an EC key", jwk(ec, m("k", "AQAB")), skipped, "symmetric_key"},

		{"JWK-05 RSA of 512 bits", jwk(rsaKey(512), nil), unusable, "unusable_key"},
		{"JWK-05 RSA of 1024 bits", jwk(rsaKey(1024), nil), unusable, "unusable_key"},
		{"JWK-05 RSA of 2047 bits", jwk(rsaKey(2047), nil), unusable, "unusable_key"},
		{"JWK-05 RSA of 2048 bits", jwk(large, nil), kept, ""},
		{"JWK-05 RSA of 3072 bits", jwk(rsaKey(3072), nil), kept, ""},
		{"JWK-05 RSA of 4096 bits", jwk(rsaKey(4096), nil), kept, ""},
		{"JWK-05 RSA of 4097 bits", jwk(rsaKey(4097), nil), unusable, "unusable_key"},
		{"JWK-05 RSA of 8192 bits", jwk(rsaKey(8192), nil), unusable, "unusable_key"},
		{"JWK-05 RSA of 16384 bits", jwk(rsaKey(16384), nil), unusable, "unusable_key"},
		{"JWK-05 RSA with e = 1", jwk(large, m("e", "AQ")), unusable, "unusable_key"},
		{"JWK-05 RSA with e = 3", jwk(large, m("e", "Aw")), unusable, "unusable_key"},
		{"JWK-05 RSA with e = 2^31-1", jwk(large, m("e", "f____w")), unusable, "unusable_key"},
		{"JWK-05 RSA with e = 2^31", jwk(large, m("e", "gAAAAA")), skipped, "unreadable_key"},
		{"JWK-05 RSA with e of 70 bits", jwk(large, m("e", "_"+strings.Repeat("A", 11))), skipped, "unreadable_key"},

		{"JWK-07 n with a leading zero", jwk(large, m("n", b64(append([]byte{0}, large.N.Bytes()...)))), unusable, "unusable_key"},
		{"JWK-07 e with a leading zero", jwk(large, m("e", "AAEAAQ")), unusable, "unusable_key"},
		{"JWK-07 n zero", jwk(large, m("n", "AA")), unusable, "unusable_key"},
		{"JWK-07 n even", jwk(rsaOf(new(big.Int).Sub(large.N, big.NewInt(1))), nil), unusable, "unusable_key"},
		{"JWK-07 n prime", jwk(rsaOf(knownPrime(1919)), nil), unusable, "unusable_key"},
		{"JWK-07 n of CVE-2017-15361", jwk(rsaOf(rocaModulus()), nil), unusable, "unusable_key"},

		{"JWK-12 kid missing", jwk(ec, m("kid", nil)), kept, ""},
		{"JWK-12 kid a number", jwk(ec, m("kid", 5)), skipped, "bad_key_id"},
		{"JWK-12 kid a number out of range", jwk(ec, m("kid", json.Number("1e999"))), skipped, "bad_key_id"},
		{"JWK-12 kid of 10 KB", jwk(ec, m("kid", strings.Repeat("k", 10_000))), skipped, "bad_key_id"},
		{"JWK-12 kid of 257 bytes", jwk(ec, m("kid", strings.Repeat("k", 257))), skipped, "bad_key_id"},
		{"JWK-12 kid of 256 bytes", jwk(ec, m("kid", strings.Repeat("k", 256))), kept, ""},
		{"JWK-12 kid with NUL", jwk(ec, m("kid", "a\x00")), skipped, "bad_key_id"},
		{"JWK-12 kid with a letter beyond ASCII", jwk(ec, m("kid", "é")), skipped, "bad_key_id"},

		{"JWK-14 P-521, which is supported", jwk(ecKey(elliptic.P521()).Public(), nil), kept, ""},
		{"JWK-14 secp256k1", jwk(ec, m("crv", "secp256k1")), skipped, "unsupported_key"},
		{"JWK-14 Ed448", jwk(ed, m("crv", "Ed448")), skipped, "unsupported_key"},
		{"JWK-14 X25519", jwk(ed, m("crv", "X25519")), skipped, "unsupported_key"},
		{"JWK-14 AKP", m("kty", "AKP", "alg", "ML-DSA-44", "pub", "AQAB"), skipped, "unsupported_key"},
		{"JWK-14 no kty", jwk(ec, m("kty", nil)), skipped, "unsupported_key"},
		{"JWK-14 kty a number", jwk(ec, m("kty", 1)), skipped, "unsupported_key"},
		{"JWK-14 kty rsa", jwk(large, m("kty", "rsa")), skipped, "unsupported_key"},
		{"JWK-14 kty in other letters", jwk(ec, m("kty", strings.Repeat("é\n\"", 1000))), skipped, "unsupported_key"},
		{"JWK-14 RSA without n", jwk(large, m("n", nil)), skipped, "unreadable_key"},
		{"JWK-14 RSA without e", jwk(large, m("e", nil)), skipped, "unreadable_key"},
		{"JWK-14 RSA with a number as n", jwk(large, m("n", 5)), skipped, "unreadable_key"},
		{"JWK-14 RSA with an empty n", jwk(large, m("n", "")), skipped, "unreadable_key"},
		{"JWK-14 n is garbage", jwk(large, m("n", "%%%%")), skipped, "unreadable_key"},
		{"JWK-14 n in the standard alphabet", jwk(large, m("n", strings.Repeat("+/", 171))), skipped, "unreadable_key"},
		{"JWK-14 n with padding", jwk(large, m("n", b64(large.N.Bytes())+"==")), skipped, "unreadable_key"},
		{"JWK-14 n with a line break", jwk(large, m("n", "\n"+b64(large.N.Bytes()))), skipped, "unreadable_key"},
		{"JWK-14 n with unused bits", jwk(large, m("n", unusedBit(b64(large.N.Bytes())))), skipped, "unreadable_key"},
		{"JWK-14 n with white space", jwk(large, m("n", " "+b64(large.N.Bytes()))), skipped, "unreadable_key"},
		{"JWK-14 EC without y", jwk(ec, m("y", nil)), skipped, "unreadable_key"},
		{"JWK-14 EC with a point off the curve", jwk(ec, m("x", b64(make([]byte, 32)))), skipped, "unreadable_key"},
		{"JWK-14 EC with a short coordinate", jwk(ec, m("x", "AQ")), skipped, "unreadable_key"},
		{"JWK-14 EC with a long coordinate", jwk(ec, m("x", b64(make([]byte, 33)))), skipped, "unreadable_key"},
		{"JWK-14 EC key on an Edwards curve", jwk(ec, m("crv", "Ed25519")), skipped, "unreadable_key"},
		{"JWK-14 EC key that says RSA", jwk(ec, m("kty", "RSA")), skipped, "unreadable_key"},
		{"JWK-14 Ed25519 of small order", jwk(ed, m("x", b64(make([]byte, 32)))), skipped, "unreadable_key"},
		{"JWK-14 null", nil, skipped, "unreadable_key"},
		{"JWK-14 a number", 7, skipped, "unreadable_key"},
		{"JWK-14 an array", []any{}, skipped, "unreadable_key"},
		{"JWK-15 KTY", m("KTY", "EC"), skipped, "unsupported_key"},

		{"JWK-16 x5c that is no chain", jwk(ec, m("x5c", []any{"!!"}, "x5u", "::", "x5t", 5)), kept, ""},
		{"JWK-16 x5c of numbers", jwk(ec, m("x5c", []any{5})), kept, ""},
		{"JWK-16 x5c empty", jwk(ec, m("x5c", []any{})), kept, ""},
		{"JWK-16 x5c an object", jwk(ec, m("x5c", map[string]any{})), kept, ""},
		{"JWK-16 x5c of another key", jwk(ec, m("x5c", x5cOf(timeOf(2999, 1)))), kept, ""},
		{"JWK-16 x5c that has expired", jwk(ec, m("x5c", x5cOf(timeOf(2020, 1)))), kept, "certificate_expired"},
		{"JWK-16 x5c that has expired, of a key of no use", jwk(ec, m("use", "", "x5c", x5cOf(timeOf(2020, 1)))), unusable, "unusable_key"},
		{"JWK-16 x5u", jwk(ec, m("x5u", "http://169.254.169.254/")), kept, ""},

		{"JWK-09 private members that are empty", jwk(large, m("d", nil, "p", "", "oth", []any{})), kept, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			document, err := Parse(jwks(jwk(ed, m("kid", "sibling")), c.entry), "jwks")
			if err != nil {
				t.Fatal(err)
			}
			if document.Keys[0].ID != "sibling" || document.Keys[0].Problem != "" {
				t.Fatal("the sibling was spoilt")
			}
			fate := skipped
			if keys := document.Keys[1:]; len(keys) == 1 && keys[0].Problem == "" {
				fate = kept
			} else if len(keys) == 1 {
				fate = unusable
			}
			if got := keyCodes(document); fate != c.fate || got != c.warning {
				t.Errorf("got %s, warnings %v; want %s, %s", fate, document.Warnings, c.fate, c.warning)
			}
			for _, warning := range document.Warnings {
				if strings.HasPrefix(warning.Detail, "key 0") {
					t.Errorf("the warning %q is about the sibling", warning.Detail)
				}
			}
			wantSoundWarnings(t, document, 2)
		})
	}
}

func TestKeysOfAJWKS(t *testing.T) {
	a, b := ecKey(elliptic.P256()).Public(), rsaKey(2048)
	k := func(public crypto.PublicKey, id, alg string) any {
		members := map[string]any{"kid": id}
		if alg != "" {
			members["alg"] = alg
		}
		return jwk(public, members)
	}
	for _, c := range []struct {
		rule, keys, warnings string
		data                 []byte
	}{
		{"KEY-06 an empty set is no keys", "", "no_usable_key", jwks()},
		{"order and names are kept", "x/ES256 y/RS256", "", jwks(k(a, "x", "ES256"), k(b, "y", "RS256"))},
		{"JWK-10 the same key twice is one", "x/ES256", "single_key", jwks(k(a, "x", "ES256"), k(a, "x", "ES256"))},
		{"JWK-10 the same key with and without alg is one", "x/", "key_without_alg single_key", jwks(k(b, "x", ""), k(b, "x", "RS256"))},
		{"JWK-10 the same key without and with alg is one", "x/", "key_without_alg single_key", jwks(k(b, "x", "RS256"), k(b, "x", "PS256"), k(b, "x", ""))},
		{"JWK-10 the same key for two algorithms is two", "x/RS256 x/PS256", "single_key", jwks(k(b, "x", "RS256"), k(b, "x", "PS256"))},
		{"JWK-10 an RSA and an EC key with one name are ambiguous", "x/ x/", "ambiguous_key_id key_without_alg", jwks(k(a, "x", ""), k(b, "x", ""))},
		{"JWK-10 two keys of a kind with one name are ambiguous", "x/ES256 x/ES256", "ambiguous_key_id", jwks(k(a, "x", "ES256"), k(ecKey(elliptic.P256()).Public(), "x", "ES256"))},
		{"the same key under two names is two", "x/ES256 y/ES256", "single_key", jwks(k(a, "x", "ES256"), k(a, "y", "ES256"))},
		{"JWK-12 names are compared exactly", "x/ES256 X/RS256 x /RS256", "", jwks(k(a, "x", "ES256"), k(b, "X", "RS256"), k(b, "x ", "RS256"))},
		{"JWK-12 two keys without a name are not ambiguous", "/ES256 /RS256", "key_without_kid", jwks(k(a, "", "ES256"), k(b, "", "RS256"))},
		{"JWK-12 a single key needs no name", "/ES256", "single_key", jwks(k(a, "", "ES256"))},
	} {
		t.Run(c.rule, func(t *testing.T) {
			document, err := Parse(c.data, "auto")
			if err != nil {
				t.Fatal(err)
			}
			list := []string{}
			for _, key := range document.Keys {
				list = append(list, key.ID+"/"+key.Algorithm)
			}
			if got := strings.Join(list, " "); got != c.keys || codes(document) != c.warnings {
				t.Errorf("got %q, %v", got, document.Warnings)
			}
		})
	}
	document := must(Parse(jwks(k(b, "x", "PS256")), "auto"))
	if key := document.Keys[0]; key.Algorithm != "PS256" || !samePublic(key.Public, b) || key.Unnamed {
		t.Errorf("got %+v", key)
	}
}

// JWK-23: RFC 7638 §3.1. What was read is the key that was published.
func TestTheExampleOfRFC7638(t *testing.T) {
	document := must(Parse([]byte(`{"keys":[{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}]}`), "auto"))
	key := jose.JSONWebKey{Key: document.Keys[0].Public}
	if got := b64(must(key.Thumbprint(crypto.SHA256))); got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" || document.Keys[0].Problem != "" {
		t.Errorf("got %s, %+v", got, document.Keys[0])
	}
}

// x5cOf is an x5c of one certificate, of a key that nobody asked about.
func x5cOf(notAfter time.Time) []any {
	return []any{base64.StdEncoding.EncodeToString(certify(ecKey(elliptic.P256()), notAfter))}
}

// unusedBit sets a bit that no byte of 256 uses.
func unusedBit(text string) string {
	last := len(text) - 1
	return text[:last] + map[string]string{"A": "B", "Q": "R", "g": "h", "w": "x"}[text[last:]]
}
