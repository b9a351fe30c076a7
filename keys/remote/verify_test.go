package remote

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/grants/jws"
)

// Rows of security.md that only a signature decides: what was read here, as the
// verifier uses it. The verifier's own rules are tested in grants/assertion.
func TestKeysAsTheVerifierUsesThem(t *testing.T) {
	private := must(rsa.GenerateKey(rand.Reader, 2048))
	right, other, ec := private.Public(), rsaKey(2048), ecKey(elliptic.P256())
	k := func(public crypto.PublicKey, pairs ...any) any {
		members := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			members[pairs[i].(string)] = pairs[i+1]
		}
		return jwk(public, members)
	}
	alg := func(name any) []any { return []any{k(right, "kid", "a", "alg", name)} }
	const good = grants.Reason("")
	type row struct {
		rule string
		keys []any
		kid  string
		want grants.Reason
	}
	rows := []row{
		{"JWK-01 use sig", []any{k(right, "kid", "a", "use", "sig")}, "a", good},
		{"JWK-01 use enc", []any{k(right, "kid", "a", "use", "enc")}, "a", grants.KeyUnusable},
		{"JWK-01 the same key for encryption does no harm", []any{k(right, "kid", "a", "use", "enc"), k(right, "kid", "a", "use", "sig")}, "a", good},
		{"JWK-02 key_ops without verify", []any{k(right, "kid", "a", "key_ops", []any{"sign"})}, "a", grants.KeyUnusable},
		{"JWK-03 alg absent", alg(nil), "a", good},
		{"JWK-04 oct beside RSA", []any{k(right, "kid", "a"), map[string]any{"kty": "oct", "k": "AQAB", "kid": "a"}}, "a", good},
		{"JWK-08 64 keys, no kid: nothing is tried", keysOf(MaxKeys, 4096), "", grants.KeyAmbiguous},
		{"JWK-08 64 keys and a kid: one is tried", append(keysOf(MaxKeys-1, 4096), k(right, "kid", "a")), "a", good},
		{"JWK-10 the same key twice", []any{k(right, "kid", "a"), k(right, "kid", "a")}, "a", good},
		{"JWK-10 the same key with and without alg", []any{k(right, "kid", "a"), k(right, "kid", "a", "alg", "RS256")}, "a", good},
		{"JWK-10 different keys", []any{k(right, "kid", "a"), k(other, "kid", "a")}, "a", grants.KeyAmbiguous},
		{"JWK-10 RSA and EC", []any{k(ec.Public(), "kid", "a"), k(right, "kid", "a")}, "a", good},
		{"JWK-11 no kid, one key", []any{k(right)}, "", good},
		{"JWK-11 no kid, one key with a name", []any{k(right, "kid", "a")}, "", good},
		{"JWK-11 no kid, two keys", []any{k(right), k(other)}, "", grants.KeyAmbiguous},
		{"JWK-11 no kid, RSA and EC", []any{k(right), k(ec.Public())}, "", good},
		{"JWK-11 no kid, one usable key of two", []any{k(right), k(rsaKey(1024))}, "", good},
		{"JWK-12 a kid for a key without one", []any{k(right)}, "a", grants.KeyNotFound},
		{"JWK-12 a kid that is a number", []any{k(right, "kid", 5)}, "5", grants.KeyNotFound},
		{"JWK-12 equal after trimming", []any{k(right, "kid", "a ")}, "a", grants.KeyNotFound},
		{"JWK-12 equal after folding", []any{k(right, "kid", "A")}, "a", grants.KeyNotFound},
	}
	for _, name := range []any{"PS256", "RS512", "RSA1_5", "RSA-OAEP", "HS256", "none", ""} {
		rows = append(rows, row{"JWK-03 alg " + name.(string), alg(name), "a", grants.KeyUnusable})
	}
	rows = append(rows, row{"JWK-03 alg RS256", alg("RS256"), "a", good})
	for _, row := range rows {
		t.Run(row.rule, func(t *testing.T) {
			document := must(Parse(jwks(row.keys...), "jwks"))
			if got := reasonOf(document, signed(jose.RS256, private, row.kid), "RS256"); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestBothNamesOfEd25519(t *testing.T) {
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	for _, name := range []any{nil, "EdDSA", "Ed25519"} {
		document := must(Parse(jwks(jwk(public, map[string]any{"kid": "a", "alg": name})), "jwks"))
		if got := reasonOf(document, signed(jose.EdDSA, private, "a"), "EdDSA"); got != "" {
			t.Errorf("alg %v: %s", name, got)
		}
	}
}

func TestAKeyOfAPEMMapIsFoundByItsName(t *testing.T) {
	key := ecKey(elliptic.P256())
	document := must(Parse(must(mapOf("a", block("CERTIFICATE", certify(key, timeOf(2999, 1))), "b", spki(edKey()))), "auto"))
	for kid, want := range map[string]grants.Reason{"a": "", "b": grants.KeyUnusable, "c": grants.KeyNotFound} {
		if got := reasonOf(document, signed(jose.ES256, key, kid), "ES256"); got != want {
			t.Errorf("kid %s: %q, want %q", kid, got, want)
		}
	}
}

// keysOf makes keys that have names.
func keysOf(count, bits int) []any {
	keys := []any{}
	for i := range count {
		keys = append(keys, jwk(rsaKey(bits), map[string]any{"kid": fmt.Sprint(i)}))
	}
	return keys
}

func signed(algorithm jose.SignatureAlgorithm, private any, kid string) string {
	options := &jose.SignerOptions{}
	if kid != "" {
		options.WithHeader("kid", kid)
	}
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: private}, options))
	return must(must(signer.Sign([]byte("{}"))).CompactSerialize())
}

// reasonOf says why a signature does not verify with the keys of a document.
func reasonOf(document *Document, raw, algorithm string) grants.Reason {
	find := func(_ context.Context, query assertion.KeyQuery) ([]assertion.Key, error) {
		found := []assertion.Key{}
		for _, key := range document.Keys {
			if query.KeyID == "" || key.Unnamed || key.ID == query.KeyID {
				found = append(found, key)
			}
		}
		return found, nil
	}
	verifier := &assertion.Verifier{Keys: assertion.KeysFunc(find), Now: time.Now}
	token := must(jws.Parse(raw, 10_000))
	if refusal := verifier.VerifySignature(context.Background(), token, &assertion.Policy{Algorithms: []string{algorithm}}); refusal != nil {
		return refusal.Reason
	}
	return ""
}
