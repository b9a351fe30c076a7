package assertion_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
)

var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	otherKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
)

// now is no whole second, so that boundaries are those of the clock.
var now = time.Unix(1_800_000_000, 500_000_000)

const second = 1_800_000_000 // the one now is in

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// members is a JSON object whose values are written as they stand.
type members map[string]string

func (m members) String() string {
	raw := map[string]json.RawMessage{}
	for name, value := range m {
		raw[name] = json.RawMessage(value)
	}
	return string(must(json.Marshal(raw)))
}

// with gives a copy with some members set; the empty value takes one away.
func (m members) with(pairs ...string) members {
	m = maps.Clone(m)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
		if pairs[i+1] == "" {
			delete(m, pairs[i])
		}
	}
	return m
}

// soundHeader and soundClaims make a token that policy accepts: every refusal
// in these tests is one change away from an acceptance.
var soundHeader = members{"alg": `"RS256"`, "kid": `"k1"`, "typ": `"JWT"`}

var soundClaims = members{
	"iss": `"https://acme.example/"`, "sub": `"auth0|1"`, "aud": `["api.unloc.app","https://acme.example/userinfo"]`,
	"exp": "1800003600", "iat": "1799999990", "permissions": `["lockHolder.identifier:NO.919424508.east"]`,
}

func soundPolicy() *assertion.Policy {
	return &assertion.Policy{
		Issuer: "https://acme.example/", Audiences: []string{"api.unloc.app", "api.cambio.example"}, Algorithms: []string{"RS256"},
		Keys: assertion.KeyRef{IntegratorID: "acme", URL: "https://acme.example/jwks.json", Format: "jwks"},
	}
}

// signText signs with RS256, by hand, whatever stands in header and payload.
func signText(key *rsa.PrivateKey, header, payload string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	digest := sha256.Sum256([]byte(signed))
	return signed + "." + b64(must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])))
}

func sign(header, claims members) string {
	return signText(rsaKey(), header.String(), claims.String())
}

// signAs signs with any algorithm and key.
func signAs(algorithm jose.SignatureAlgorithm, key any, claims members) string {
	options := (&jose.SignerOptions{}).WithHeader("kid", "k1")
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options))
	return must(must(signer.Sign([]byte(claims.String()))).CompactSerialize())
}

// keys answers with one set after the other, the last one again and again, and
// remembers what it was asked.
type keys struct {
	answers [][]assertion.Key
	err     error
	asked   []assertion.KeyQuery
}

func (k *keys) Find(_ context.Context, query assertion.KeyQuery) ([]assertion.Key, error) {
	k.asked = append(k.asked, query)
	if k.err != nil && len(k.answers) < len(k.asked) {
		return nil, k.err
	}
	if len(k.answers) == 0 {
		return nil, nil
	}
	return k.answers[min(len(k.asked), len(k.answers))-1], nil
}

// finding gives the same keys at every look-up.
func finding(found ...assertion.Key) *keys { return &keys{answers: [][]assertion.Key{found}} }

func rightKey() assertion.Key { return assertion.Key{ID: "k1", Public: &rsaKey().PublicKey} }
func wrongKey() assertion.Key { return assertion.Key{ID: "k1", Public: &otherKey().PublicKey} }

// judge parses and verifies under the clock of these tests.
func judge(raw string, policy *assertion.Policy, source assertion.Keys) (*assertion.Claims, *grants.Refusal) {
	token, refusal := assertion.Parse(raw)
	if refusal != nil {
		return nil, refusal
	}
	verifier := &assertion.Verifier{Keys: source, Now: func() time.Time { return now }}
	return verifier.Verify(context.Background(), token, policy)
}

// wantReason asserts why a token was refused: by the code, by the reason, and
// by a part of what the refusal says was expected or found.
func wantReason(t *testing.T, claims *assertion.Claims, refusal *grants.Refusal, reason grants.Reason, text string) {
	t.Helper()
	switch {
	case refusal == nil:
		t.Fatalf("accepted, want %s", reason)
	case claims != nil:
		t.Error("a refusal came with claims")
	}
	code := grants.InvalidRequest // RFC 8693 §2.2.2
	if reason == grants.KeysUnavailable {
		code = grants.TemporarilyUnavailable
	}
	says := refusal.Description + "; expected " + refusal.Expected + "; found " + refusal.Found
	if refusal.Code != code || refusal.Reason != reason || !strings.Contains(says, text) {
		t.Fatalf("got %s %s: %s\nwant %s %s: …%s…", refusal.Code, refusal.Reason, says, code, reason, text)
	}
}

// refused judges a whole token and asserts that no keys were asked for.
func refused(t *testing.T, raw string, reason grants.Reason, text string) {
	t.Helper()
	source := finding(rightKey())
	claims, refusal := judge(raw, soundPolicy(), source)
	wantReason(t, claims, refusal, reason, text)
	if len(source.asked) != 0 {
		t.Error("keys were asked for")
	}
}

// accepted judges a token that has nothing wrong with it.
func accepted(t *testing.T, raw string) {
	t.Helper()
	if _, refusal := judge(raw, soundPolicy(), finding(rightKey())); refusal != nil {
		t.Errorf("%v; expected %s; found %s", refusal, refusal.Expected, refusal.Found)
	}
}
