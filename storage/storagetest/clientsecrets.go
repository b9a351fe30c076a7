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
	ok(t, store.CreateClient(t.Context(), c))
	add := func(hash string, overlap time.Duration) error {
		return store.AddClientSecret(t.Context(), i.ID, c.ClientID, registry.ClientSecret{Hash: []byte(hash)}, overlap)
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
		"another integrator's": store.AddClientSecret(t.Context(), "other", c.ClientID, registry.ClientSecret{Hash: []byte("x")}, 0),
		"no integrator's":      store.AddClientSecret(t.Context(), "", c.ClientID, registry.ClientSecret{Hash: []byte("x")}, 0),
		"nobody's":             store.AddClientSecret(t.Context(), i.ID, "unknown", registry.ClientSecret{Hash: []byte("x")}, 0),
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
	ok(t, store.CreateClient(t.Context(), c))
	c.AuthMethod, c.JWKS = registry.AuthKey, `{"keys":[]}`
	ok(t, store.UpdateClient(t.Context(), c))
	read, err := store.Client(t.Context(), i.ID, c.ClientID)
	ok(t, err)
	if read.JWKS != c.JWKS || read.JWKSURI != "" || read.AuthMethod != registry.AuthKey {
		t.Errorf("got %+v", read)
	}
	if live := liveSecrets(t, store, c.ClientID); len(live) != 0 {
		t.Errorf("with a key of its own it still has secrets: %v", live)
	}
	c.JWKS, c.JWKSURI = "", "https://client.example/jwks"
	ok(t, store.UpdateClient(t.Context(), c))
	if read, err = store.Client(t.Context(), i.ID, c.ClientID); err != nil || read.JWKS != "" || read.JWKSURI != c.JWKSURI {
		t.Errorf("got %+v %v", read, err)
	}
}
