package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// Run is the suite. open gives an empty store with the schema applied.
func Run(t *testing.T, open func(t *testing.T) *storage.Store) {
	for name, test := range map[string]func(*suite){
		"integrators live, change and die":            (*suite).integrators,
		"key URLs are their integrator's":             (*suite).keyURLs,
		"a clientless audience has one owner":         (*suite).clientless,
		"an issuer has one owner and few key URLs":    (*suite).keyURLBounds,
		"what is unlinked leaves the clients' scope":  (*suite).withdrawnScopes,
		"clients are their integrator's":              (*suite).clients,
		"the operator's client is ensured":            (*suite).operator,
		"the first operator is made once":             (*suite).firstOperator,
		"sessions of the panel end for good":          (*suite).sessions,
		"lock holders and links":                      (*suite).lockHolders,
		"resource servers":                            (*suite).resourceServers,
		"lists come in pages":                         (*suite).pages,
		"tokens die with what they came from":         (*suite).tokens,
		"tokens of one subject die together":          (*suite).subjects,
		"expired revocations go in batches":           (*suite).purge,
		"one active and one next signing key":         (*suite).signingKeys,
		"rotation is all or nothing":                  (*suite).rotation,
		"the exchange log":                            (*suite).exchangeLog,
		"refused records are bounded":                 (*suite).refusedRecords,
		"the directory follows changes":               (*suite).directory,
		"updates at once lose nothing":                (*suite).updatesAtOnce,
		"hostile ids do no harm":                      (*suite).hostileIDs,
		"a closed store knows nothing, not even that": (*suite).closed,
	} {
		t.Run(name, func(t *testing.T) { test(&suite{T: t, store: open(t)}) })
	}
	for _, tests := range []map[string]func(*testing.T, *storage.Store){rules(), keyRules(), countRules(), stateRules()} {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) { test(t, open(t)) })
		}
	}
}

type suite struct {
	*testing.T
	store *storage.Store
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) mustBe(want, err error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Fatalf("got %v, want %v", err, want)
	}
}

func (s *suite) integrator(name string) *registry.Integrator {
	s.Helper()
	i := &registry.Integrator{Name: name, Status: registry.Active}
	s.must(s.store.CreateIntegrator(s.Context(), i))
	return i
}

func keyURL(integratorID, issuer, url string) *registry.KeyURL {
	return &registry.KeyURL{
		IntegratorID: integratorID, Issuer: issuer, URL: url, Format: "auto", Status: registry.Active,
		TokenRules: registry.TokenRules{
			Algorithms: []string{"RS256", "ES256"}, AudienceClaims: []string{"aud"}, RequiredClaims: []registry.RequiredClaim{},
			PermissionsClaims: []string{"permissions"}, PermissionsFormat: registry.FormatArray, MaxLifetime: registry.Seconds(90 * time.Second),
		},
	}
}

func client(integratorID string) *registry.Client {
	return &registry.Client{
		Owner: registry.OwnerIntegrator, IntegratorID: integratorID, Name: "backend", AuthMethod: registry.AuthBasic,
		GrantTypes: []string{"client_credentials"}, Status: registry.Active,
		Secrets: []registry.ClientSecret{{Hash: []byte("0123456789abcdef0123456789abcdef")}},
	}
}

func (s *suite) integrators() {
	ctx, store := s.Context(), s.store
	before := time.Now().Add(-time.Second)
	i := s.integrator("Acme")
	read, err := store.Integrator(ctx, i.ID)
	s.must(err)
	if *read != *i || i.Generation != 1 || i.Revision != 1 || i.CreatedAt.Before(before) || i.CreatedAt.Location() != time.UTC {
		s.Errorf("created %+v, read %+v", i, read)
	}
	stale := *i
	i.Name, i.Status = "Renamed", registry.Disabled
	s.must(store.UpdateIntegrator(ctx, i))
	read, err = store.Integrator(ctx, i.ID)
	s.must(err)
	if read.Name != "Renamed" || read.Generation != 2 || read.Revision != 2 || i.Revision != 2 {
		s.Errorf("disabling must raise the generation: %+v", read)
	}
	i.Status = registry.Active
	s.must(store.UpdateIntegrator(ctx, i))
	if read, err = store.Integrator(ctx, i.ID); err != nil || read.Generation != 2 {
		s.Errorf("enabling must not lower it: %+v %v", read, err)
	}
	s.mustBe(registry.ErrStale, store.UpdateIntegrator(ctx, &stale))
	s.must(store.RevokeIntegratorTokens(ctx, i.ID))
	s.must(store.DeleteIntegrator(ctx, i.ID))
	s.mustBe(registry.ErrNotFound, store.DeleteIntegrator(ctx, i.ID))
	s.mustBe(registry.ErrNotFound, store.UpdateIntegrator(ctx, i))
	s.mustBe(registry.ErrNotFound, store.RevokeIntegratorTokens(ctx, i.ID))
	_, err = store.Integrator(ctx, i.ID)
	s.mustBe(registry.ErrNotFound, err)
}

func (s *suite) keyURLs() {
	ctx, store := s.Context(), s.store
	acme, other := s.integrator("Acme"), s.integrator("Other")
	k := keyURL(acme.ID, "https://a.example/", "https://a.example/jwks")
	k.Audiences = []string{"x", "y"}
	s.must(store.CreateKeyURL(ctx, k, registry.KeyURLTerms{SharedIssuer: true}))
	s.mustBe(registry.ErrConflict, store.CreateKeyURL(ctx, keyURL(acme.ID, k.Issuer, k.URL), registry.KeyURLTerms{SharedIssuer: true}))
	s.must(store.CreateKeyURL(ctx, keyURL(acme.ID, k.Issuer, "https://a.example/new"), registry.KeyURLTerms{SharedIssuer: true})) // moving to another
	s.must(store.CreateKeyURL(ctx, keyURL(other.ID, k.Issuer, k.URL), registry.KeyURLTerms{SharedIssuer: true}))
	s.mustBe(registry.ErrNotFound, store.CreateKeyURL(ctx, keyURL("nobody", "x", "y"), registry.KeyURLTerms{SharedIssuer: true}))
	read, err := store.KeyURL(ctx, acme.ID, k.ID)
	s.must(err)
	if fmt.Sprint(*read) != fmt.Sprint(*k) {
		s.Errorf("created %+v\nread    %+v", k, read)
	}
	for _, stranger := range []string{other.ID, "", "me"} { // the tenant filter
		_, err = store.KeyURL(ctx, stranger, k.ID)
		s.mustBe(registry.ErrNotFound, err)
		s.mustBe(registry.ErrNotFound, store.DeleteKeyURL(ctx, stranger, k.ID, registry.KeyURLTerms{}))
	}
	k.AllowIDToken, k.Audiences, k.Status = true, nil, registry.Disabled
	s.must(store.UpdateKeyURL(ctx, k, registry.KeyURLTerms{SharedIssuer: true}))
	k.AllowIDToken = false // a zero value is stored, too
	s.must(store.UpdateKeyURL(ctx, k, registry.KeyURLTerms{SharedIssuer: true}))
	if read, err = store.KeyURL(ctx, acme.ID, k.ID); err != nil || read.AllowIDToken || len(read.Audiences) != 0 || read.Status != registry.Disabled {
		s.Errorf("%+v %v", read, err)
	}
	s.must(store.DeleteKeyURL(ctx, acme.ID, k.ID, registry.KeyURLTerms{}))
	s.must(store.DeleteIntegrator(ctx, acme.ID))
	if list, err := store.KeyURLs(ctx, acme.ID, registry.Page{Limit: 10}); err != nil || len(list) != 0 {
		s.Errorf("a deleted integrator has key URLs: %v %v", list, err)
	}
	if list, err := store.KeyURLs(ctx, other.ID, registry.Page{Limit: 10}); err != nil || len(list) != 1 {
		s.Errorf("the other one lost its own: %v %v", list, err)
	}
}

func (s *suite) clientless() {
	ctx, store := s.Context(), s.store
	acme, other := s.integrator("Acme"), s.integrator("Other")
	open := func(integratorID, url string, audiences ...string) *registry.KeyURL {
		k := keyURL(integratorID, "https://a.example/", url)
		k.Clientless, k.Audiences = true, audiences
		return k
	}
	fallback := registry.KeyURLTerms{Audiences: []string{"server"}, SharedIssuer: true}
	first, sibling := open(acme.ID, "1", "x"), open(acme.ID, "2", "x", "y")
	s.must(store.CreateKeyURL(ctx, first, fallback))
	s.must(store.CreateKeyURL(ctx, sibling, fallback)) // one integrator may share
	s.mustBe(registry.ErrConflict, store.CreateKeyURL(ctx, open(other.ID, "3", "y"), fallback))
	s.must(store.CreateKeyURL(ctx, open(other.ID, "4"), fallback))
	s.mustBe(registry.ErrConflict, store.CreateKeyURL(ctx, open(acme.ID, "5"), fallback))
	closed := keyURL(other.ID, "https://a.example/", "6")
	closed.Audiences = []string{"x"}
	s.must(store.CreateKeyURL(ctx, closed, fallback))
	closed.Clientless = true
	s.mustBe(registry.ErrConflict, store.UpdateKeyURL(ctx, closed, fallback))
	if read, err := store.KeyURL(ctx, other.ID, closed.ID); err != nil || read.Clientless {
		s.Errorf("a refused change was stored: %+v %v", read, err)
	}
	s.must(store.DeleteKeyURL(ctx, acme.ID, first.ID, fallback))
	s.mustBe(registry.ErrConflict, store.CreateKeyURL(ctx, open(other.ID, "7", "x"), fallback)) // the sibling holds it
	sibling.Status = registry.Disabled
	s.must(store.UpdateKeyURL(ctx, sibling, fallback))
	s.mustBe(registry.ErrConflict, store.CreateKeyURL(ctx, open(other.ID, "8", "x"), fallback)) // while disabled, too
	s.must(store.DeleteKeyURL(ctx, acme.ID, sibling.ID, fallback))
	s.must(store.CreateKeyURL(ctx, open(other.ID, "9", "x"), fallback))
	s.must(store.DeleteIntegrator(ctx, other.ID))
	s.must(store.CreateKeyURL(ctx, open(acme.ID, "10"), fallback))
	// The server's audiences are others after a restart.
	s.must(store.ReserveAudiences(ctx, []string{"renamed"}))
	third := s.integrator("Third")
	s.mustBe(registry.ErrConflict, store.CreateKeyURL(ctx, open(third.ID, "11", "renamed"), fallback))
	s.must(store.CreateKeyURL(ctx, open(third.ID, "12", "server"), fallback))
}

// keyURLBounds: an issuer's name is its first owner's, unless an operator says
// otherwise, and one token never costs more than a few fetches.
func (s *suite) keyURLBounds() {
	ctx, store := s.Context(), s.store
	acme, thief := s.integrator("Acme"), s.integrator("Thief")
	own, shared := registry.KeyURLTerms{}, registry.KeyURLTerms{SharedIssuer: true}
	s.must(store.CreateKeyURL(ctx, keyURL(acme.ID, "https://a.example/", "0"), own))
	s.mustBe(registry.ErrConflict, store.CreateKeyURL(ctx, keyURL(thief.ID, "https://a.example/", "x"), own))
	elsewhere := keyURL(thief.ID, "https://b.example/", "x")
	s.must(store.CreateKeyURL(ctx, elsewhere, own))
	elsewhere.Issuer = "https://a.example/"
	s.mustBe(registry.ErrConflict, store.UpdateKeyURL(ctx, elsewhere, own))
	s.must(store.CreateKeyURL(ctx, keyURL(thief.ID, "https://a.example/", "y"), shared))
	for n := 1; n < registry.MaxKeyURLsPerIssuer; n++ {
		s.must(store.CreateKeyURL(ctx, keyURL(acme.ID, "https://a.example/", fmt.Sprint(n)), shared))
	}
	s.mustBe(registry.ErrConflict, store.CreateKeyURL(ctx, keyURL(acme.ID, "https://a.example/", "one more"), shared))
	for n := registry.MaxKeyURLsPerIssuer; n < registry.MaxKeyURLs; n++ {
		s.must(store.CreateKeyURL(ctx, keyURL(acme.ID, fmt.Sprint("https://", n, ".example/"), "z"), own))
	}
	s.mustBe(registry.ErrConflict, store.CreateKeyURL(ctx, keyURL(acme.ID, "https://one-more.example/", "z"), own))
}

func (s *suite) clients() {
	ctx, store := s.Context(), s.store
	acme, other := s.integrator("Acme"), s.integrator("Other")
	c := client(acme.ID)
	s.must(store.CreateClient(ctx, c, registry.ClientTerms{AnyScope: true}))
	if c.ClientID != c.ID || c.Generation != 1 {
		s.Errorf("%+v", c)
	}
	read, err := store.Client(ctx, acme.ID, c.ClientID)
	s.must(err)
	if read.Scopes != nil || read.Secrets != nil || !slices.Equal(read.GrantTypes, c.GrantTypes) {
		s.Errorf("no scope must stay no scope, and secrets are not read: %+v", read)
	}
	for _, stranger := range []string{other.ID, ""} {
		_, err = store.Client(ctx, stranger, c.ClientID)
		s.mustBe(registry.ErrNotFound, err)
		s.mustBe(registry.ErrNotFound, store.DeleteClient(ctx, stranger, c.ClientID))
	}
	generation := func() int64 {
		state, err := store.TokenState(ctx, storage.TokenQuery{ID: "jti", IntegratorID: acme.ID, ClientID: c.ClientID})
		s.must(err)
		return state.Generations.Client
	}
	read.Name = "renamed"
	s.must(store.UpdateClient(ctx, read, registry.ClientTerms{AnyScope: true}))
	if generation() != 1 {
		s.Error("another name must not end tokens")
	}
	read.Scopes = []string{"a", "b"}
	s.must(store.UpdateClient(ctx, read, registry.ClientTerms{AnyScope: true}))
	if generation() != 2 {
		s.Error("another scope must end tokens")
	}
	read.Status = registry.Disabled
	s.must(store.UpdateClient(ctx, read, registry.ClientTerms{AnyScope: true}))
	if generation() != -1 {
		s.Error("a disabled client has no generation")
	}
	read.Status, read.Scopes = registry.Active, nil
	s.must(store.UpdateClient(ctx, read, registry.ClientTerms{AnyScope: true}))
	if generation() != 4 {
		s.Errorf("generation %d: disabling and the scope raise it once each", generation())
	}
	s.must(store.DeleteClient(ctx, acme.ID, c.ClientID))
	s.mustBe(registry.ErrNotFound, store.UpdateClient(ctx, read, registry.ClientTerms{AnyScope: true}))
	s.mustBe(registry.ErrNotFound, store.CreateClient(ctx, client("nobody"), registry.ClientTerms{AnyScope: true}))
}

func (s *suite) operator() {
	ctx, store := s.Context(), s.store
	operator := func(id, hash string) *registry.Client {
		return &registry.Client{
			ClientID: id, Owner: registry.OwnerOperator, Name: "operator", AuthMethod: registry.AuthBasic, Scopes: []string{"admin"},
			GrantTypes: []string{"client_credentials"}, Status: registry.Active, Secrets: []registry.ClientSecret{{Hash: []byte(hash)}},
		}
	}
	results := make(chan error)
	for range 8 {
		go func() { results <- store.EnsureOperator(ctx, operator("op", "first")) }()
	}
	for range 8 {
		s.must(<-results)
	}
	generation := func() int64 {
		state, err := store.TokenState(ctx, storage.TokenQuery{ID: "jti", IntegratorID: "", ClientID: "op"})
		s.must(err)
		return state.Generations.Client
	}
	before := generation()
	s.must(store.EnsureOperator(ctx, operator("op", "first")))
	if generation() != before {
		s.Error("ensuring what is must change nothing")
	}
	s.must(store.EnsureOperator(ctx, operator("op", "second")))
	if generation() != before+1 {
		s.Error("another secret must end the tokens of the old one")
	}
	s.must(store.EnsureOperator(ctx, operator("renamed", "third")))
	if generation() != -1 {
		s.Error("the operator's client of another name must be dead")
	}
	acme := s.integrator("Acme")
	c := client(acme.ID)
	s.must(store.CreateClient(ctx, c, registry.ClientTerms{AnyScope: true}))
	s.mustBe(registry.ErrConflict, store.EnsureOperator(ctx, operator(c.ClientID, "x")))
}
