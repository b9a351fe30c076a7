package assertion_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
)

// signers gives a private and a public key for each algorithm.
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

// RFC 7518 §3.3 to §3.5, RFC 8037 §3.1: each algorithm with a key of its kind,
// and with no other.
func TestEachAlgorithmNeedsAKeyOfItsKind(t *testing.T) {
	all := signers()
	for name, pair := range all {
		policy := soundPolicy()
		policy.Algorithms = []string{string(name)}
		raw := signAs(name, pair[0], soundClaims)
		t.Run(string(name), func(t *testing.T) {
			if _, refusal := judge(raw, policy, finding(assertion.Key{ID: "k1", Public: pair[1]})); refusal != nil {
				t.Fatal(refusal)
			}
		})
		isRSA := name[0] == 'R' || name[0] == 'P'
		for other, otherPair := range all {
			if other == name || isRSA && (other[0] == 'R' || other[0] == 'P') {
				continue
			}
			t.Run(string(name)+" with a key for "+string(other), func(t *testing.T) {
				claims, refusal := judge(raw, policy, finding(assertion.Key{ID: "k1", Public: otherPair[1]}))
				wantReason(t, claims, refusal, grants.KeyUnusable, "no key fits "+string(name))
			})
		}
	}
}

// The registry refuses such a policy; should one get through, no key fits.
func TestAPolicyThatNamesAnUnsafeAlgorithmAcceptsNothing(t *testing.T) {
	for _, alg := range []string{"none", "HS256", ""} {
		for name, key := range map[string]any{"an RSA key": &rsaKey().PublicKey, "bytes": []byte("secret"), "nothing": nil} {
			t.Run(alg+" with "+name, func(t *testing.T) {
				policy := soundPolicy()
				policy.Algorithms = []string{alg}
				raw := sign(soundHeader.with("alg", string(must(json.Marshal(alg)))), soundClaims)
				claims, refusal := judge(raw, policy, finding(assertion.Key{ID: "k1", Public: key}))
				wantReason(t, claims, refusal, grants.KeyUnusable, "no key fits "+alg)
			})
		}
	}
}

// JWK-01 to JWK-12. Which keys the key URL has is for keys/remote to say; these
// are the rules for what it found.
func TestWhichKeyIsUsed(t *testing.T) {
	ec := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	right, wrong := rightKey(), wrongKey()
	unnamed := assertion.Key{Public: right.Public, Unnamed: true}
	problem := assertion.Key{ID: "k1", Public: right.Public, Problem: "its use is enc"}
	of := func(key assertion.Key, algorithm string) assertion.Key { key.Algorithm = algorithm; return key }
	ecNamed := assertion.Key{ID: "k1", Public: &ec.PublicKey}
	byValue := assertion.Key{ID: "k1", Public: rsaKey().PublicKey}
	for _, test := range []struct {
		name   string
		keys   []assertion.Key
		reason grants.Reason
		text   string
	}{
		{"the one key of that kid", []assertion.Key{right}, "", ""},
		{"no key (JWT-09)", nil, grants.KeyNotFound, `found kid "k1"`},
		{"a key of that kid that did not sign", []assertion.Key{wrong}, grants.SignatureInvalid, `kid "k1", alg RS256`},
		{"two keys of that kid, one of which signed (JWK-10)", []assertion.Key{right, wrong}, grants.KeyAmbiguous, "2 keys"},
		{"the same, in the other order", []assertion.Key{wrong, right}, grants.KeyAmbiguous, "2 keys"},
		{"an RSA and an EC key of that kid: one fits", []assertion.Key{ecNamed, right}, "", ""},
		{"a key with a problem (JWK-01, JWK-02, JWK-05)", []assertion.Key{problem}, grants.KeyUnusable, "its use is enc"},
		{"a key with a problem never shadows a good one", []assertion.Key{problem, right}, "", ""},
		{"a key with a problem is not made good by one that did not sign", []assertion.Key{problem, wrong}, grants.SignatureInvalid, ""},
		{"the JWK's alg is that of the token (JWK-03)", []assertion.Key{of(right, "RS256")}, "", ""},
		{"the JWK's alg is another (JWK-03, Wycheproof 332)", []assertion.Key{of(right, "PS256")}, grants.KeyUnusable, "the key is for PS256"},
		{"the JWK's alg is for encryption", []assertion.Key{of(right, "RSA-OAEP")}, grants.KeyUnusable, "the key is for RSA-OAEP"},
		{"the JWK's alg differs in case", []assertion.Key{of(right, "rs256")}, grants.KeyUnusable, "the key is for rs256"},
		{"an EC key", []assertion.Key{ecNamed}, grants.KeyUnusable, "no key fits RS256"},
		{"no key material", []assertion.Key{{ID: "k1"}}, grants.KeyUnusable, "no key fits RS256"},
		{"a symmetric key (JWK-04)", []assertion.Key{{ID: "k1", Public: []byte("secret")}}, grants.KeyUnusable, "no key fits RS256"},
		{"an RSA key by value", []assertion.Key{byValue}, grants.KeyUnusable, "no key fits RS256"},
		{"one key of a format without ids", []assertion.Key{unnamed}, "", ""},
		{"several of them, the last one signed", append(repeated(7), unnamed), "", ""},
		{"more than 8 of them (JWK-08)", append(repeated(8), unnamed), grants.KeyAmbiguous, "9 keys"},
		{"more than 8 of them, but one usable", append(problems(8), unnamed), "", ""},
		{"several of them, none signed", repeated(8), grants.SignatureInvalid, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			claims, refusal := judge(sign(soundHeader, soundClaims), soundPolicy(), finding(test.keys...))
			if test.reason != "" {
				wantReason(t, claims, refusal, test.reason, test.text)
			} else if refusal != nil {
				t.Error(refusal)
			}
		})
	}
}

// repeated gives n keys without ids that did not sign.
func repeated(n int) []assertion.Key {
	return slices.Repeat([]assertion.Key{{Public: &otherKey().PublicKey, Unnamed: true}}, n)
}

func problems(n int) []assertion.Key {
	return slices.Repeat([]assertion.Key{{Public: &otherKey().PublicKey, Unnamed: true, Problem: "too small"}}, n)
}

// JWK-11; RFC 7515 §4.1.4: kid is optional. All keys are candidates then, and
// exactly one must fit.
func TestATokenWithoutKeyID(t *testing.T) {
	ec := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	right, wrong := rightKey(), wrongKey()
	wrong.ID = "k2"
	for _, test := range []struct {
		name   string
		keys   []assertion.Key
		reason grants.Reason
	}{
		{"a set of one key", []assertion.Key{right}, ""},
		{"a set of one key that did not sign", []assertion.Key{wrong}, grants.SignatureInvalid},
		{"a set of two usable keys", []assertion.Key{right, wrong}, grants.KeyAmbiguous},
		{"a set of an RSA and an EC key", []assertion.Key{right, {ID: "k2", Public: &ec.PublicKey}}, ""},
		{"a set of a key for RS256 and one for PS256", []assertion.Key{right, {ID: "k2", Public: wrong.Public, Algorithm: "PS256"}}, ""},
		{"an empty set", nil, grants.KeyNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := finding(test.keys...)
			claims, refusal := judge(sign(soundHeader.with("kid", ""), soundClaims), soundPolicy(), source)
			if test.reason != "" {
				wantReason(t, claims, refusal, test.reason, `no kid`)
			} else if refusal != nil {
				t.Error(refusal)
			}
			if source.asked[0].KeyID != "" {
				t.Errorf("keys were asked for %+v", source.asked[0])
			}
		})
	}
}

// A signature that fails is the only sign that a PEM document was replaced.
func TestRenewalOfKeysWithoutIDs(t *testing.T) {
	unnamed := func(key assertion.Key) []assertion.Key {
		key.Unnamed, key.ID = true, ""
		return []assertion.Key{key}
	}
	for _, test := range []struct {
		name   string
		source *keys
		reason grants.Reason
		asked  []bool // Renew of each query
	}{
		{"the first key fits: not renewed", &keys{answers: [][]assertion.Key{unnamed(rightKey())}}, "", []bool{false}},
		{"the renewed key fits", &keys{answers: [][]assertion.Key{unnamed(wrongKey()), unnamed(rightKey())}}, "", []bool{false, true}},
		{"renewed exactly once", &keys{answers: [][]assertion.Key{unnamed(wrongKey()), unnamed(wrongKey()), unnamed(rightKey())}},
			grants.SignatureInvalid, []bool{false, true}},
		{"the renewed document has no key", &keys{answers: [][]assertion.Key{unnamed(wrongKey()), nil}}, grants.KeyNotFound, []bool{false, true}},
		{"the renewed key is not usable", &keys{answers: [][]assertion.Key{unnamed(wrongKey()), problems(1)}}, grants.KeyUnusable, []bool{false, true}},
		{"the renewed document has too many", &keys{answers: [][]assertion.Key{unnamed(wrongKey()), repeated(9)}}, grants.KeyAmbiguous, []bool{false, true}},
		{"it cannot be fetched: nobody can tell", &keys{answers: [][]assertion.Key{unnamed(wrongKey())}, err: errors.New("down")},
			grants.KeysUnavailable, []bool{false, true}},
		{"named keys are not renewed (KEY-12)", finding(wrongKey()), grants.SignatureInvalid, []bool{false}},
	} {
		t.Run(test.name, func(t *testing.T) {
			claims, refusal := judge(sign(soundHeader, soundClaims), soundPolicy(), test.source)
			if test.reason != "" {
				wantReason(t, claims, refusal, test.reason, "")
			} else if refusal != nil {
				t.Error(refusal)
			}
			var asked []bool
			for _, query := range test.source.asked {
				asked = append(asked, query.Renew)
				if query.Ref != soundPolicy().Keys || query.KeyID != "k1" {
					t.Errorf("keys were asked for %+v", query)
				}
			}
			if !slices.Equal(asked, test.asked) {
				t.Errorf("renew: %v, want %v", asked, test.asked)
			}
		})
	}
}

// A key URL that is down never makes a good token "invalid": its client would
// throw it away.
func TestKeysThatAreNotAvailableAreNotTheTokensFault(t *testing.T) {
	down := errors.New("the key URL is down")
	claims, refusal := judge(sign(soundHeader, soundClaims), soundPolicy(), &keys{err: down})
	wantReason(t, claims, refusal, grants.KeysUnavailable, "cannot be used")
	if !errors.Is(refusal, down) {
		t.Error("the cause is lost")
	}
}

func TestTheContextReachesTheKeys(t *testing.T) {
	type name struct{}
	token, refusal := assertion.Parse(sign(soundHeader, soundClaims))
	if refusal != nil {
		t.Fatal(refusal)
	}
	var got any
	verifier := &assertion.Verifier{Now: func() time.Time { return now }, Keys: assertion.KeysFunc(func(ctx context.Context, _ assertion.KeyQuery) ([]assertion.Key, error) {
		got = ctx.Value(name{})
		return nil, nil
	})}
	_, refusal = verifier.Verify(context.WithValue(t.Context(), name{}, "here"), token, soundPolicy())
	if got != "here" || refusal.Reason != grants.KeyNotFound {
		t.Errorf("got %v, %v", got, refusal)
	}
}
