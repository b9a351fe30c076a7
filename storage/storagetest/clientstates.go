package storagetest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

func stateRules() map[string]func(*testing.T, *storage.Store) {
	return map[string]func(*testing.T, *storage.Store){
		"a client's last use is no change of it":    testClientUses,
		"uses do not keep a client from its end":    testUsesOfDeletedClients,
		"what is known of clients is their owner's": testClientStates,
	}
}

// stateOf gives what is known of one client.
func stateOf(t *testing.T, s *storage.Store, c *registry.Client) registry.ClientState {
	t.Helper()
	states, err := s.ClientStates(t.Context(), []registry.Client{*c})
	ok(t, err)
	return states[c.ClientID]
}

func storeClient(t *testing.T, s *storage.Store, integratorID string) *registry.Client {
	t.Helper()
	c := newClient(integratorID)
	ok(t, s.CreateClient(t.Context(), c, registry.ClientTerms{AnyScope: true}))
	return c
}

// use is a granted attempt of a client.
func use(c *registry.Client, at time.Time) registry.Exchange {
	e := attempt(c.IntegratorID, "", at)
	e.ClientID = c.ClientID
	return e
}

func testClientUses(t *testing.T, s *storage.Store) {
	i := storeIntegrator(t, s)
	c, unused := storeClient(t, s, i.ID), storeClient(t, s, i.ID)
	directory, err := storage.NewDirectory(t.Context(), s)
	ok(t, err)
	before, err := directory.Snapshot()
	ok(t, err)
	now := time.Now().Truncate(time.Microsecond).UTC()
	for _, step := range []struct {
		name string
		at   time.Time
		want time.Time
	}{
		{"the first use", now, now}, {"a later one", now.Add(time.Second), now.Add(time.Second)},
		{"one that is told late", now.Add(-time.Hour), now.Add(time.Second)},
	} {
		tallied(t, s, use(c, step.at), use(c, step.at.Add(-time.Minute)))
		if got := stateOf(t, s, c).LastUsed; !got.Equal(step.want) {
			t.Errorf("%s: last used at %v, want %v", step.name, got, step.want)
		}
	}
	refusedUse, nobody, clientless := use(unused, now), use(c, now), use(c, now)
	refusedUse.Result, refusedUse.Code = registry.ResultRefused, "invalid_scope"
	nobody.ClientID, clientless.ClientID = "nobody", i.ID
	tallied(t, s, refusedUse, nobody, clientless)
	if got := stateOf(t, s, unused).LastUsed; !got.IsZero() {
		t.Errorf("a client that got no token was last used at %v", got)
	}
	read, err := s.Client(t.Context(), i.ID, c.ClientID)
	ok(t, err)
	if read.Object != c.Object {
		t.Errorf("its use changed the client from %+v to %+v", c.Object, read.Object)
	}
	if after, err := directory.Confirmed(t.Context()); err != nil || after != before {
		t.Errorf("its use is a change of the configuration (%v)", err)
	}
}

// Clients that are deleted while their uses are stored: neither fails, and
// nothing is left.
func testUsesOfDeletedClients(t *testing.T, s *storage.Store) {
	const clients = 60
	i := storeIntegrator(t, s)
	var all []*registry.Client
	for range clients {
		all = append(all, storeClient(t, s, i.ID))
	}
	var group sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		tally := storage.NewTally(s, quiet())
		group.Go(func() {
			for at := time.Now(); ; at = at.Add(time.Second) {
				for _, c := range all {
					e := use(c, at)
					tally.Count(&e)
				}
				if err := tally.Flush(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for _, c := range slices.Backward(all[clients/2:]) {
		ok(t, s.DeleteClient(t.Context(), i.ID, c.ClientID))
	}
	ok(t, s.DeleteIntegrator(t.Context(), i.ID)) // with all that are left
	close(done)
	group.Wait()
	if got := stateOf(t, s, all[0]); !got.LastUsed.IsZero() {
		t.Errorf("left: %v", got)
	}
}

func testClientStates(t *testing.T, s *storage.Store) {
	acme, other := storeIntegrator(t, s), storeIntegrator(t, s)
	first, foreign, last := storeClient(t, s, acme.ID), storeClient(t, s, other.ID), storeClient(t, s, acme.ID)
	now := time.Now()
	tallied(t, s, use(first, now), use(foreign, now), use(last, now))
	added, err := s.AddClientSecret(t.Context(), acme.ID, first.ClientID, registry.ClientSecret{Hash: []byte("another")}, time.Hour)
	ok(t, err)
	listed, err := s.Clients(t.Context(), acme.ID, registry.Page{Limit: 10})
	ok(t, err)
	states, err := s.ClientStates(t.Context(), listed)
	ok(t, err)
	want := slices.Sorted(slices.Values([]string{first.ClientID, last.ClientID}))
	if got := slices.Sorted(maps.Keys(states)); !slices.Equal(got, want) {
		t.Errorf("of %v, want %v", got, want)
	}
	secrets := states[first.ClientID].Secrets
	if len(secrets) != 2 || !secrets[0].CreatedAt.Equal(first.Secrets[0].CreatedAt) || secrets[0].ExpiresAt.IsZero() ||
		!secrets[1].CreatedAt.After(secrets[0].CreatedAt) || !secrets[1].ExpiresAt.IsZero() {
		t.Errorf("secrets: %v", secrets)
	}
	for i, secret := range secrets {
		if secret.Hash != nil || added[i].Hash != nil || !secret.CreatedAt.Equal(added[i].CreatedAt) || !secret.ExpiresAt.Equal(added[i].ExpiresAt) {
			t.Errorf("read %v, told when it was added %v", secret, added[i])
		}
	}
	if states, err = s.ClientStates(t.Context(), nil); err != nil || len(states) != 0 {
		t.Errorf("of none: %v %v", states, err)
	}
}
