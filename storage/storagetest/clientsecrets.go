package storagetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// liveSecrets gives what replicas know of a client's secrets.
func liveSecrets(t *testing.T, store *storage.Store, clientID string) map[string]time.Time {
	t.Helper()
	directory, err := storage.NewDirectory(t.Context(), store)
	ok(t, err)
	snapshot, err := directory.Snapshot()
	ok(t, err)
	live := map[string]time.Time{}
	for _, secret := range snapshot.Client(clientID).Secrets {
		live[string(secret.Hash)] = secret.ExpiresAt
	}
	return live
}

func testClientSecrets(t *testing.T, store *storage.Store) {
	i := &registry.Integrator{Name: "Acme", Status: registry.Active}
	ok(t, store.CreateIntegrator(t.Context(), i))
	c := client(i.ID)
	c.Secrets = []registry.ClientSecret{{Hash: []byte("first")}}
	ok(t, store.CreateClient(t.Context(), c, registry.ClientTerms{AnyScope: true}))
	add := func(hash string, overlap time.Duration) error {
		return second(store.AddClientSecret(t.Context(), i.ID, c.ClientID, registry.ClientSecret{Hash: []byte(hash)}, overlap))
	}
	ends := func(hash string, in time.Duration) {
		t.Helper()
		at, there := liveSecrets(t, store, c.ClientID)[hash]
		if left := time.Until(at); !there || in == 0 && !at.IsZero() || in > 0 && (left > in || left < in-time.Minute) {
			t.Errorf("%s ends at %v, there: %v", hash, at, there)
		}
	}
	ok(t, add("second", time.Hour))
	ends("first", time.Hour)
	ends("second", 0)
	ok(t, add("third", 2*time.Hour))
	ends("first", time.Hour) // never later than it was
	ends("second", 2*time.Hour)
	ok(t, add("fourth", 0))
	if live := liveSecrets(t, store, c.ClientID); len(live) != 1 || !live["fourth"].IsZero() {
		t.Errorf("without overlap there is one secret: %v", live)
	}
	for n := range registry.MaxClientSecrets - 1 {
		ok(t, add(fmt.Sprint(n), time.Hour))
	}
	if err := add("too many", time.Hour); !errors.Is(err, registry.ErrConflict) {
		t.Errorf("got %v", err)
	}
	ends(fmt.Sprint(registry.MaxClientSecrets-2), 0) // the refused one ended nothing
	ok(t, add("last", 0))
	for name, err := range map[string]error{
		"another integrator's": second(store.AddClientSecret(t.Context(), "other", c.ClientID, registry.ClientSecret{Hash: []byte("x")}, 0)),
		"no integrator's":      second(store.AddClientSecret(t.Context(), "", c.ClientID, registry.ClientSecret{Hash: []byte("x")}, 0)),
		"nobody's":             second(store.AddClientSecret(t.Context(), i.ID, "unknown", registry.ClientSecret{Hash: []byte("x")}, 0)),
	} {
		if !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%s client: %v", name, err)
		}
	}
	ends("last", 0)
}

func testClientKeys(t *testing.T, store *storage.Store) {
	i := &registry.Integrator{Name: "Acme", Status: registry.Active}
	ok(t, store.CreateIntegrator(t.Context(), i))
	c := client(i.ID)
	ok(t, store.CreateClient(t.Context(), c, registry.ClientTerms{AnyScope: true}))
	c.AuthMethod, c.JWKS = registry.AuthKey, `{"keys":[]}`
	ok(t, store.UpdateClient(t.Context(), c, registry.ClientTerms{AnyScope: true}))
	read, err := store.Client(t.Context(), i.ID, c.ClientID)
	ok(t, err)
	if read.JWKS != c.JWKS || read.JWKSURI != "" || read.AuthMethod != registry.AuthKey {
		t.Errorf("got %+v", read)
	}
	if live := liveSecrets(t, store, c.ClientID); len(live) != 0 {
		t.Errorf("with a key of its own it still has secrets: %v", live)
	}
	c.JWKS, c.JWKSURI = "", "https://client.example/jwks"
	ok(t, store.UpdateClient(t.Context(), c, registry.ClientTerms{AnyScope: true}))
	if read, err = store.Client(t.Context(), i.ID, c.ClientID); err != nil || read.JWKS != "" || read.JWKSURI != c.JWKSURI {
		t.Errorf("got %+v %v", read, err)
	}
}

// What entitles an integrator to a scope is looked at where nothing can change
// meanwhile.
func testEntitledClients(t *testing.T, store *storage.Store) {
	i := &registry.Integrator{Name: "Acme", Status: registry.Active}
	ok(t, store.CreateIntegrator(t.Context(), i))
	rule := &registry.ScopeRule{IntegratorID: i.ID, Permission: "read:*", Scope: "$1.read"}
	ok(t, store.CreateScopeRule(t.Context(), rule))
	own := registry.ClientTerms{}
	c := client(i.ID)
	c.Secrets, c.Scopes = nil, []string{"orders.read", "integrator.admin"}
	ok(t, store.CreateClient(t.Context(), c, own))
	refused := func(what string, err error) {
		t.Helper()
		if invalid := (registry.Invalid{}); !errors.As(err, &invalid) || len(invalid) != 1 || invalid[0].Code != "not_entitled" {
			t.Errorf("%s: %v", what, err)
		}
	}
	other := client(i.ID)
	other.Secrets, other.Scopes = nil, []string{"orders.write"}
	refused("no rule gives it", store.CreateClient(t.Context(), other, own))
	ok(t, store.CreateClient(t.Context(), other, registry.ClientTerms{AnyScope: true}))
	other.Name = "renamed"
	ok(t, store.UpdateClient(t.Context(), other, own)) // what an operator gave may stay
	other.Scopes = append(other.Scopes, "orders.delete")
	refused("one more", store.UpdateClient(t.Context(), other, own))
	ok(t, store.DeleteScopeRule(t.Context(), i.ID, rule.ID))
	read, err := store.Client(t.Context(), i.ID, c.ClientID)
	ok(t, err)
	if len(read.Scopes) != 1 || read.Scopes[0] != "integrator.admin" || !read.UpdatedAt.After(read.CreatedAt) {
		t.Errorf("after the rule is gone: %+v", read)
	}
	c = client(i.ID)
	c.Secrets, c.Scopes = nil, []string{"orders.read"}
	refused("the rule is gone", store.CreateClient(t.Context(), c, own))
}

// A client that turns to a key of its own gets no secret, whoever looked before.
func testNoSecretForKeys(t *testing.T, store *storage.Store) {
	i := &registry.Integrator{Name: "Acme", Status: registry.Active}
	ok(t, store.CreateIntegrator(t.Context(), i))
	for _, method := range []string{registry.AuthKey, registry.AuthNone} {
		c := client(i.ID)
		c.Secrets, c.AuthMethod, c.JWKSURI = nil, method, "https://client.example/jwks"
		ok(t, store.CreateClient(t.Context(), c, registry.ClientTerms{AnyScope: true}))
		_, err := store.AddClientSecret(t.Context(), i.ID, c.ClientID, registry.ClientSecret{Hash: []byte("x")}, 0)
		if !errors.Is(err, registry.ErrConflict) {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// Keys behind a client's jwks_uri are kept as those of a key URL are.
func testClientKeyDocuments(t *testing.T, store *storage.Store) {
	i := &registry.Integrator{Name: "Acme", Status: registry.Active}
	ok(t, store.CreateIntegrator(t.Context(), i))
	c := client(i.ID)
	c.Secrets, c.AuthMethod, c.JWKSURI = nil, registry.AuthKey, "https://client.example/jwks"
	ok(t, store.CreateClient(t.Context(), c, registry.ClientTerms{AnyScope: true}))
	d := document(c.KeySource(), 0, time.Now())
	ok(t, store.SaveKeyDocument(t.Context(), d))
	savedDocument(t, store, c.KeySource())
	c.JWKSURI += "2"
	ok(t, store.UpdateClient(t.Context(), c, registry.ClientTerms{AnyScope: true}))
	if all, err := store.KeyDocuments(t.Context(), i.ID); err != nil || len(all) != 0 {
		t.Errorf("another jwks_uri: %v %v", all, err)
	}
	ok(t, store.SaveKeyDocument(t.Context(), document(c.KeySource(), 0, time.Now())))
	ok(t, store.DeleteClient(t.Context(), i.ID, c.ClientID))
	if all, err := store.KeyDocuments(t.Context(), i.ID); err != nil || len(all) != 0 {
		t.Errorf("no client: %v %v", all, err)
	}
}
