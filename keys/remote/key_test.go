package remote

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

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
		{"RSA of 2048 bits", jwk(large, nil), kept, ""},
		{"RSA of 3072 bits", jwk(rsaKey(3072), nil), kept, ""},
		{"RSA of 4096 bits", jwk(rsaKey(4096), nil), kept, ""},
		{"P-256", jwk(ec, nil), kept, ""},
		{"P-384", jwk(ecKey(elliptic.P384()).Public(), nil), kept, ""},
		{"P-521", jwk(ecKey(elliptic.P521()).Public(), nil), kept, ""},
		{"Ed25519", jwk(ed, nil), kept, ""},
		{"unknown members are ignored", jwk(ec, m("x_ms_issuer", "https://a.test", "n", 5)), kept, ""},

		{"a number out of range is ignored", jwk(ec, m("x_weight", json.Number("1e999"))), kept, ""},

		{"RSA of 512 bits", jwk(rsaKey(512), nil), unusable, "unusable_key"},
		{"RSA of 1024 bits", jwk(rsaKey(1024), nil), unusable, "unusable_key"},
		{"RSA of 2047 bits", jwk(rsaKey(2047), nil), unusable, "unusable_key"},
		{"RSA of 4097 bits", jwk(rsaKey(4097), nil), unusable, "unusable_key"},
		{"RSA of 16384 bits", jwk(rsaKey(16384), nil), unusable, "unusable_key"},
		{"RSA with e = 1", jwk(large, m("e", "AQ")), unusable, "unusable_key"},
		{"RSA with e = 3", jwk(large, m("e", "Aw")), unusable, "unusable_key"},
		{"RSA with e = 2^31-1", jwk(large, m("e", "f____w")), unusable, "unusable_key"},
		{"an even RSA modulus", jwk(rsaOf(new(big.Int).Sub(large.N, big.NewInt(1))), nil), unusable, "unusable_key"},
		{"an RSA modulus divisible by 3", jwk(rsaOf(new(big.Int).Mul(rsaKey(2048).N, big.NewInt(3))), nil), unusable, "unusable_key"},
		{"an RSA modulus of CVE-2017-15361", jwk(rsaOf(rocaModulus()), nil), unusable, "unusable_key"},

		{"RSA with e beyond 32 bits", jwk(large, m("e", b64(make([]byte, 9))+"_")), skipped, "unreadable_key"},
		{"RSA without n", jwk(large, m("n", nil)), skipped, "unreadable_key"},
		{"RSA without e", jwk(large, m("e", nil)), skipped, "unreadable_key"},
		{"RSA with a number as n", jwk(large, m("n", 5)), skipped, "unreadable_key"},
		{"n in the standard alphabet", jwk(large, m("n", strings.Repeat("+/", 171))), skipped, "unreadable_key"},
		{"n with padding", jwk(large, m("n", b64(large.N.Bytes())+"==")), skipped, "unreadable_key"},
		{"n with a line break", jwk(large, m("n", "\n"+b64(large.N.Bytes()))), skipped, "unreadable_key"},
		{"n with unused bits", jwk(large, m("n", unusedBit(b64(large.N.Bytes())))), skipped, "unreadable_key"},
		{"n with white space", jwk(large, m("n", " "+b64(large.N.Bytes()))), skipped, "unreadable_key"},
		{"EC without y", jwk(ec, m("y", nil)), skipped, "unreadable_key"},
		{"EC with a point off the curve", jwk(ec, m("x", b64(make([]byte, 32)))), skipped, "unreadable_key"},
		{"EC with a short coordinate", jwk(ec, m("x", "AQ")), skipped, "unreadable_key"},
		{"Ed25519 of small order", jwk(ed, m("x", b64(make([]byte, 32)))), skipped, "unreadable_key"},
		{"secp256k1", jwk(ec, m("crv", "secp256k1")), skipped, "unsupported_key"},
		{"Ed448", jwk(ed, m("crv", "Ed448")), skipped, "unsupported_key"},
		{"X25519", jwk(ed, m("crv", "X25519")), skipped, "unsupported_key"},
		{"EC key on an Edwards curve", jwk(ec, m("crv", "Ed25519")), skipped, "unreadable_key"},
		{"AKP", m("kty", "AKP", "alg", "ML-DSA-44", "pub", "AQAB"), skipped, "unsupported_key"},
		{"no kty", jwk(ec, m("kty", nil)), skipped, "unsupported_key"},
		{"KTY", m("KTY", "EC"), skipped, "unsupported_key"},
		{"kty a number", jwk(ec, m("kty", 1)), skipped, "unsupported_key"},
		{"oct", m("kty", "oct", "k", "AQAB"), skipped, "symmetric_key"},
		{"oct without k", m("kty", "oct"), skipped, "symmetric_key"},
		{"k in an EC key", jwk(ec, m("k", "AQAB")), skipped, "symmetric_key"},
		{"null", nil, skipped, "unreadable_key"},
		{"a number", 7, skipped, "unreadable_key"},
		{"an array", []any{}, skipped, "unreadable_key"},

		{"kid a number", jwk(ec, m("kid", 5)), skipped, "bad_key_id"},
		{"kid of 257 bytes", jwk(ec, m("kid", strings.Repeat("k", 257))), skipped, "bad_key_id"},
		{"kid of 256 bytes", jwk(ec, m("kid", strings.Repeat("k", 256))), kept, ""},
		{"kid with NUL", jwk(ec, m("kid", "a\x00")), skipped, "bad_key_id"},
		{"kid with a letter beyond ASCII", jwk(ec, m("kid", "é")), skipped, "bad_key_id"},
		{"kid null", jwk(ec, m("kid", nil)), kept, ""},

		{"use sig", jwk(ec, m("use", "sig")), kept, ""},
		{"use null", jwk(ec, m("use", nil)), kept, ""},
		{"use enc", jwk(ec, m("use", "enc")), unusable, "unusable_key"},
		{"use empty", jwk(ec, m("use", "")), unusable, "unusable_key"},
		{"use an array", jwk(ec, m("use", []any{"sig"})), unusable, "unusable_key"},
		{"key_ops verify", jwk(ec, m("key_ops", []any{"verify"})), kept, ""},
		{"key_ops sign and verify", jwk(ec, m("use", "sig", "key_ops", []any{"sign", "verify"})), kept, ""},
		{"key_ops empty", jwk(ec, m("key_ops", []any{})), unusable, "unusable_key"},
		{"key_ops without verify", jwk(ec, m("key_ops", []any{"encrypt"})), unusable, "unusable_key"},
		{"key_ops with duplicates", jwk(ec, m("key_ops", []any{"verify", "verify"})), unusable, "unusable_key"},
		{"key_ops against use", jwk(ec, m("use", "sig", "key_ops", []any{"verify", "encrypt"})), unusable, "unusable_key"},
		{"key_ops a string", jwk(ec, m("key_ops", "verify")), unusable, "unusable_key"},
		{"key_ops of numbers", jwk(ec, m("key_ops", []any{1})), unusable, "unusable_key"},
		{"alg RS256", jwk(large, m("alg", "RS256")), kept, ""},
		{"alg RSA-OAEP", jwk(large, m("alg", "RSA-OAEP")), unusable, "unusable_key"},
		{"alg HS256", jwk(large, m("alg", "HS256")), unusable, "unusable_key"},
		{"alg none", jwk(large, m("alg", "none")), unusable, "unusable_key"},
		{"alg empty", jwk(large, m("alg", "")), unusable, "unusable_key"},
		{"alg a number", jwk(large, m("alg", 256)), unusable, "unusable_key"},

		{"x5c that is no chain", jwk(ec, m("x5c", []any{"!!"}, "x5u", "::", "x5t", 5)), kept, ""},
		{"x5c of another key", jwk(ec, m("x5c", []any{b64(certify(ecKey(elliptic.P256()), timeOf(2020, 1)))})), kept, ""},
		{"private members that are empty", jwk(large, m("d", nil, "p", "", "oth", []any{})), kept, ""},
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
			if fate != c.fate || codes(document) != c.warning {
				t.Errorf("got %s, warnings %v; want %s, %s", fate, document.Warnings, c.fate, c.warning)
			}
			for _, warning := range document.Warnings {
				if !strings.HasPrefix(warning.Detail, "key 1") {
					t.Errorf("the warning %q does not name the key", warning.Detail)
				}
			}
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
		rule, ids, warnings string
		data                []byte
	}{
		{"an empty set is no keys", "", "", jwks()},
		{"order and names are kept", "x y", "", jwks(k(a, "x", ""), k(b, "y", ""))},
		{"the same key twice is one", "x", "", jwks(k(a, "x", "ES256"), k(a, "x", "ES256"))},
		{"the same key under two names is two", "x y", "", jwks(k(a, "x", ""), k(a, "y", ""))},
		{"the same key for two algorithms is two", "x x", "", jwks(k(b, "x", "RS256"), k(b, "x", "PS256"))},
		{"two keys with one name are ambiguous", "x x", "ambiguous_key_id", jwks(k(a, "x", ""), k(b, "x", ""))},
		{"names are compared exactly", "x X", "", jwks(k(a, "x", ""), k(b, "X", ""))},
		{"two keys without a name are not ambiguous", " ", "", jwks(k(a, "", ""), k(b, "", ""))},
	} {
		t.Run(c.rule, func(t *testing.T) {
			document, err := Parse(c.data, "auto")
			if err != nil || ids(document.Keys) != c.ids || codes(document) != c.warnings {
				t.Errorf("got %v, %+v", err, document)
			}
		})
	}
	document := must(Parse(jwks(k(b, "x", "PS256")), "auto"))
	if key := document.Keys[0]; key.Algorithm != "PS256" || !samePublic(key.Public, b) || key.Unnamed {
		t.Errorf("got %+v", key)
	}
}

func TestAWarningNamesTheKey(t *testing.T) {
	document := must(Parse(jwks(jwk(rsaKey(1024), map[string]any{"kid": "old"})), "auto"))
	if got := document.Warnings[0].Detail; got != `key 0 (kid "old"): RSA modulus of 1024 bits, expected 2048 to 4096` {
		t.Error(got)
	}
}

// unusedBit sets a bit that no byte of 256 uses.
func unusedBit(text string) string {
	last := len(text) - 1
	return text[:last] + map[string]string{"A": "B", "Q": "R", "g": "h", "w": "x"}[text[last:]]
}

func rsaOf(n *big.Int) *rsa.PublicKey { return &rsa.PublicKey{N: n, E: publicExponent} }

// rocaModulus makes a number of 2101 bits that is a power of 65537
// modulo every small prime, and has no small factor.
func rocaModulus() *big.Int {
	product := big.NewInt(1)
	for prime := int64(3); prime <= maxTrialDivisor; prime += 2 {
		if isPrime(uint64(prime)) {
			product.Mul(product, big.NewInt(prime))
		}
	}
	n := new(big.Int).Exp(big.NewInt(publicExponent), big.NewInt(12345), product)
	shift := new(big.Int).Lsh(big.NewInt(1), 2100)
	n.Add(n, shift.Sub(shift, new(big.Int).Mod(shift, product)))
	if n.Bit(0) == 0 {
		n.Add(n, product)
	}
	return n
}

func TestModuliOfTheBrokenGeneratorAreRecognised(t *testing.T) {
	if got := weakness(rocaModulus()); !strings.Contains(got, "CVE-2017-15361") {
		t.Errorf("got %q", got)
	}
}

func BenchmarkParseWorstDocument(b *testing.B) {
	keys := []any{}
	for range MaxKeys {
		keys = append(keys, jwk(rsaKey(4096), nil))
	}
	data := jwks(keys...)
	for b.Loop() {
		if document, err := Parse(bytes.Clone(data), "auto"); err != nil || len(document.Keys) != MaxKeys {
			b.Fatal(err)
		}
	}
}
