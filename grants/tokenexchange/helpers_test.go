package tokenexchange_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/grants/permissions"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
)

const (
	ourIssuer  = "https://cambio.example"
	acmeIssuer = "https://acme.example/"
	east       = "lockHolder.identifier:NO.919424508.east"
	north      = "lockHolder.identifier:NO.425234653.north"
	foreign    = "lockHolder.identifier:SE.1234."
	apiTarget  = "https://locks.example"
)

var (
	acmeKey  = sync.OnceValue(newKey)
	otherKey = sync.OnceValue(newKey)
)

// now is no whole second: lifetimes are cut off from the clock as it is.
var now = time.Unix(1_800_000_000, 250_000_000)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

type claims map[string]any

func soundClaims() claims {
	return claims{
		"iss": acmeIssuer, "sub": "auth0|1", "aud": []string{"api.unloc.app"}, "exp": now.Unix() + 3600, "iat": now.Unix() - 10,
		"permissions": []string{east, north},
	}
}

func (c claims) with(name string, value any) claims {
	c = maps.Clone(c)
	if c[name] = value; value == nil {
		delete(c, name)
	}
	return c
}

func (c claims) signedBy(key *rsa.PrivateKey) string {
	payload, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"k1"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// lockHolders are those the platform knows, with their ids; an id that starts
// with "!" is not managed.
type lockHolders map[string]string

func (lockHolders) Scope(string) (string, bool) { return "", false }

func (l lockHolders) LockHolder(i permissions.Identifier) (id string, managed, known bool) {
	id, known = l[i.String()]
	return id, known && !strings.HasPrefix(id, "!"), known
}

// world is what an exchange asks: whose policies, which keys, which targets.
type world struct {
	policies    []tokenexchange.Policy // those with Clientless in the URL are open to clientless exchange
	policiesErr error
	targetErr   error
	keys        map[string]*rsa.PublicKey // by key URL
	keysErr     map[string]error
	asked       []string                 // key URLs, in order
	looked      []string                 // integrators whose policies were asked for
	replays     tokenexchange.Replays    // nil: there are none
	maxLifetime time.Duration            // 0: an hour
	now         time.Time                // zero: now
	entitled    permissions.Entitlements // of newPolicy
}

func newWorld() *world {
	w := &world{
		keys:     map[string]*rsa.PublicKey{"https://acme.example/jwks": &acmeKey().PublicKey},
		keysErr:  map[string]error{},
		entitled: lockHolders{east: "id-east", north: "id-north", foreign: "!id-foreign"},
	}
	w.policies = []tokenexchange.Policy{w.policy("acme", "https://acme.example/jwks")}
	return w
}

func (w *world) policy(integratorID, url string) tokenexchange.Policy {
	return tokenexchange.Policy{
		Policy: assertion.Policy{
			Issuer: acmeIssuer, Audiences: []string{"api.unloc.app"}, Algorithms: []string{"RS256"},
			Keys: assertion.KeyRef{IntegratorID: integratorID, URL: url, Format: "jwks"},
		},
		IntegratorID: integratorID, IntegratorGeneration: 7, Entitlements: w.entitled,
	}
}

func (w *world) ForIntegrator(_ context.Context, integratorID, issuer string) ([]tokenexchange.Policy, error) {
	w.looked = append(w.looked, integratorID)
	return w.matching(issuer, func(p tokenexchange.Policy) bool { return p.IntegratorID == integratorID })
}

func (w *world) Clientless(_ context.Context, issuer string) ([]tokenexchange.Policy, error) {
	w.looked = append(w.looked, "*")
	return w.matching(issuer, func(p tokenexchange.Policy) bool { return strings.Contains(p.Keys.URL, "clientless") })
}

func (w *world) matching(issuer string, fits func(tokenexchange.Policy) bool) ([]tokenexchange.Policy, error) {
	if w.policiesErr != nil {
		return nil, w.policiesErr
	}
	return slices.DeleteFunc(slices.Clone(w.policies), func(p tokenexchange.Policy) bool { return p.Issuer != issuer || !fits(p) }), nil
}

func (w *world) Find(_ context.Context, query assertion.KeyQuery) ([]assertion.Key, error) {
	w.asked = append(w.asked, query.Ref.URL)
	if err := w.keysErr[query.Ref.URL]; err != nil {
		return nil, err
	}
	key := w.keys[query.Ref.URL]
	if key == nil {
		return nil, nil
	}
	return []assertion.Key{{ID: query.KeyID, Public: key}}, nil
}

func (w *world) Known(_ context.Context, target string) (bool, error) {
	return target == apiTarget, w.targetErr
}

func (w *world) Default() string { return "https://default.example" }

func (w *world) exchange(r tokenexchange.Request) (*tokenexchange.Decision, error) {
	return w.exchangeWith(w, r)
}

func (w *world) exchangeWith(policies tokenexchange.Policies, r tokenexchange.Request) (*tokenexchange.Decision, error) {
	clock := func() time.Time {
		if w.now.IsZero() {
			return now
		}
		return w.now
	}
	life := w.maxLifetime
	if life == 0 {
		life = time.Hour
	}
	x := &tokenexchange.Exchanger{
		Issuer: ourIssuer, Policies: policies, Verifier: &assertion.Verifier{Keys: w, Now: clock}, Targets: w, Replays: w.replays, MaxLifetime: life, Now: clock,
	}
	return x.Exchange(context.Background(), r)
}

func acmeClient() *grants.Client {
	return &grants.Client{ID: "acme-app", IntegratorID: "acme", Generations: grants.Generations{Integrator: 6, Client: 3}}
}

// request is a sound request of acme's client.
func request(token string) tokenexchange.Request {
	return tokenexchange.Request{SubjectToken: token, SubjectTokenType: grants.TokenTypeJWT, Client: acmeClient()}
}

// accepted asserts a decision and gives it.
func accepted(t *testing.T, d *tokenexchange.Decision, err error) *tokenexchange.Decision {
	t.Helper()
	if err != nil {
		var refusal *grants.Refusal
		errors.As(err, &refusal)
		t.Fatalf("refused: %v (expected %s, found %s)", err, refusal.Expected, refusal.Found)
	}
	return d
}

// refused asserts code, reason and a part of the description.
func refused(t *testing.T, d *tokenexchange.Decision, err error, code grants.Code, reason grants.Reason, text string) {
	t.Helper()
	var refusal *grants.Refusal
	switch {
	case err == nil:
		t.Fatalf("accepted: %+v", d)
	case d == nil:
		t.Fatal("a refusal has a decision for the record")
	case !errors.As(err, &refusal):
		t.Fatalf("%v is no refusal", err)
	case refusal.Code != code || refusal.Reason != reason || !strings.Contains(refusal.Description, text):
		t.Fatalf("got %v, want %s (%s): …%s…", err, code, reason, text)
	case !d.ExpiresAt.IsZero():
		t.Errorf("a refused exchange expires at %v", d.ExpiresAt)
	}
}
