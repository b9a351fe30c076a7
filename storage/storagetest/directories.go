package storagetest

import (
	"context"
	"sync"
	"testing"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// directoryStep is a change and how it is seen.
type directoryStep struct {
	name string
	make func() error
	seen func(*registry.Snapshot) bool
}

// directorySteps are changes of every kind, each on top of those before.
func directorySteps(t *testing.T, s *storage.Store) []directoryStep {
	i, h := storeIntegrator(t, s), storeLockHolder(t, s)
	link := registry.Link{IntegratorID: i.ID, LockHolderID: h.ID}
	k, c := newKeyURL(i.ID), newClient(i.ID)
	k.Clientless = true
	server, introspects := newResourceServer()
	return []directoryStep{
		{"a key URL", func() error { return s.CreateKeyURL(t.Context(), k, shared) },
			func(v *registry.Snapshot) bool {
				return len(v.KeyURLs(i.ID, k.Issuer)) == 1 && len(v.Clientless(k.Issuer)) == 1
			}},
		{"a client", func() error { return s.CreateClient(t.Context(), c, registry.ClientTerms{AnyScope: true}) },
			func(v *registry.Snapshot) bool { return v.Client(c.ClientID) != nil }},
		{"a link", func() error { return s.Link(t.Context(), link) },
			func(v *registry.Snapshot) bool { return v.Manages(i.ID, h.ID) }},
		{"a resource server", func() error { return s.CreateResourceServer(t.Context(), server, introspects) },
			func(v *registry.Snapshot) bool { return v.HasAudience(server.Audience) }},
		{"a raised generation", func() error { return s.RevokeIntegratorTokens(t.Context(), i.ID) },
			func(v *registry.Snapshot) bool { return v.Integrator(i.ID).Generation == 2 }},
		{"a disabled client", func() error {
			c.Status = registry.Disabled
			return s.UpdateClient(t.Context(), c, registry.ClientTerms{AnyScope: true})
		}, func(v *registry.Snapshot) bool { return v.Client(c.ClientID).Status == registry.Disabled }},
		{"a disabled key URL", func() error {
			k.Status = registry.Disabled
			return s.UpdateKeyURL(t.Context(), k, shared)
		}, func(v *registry.Snapshot) bool {
			return len(v.KeyURLs(i.ID, k.Issuer)) == 0 && len(v.Clientless(k.Issuer)) == 0
		}},
		{"a renamed lock holder", func() error {
			h.CountryISO = "NO"
			return s.UpdateLockHolder(t.Context(), h)
		}, func(v *registry.Snapshot) bool {
			_, known := v.LockHolder("NO", h.OrganizationID, h.OrganizationIDSuffix)
			_, old := v.LockHolder("DK", h.OrganizationID, h.OrganizationIDSuffix)
			return known && !old
		}},
		{"a link less", func() error { return s.Unlink(t.Context(), link) },
			func(v *registry.Snapshot) bool { return !v.Manages(i.ID, h.ID) }},
		{"a deleted integrator", func() error { return s.DeleteIntegrator(t.Context(), i.ID) },
			func(v *registry.Snapshot) bool { return v.Integrator(i.ID) == nil && v.Client(c.ClientID) == nil }},
	}
}

func testDirectory(t *testing.T, s *storage.Store) {
	directory, err := storage.NewDirectory(t.Context(), s)
	ok(t, err)
	refreshed := func(t *testing.T) *registry.Snapshot {
		t.Helper()
		ok(t, directory.Refresh(t.Context()))
		snapshot, err := directory.Snapshot()
		ok(t, err)
		return snapshot
	}
	for _, step := range directorySteps(t, s) {
		before := refreshed(t)
		if step.seen(before) {
			t.Fatalf("%s was there before", step.name)
		}
		if refreshed(t) != before {
			t.Errorf("before %s: a look at an unchanged database built another snapshot", step.name)
		}
		ok(t, step.make())
		if !step.seen(refreshed(t)) {
			t.Errorf("%s is not seen", step.name)
		}
		if step.seen(before) {
			t.Errorf("%s appeared in a snapshot from before it", step.name)
		}
	}
	t.Run("what fails to change moves nothing", func(t *testing.T) {
		before := refreshed(t)
		is(t, s.DeleteIntegrator(t.Context(), "nobody"), registry.ErrNotFound)
		is(t, s.Link(t.Context(), registry.Link{}), registry.ErrNotFound)
		if refreshed(t) != before {
			t.Error("it moved the counter of changes")
		}
	})
	t.Run("Confirmed knows what was stored before it was called", func(t *testing.T) {
		added := storeIntegrator(t, s)
		if v, err := directory.Confirmed(t.Context()); err != nil || v.Integrator(added.ID) == nil {
			t.Errorf("it does not: %v", err)
		}
	})
	t.Run("whoever waits for a look does not fail because another went away", func(t *testing.T) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		ok(t, directory.Refresh(gone))
	})
	t.Run("when the database is gone nothing is confirmed", func(t *testing.T) {
		ok(t, s.Close())
		if _, err := directory.Confirmed(t.Context()); err == nil || domain(err) {
			t.Errorf("got %v", err)
		}
		if err := directory.Refresh(t.Context()); err == nil || domain(err) {
			t.Errorf("got %v", err)
		}
		if _, err := storage.NewDirectory(t.Context(), s); err == nil || domain(err) {
			t.Errorf("got %v", err)
		}
	})
}

// testDirectoryUnderLoad: readers see the configuration as of one moment,
// never half of a change, and what they have seen stays seen.
func testDirectoryUnderLoad(t *testing.T, s *storage.Store) {
	directory, err := storage.NewDirectory(t.Context(), s)
	ok(t, err)
	made := &madeClients{}
	done := make(chan struct{})
	var writers, readers sync.WaitGroup
	for range 4 {
		writers.Go(func() { made.write(t, s) })
	}
	for range 32 {
		readers.Go(func() { made.read(t, directory, done) })
	}
	writers.Wait()
	close(done)
	readers.Wait()
	ok(t, directory.Refresh(t.Context()))
	snapshot, err := directory.Snapshot()
	ok(t, err)
	left := 0
	for _, c := range made.clients {
		if snapshot.Client(c.ClientID) != nil {
			left++
		}
	}
	if left != 4*10 {
		t.Errorf("%d clients are left, want 40", left)
	}
}

// madeClients are those that writers made, oldest first, each of an integrator
// of its own.
type madeClients struct {
	mu      sync.Mutex
	clients []*registry.Client
}

func (m *madeClients) write(t *testing.T, s *storage.Store) {
	for round := range 15 {
		i := newIntegrator()
		if err := s.CreateIntegrator(t.Context(), i); err != nil {
			t.Error(err)
			return
		}
		c := newClient(i.ID)
		if err := s.CreateClient(t.Context(), c, registry.ClientTerms{AnyScope: true}); err != nil {
			t.Error(err)
			return
		}
		m.mu.Lock()
		m.clients = append(m.clients, c)
		m.mu.Unlock()
		if round%3 == 0 {
			if err := s.DeleteIntegrator(t.Context(), i.ID); err != nil {
				t.Error(err)
			}
		}
	}
}

func (m *madeClients) read(t *testing.T, directory *storage.Directory, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
		}
		snapshot, err := directory.Confirmed(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		m.mu.Lock()
		known := m.clients
		m.mu.Unlock()
		for _, c := range known {
			found := snapshot.Client(c.ClientID)
			if found != nil && (snapshot.Integrator(c.IntegratorID) == nil || len(found.Secrets) != 1) {
				t.Errorf("half of a change: client %+v, integrator %v", found, snapshot.Integrator(c.IntegratorID))
				return
			}
		}
	}
}
