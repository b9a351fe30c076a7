package storagetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// clientlessTerms are those of a server with two names.
func clientlessTerms() registry.KeyURLTerms {
	return registry.KeyURLTerms{Audiences: []string{"https://server.example", "urn:server"}, SharedIssuer: true}
}

// opened makes a key URL of one issuer that takes exchanges without a client.
func opened(i *registry.Integrator, audiences ...string) *registry.KeyURL {
	k := newKeyURL(i.ID)
	k.Issuer, k.Audiences, k.Clientless = "https://idp.example/", audiences, true
	return k
}

const contestedAudience = "https://auth.example"

// scene: a first key URL of one integrator has issuer and audience reserved;
// then something happens; then another integrator wants them.
type scene struct {
	context.Context
	first *registry.KeyURL
	owner *registry.Integrator
}

type clientlessRule struct {
	name    string
	happens func(c scene) error
	taken   bool
}

func clientlessRules(s *storage.Store) []clientlessRule {
	fallback := clientlessTerms()
	succeed := func(status registry.Status) func(c scene) error {
		return func(c scene) error {
			sibling := opened(c.owner, contestedAudience)
			sibling.Status = status
			if err := s.CreateKeyURL(c, sibling, fallback); err != nil {
				return err
			}
			return s.DeleteKeyURL(c, c.owner.ID, c.first.ID, fallback)
		}
	}
	return []clientlessRule{
		{"it is taken", func(scene) error { return nil }, true},
		{"deleting the key URL frees it", func(c scene) error { return s.DeleteKeyURL(c, c.owner.ID, c.first.ID, fallback) }, false},
		{"disabling the key URL keeps it", func(c scene) error {
			c.first.Status = registry.Disabled
			return s.UpdateKeyURL(c, c.first, fallback)
		}, true},
		{"closing the key URL to clientless exchange frees it", func(c scene) error {
			c.first.Clientless = false
			return s.UpdateKeyURL(c, c.first, fallback)
		}, false},
		{"another issuer frees it", func(c scene) error {
			c.first.Issuer = "https://other.example/"
			return s.UpdateKeyURL(c, c.first, fallback)
		}, false},
		{"another audience frees it", func(c scene) error {
			c.first.Audiences = []string{"urn:other"}
			return s.UpdateKeyURL(c, c.first, fallback)
		}, false},
		{"one audience more keeps it", func(c scene) error {
			c.first.Audiences = []string{"urn:other", contestedAudience}
			return s.UpdateKeyURL(c, c.first, fallback)
		}, true},
		{"deleting the integrator frees it", func(c scene) error { return s.DeleteIntegrator(c, c.owner.ID) }, false},
		{"disabling the integrator keeps it", func(c scene) error {
			c.owner.Status = registry.Disabled
			return s.UpdateIntegrator(c, c.owner)
		}, true},
		{"a sibling keeps it", succeed(registry.Active), true},
		{"a disabled sibling keeps it, too", succeed(registry.Disabled), true},
		{"enabling again takes it again", func(c scene) error {
			c.first.Status = registry.Disabled
			if err := s.UpdateKeyURL(c, c.first, fallback); err != nil {
				return err
			}
			c.first.Status = registry.Active
			return s.UpdateKeyURL(c, c.first, fallback)
		}, true},
		{"a failed change keeps it", func(c scene) error {
			stale := *c.first
			stale.Revision, stale.Status = 99, registry.Disabled
			if err := s.UpdateKeyURL(c, &stale, fallback); !errors.Is(err, registry.ErrStale) {
				return errors.New("a stale change was made")
			}
			return nil
		}, true},
	}
}

// testClientless: an issuer and an audience belong to one integrator, or a
// token without a client could be anybody's.
func testClientless(t *testing.T, s *storage.Store) {
	fallback := clientlessTerms()
	for _, rule := range clientlessRules(s) {
		t.Run(rule.name, func(t *testing.T) {
			owner, other := storeIntegrator(t, s), storeIntegrator(t, s)
			first := opened(owner, contestedAudience)
			ok(t, s.CreateKeyURL(t.Context(), first, fallback))
			ok(t, rule.happens(scene{t.Context(), first, owner}))
			second := opened(other, "urn:more", contestedAudience)
			err := s.CreateKeyURL(t.Context(), second, fallback)
			if !rule.taken {
				ok(t, err)
			} else {
				is(t, err, registry.ErrConflict)
				_, err = s.KeyURL(t.Context(), other.ID, second.ID)
				is(t, err, registry.ErrNotFound) // nothing half-done
				free := opened(other, "urn:more")
				ok(t, s.CreateKeyURL(t.Context(), free, fallback)) // nor half-reserved
			}
			for _, i := range []*registry.Integrator{owner, other} {
				if err := s.DeleteIntegrator(t.Context(), i.ID); err != nil {
					is(t, err, registry.ErrNotFound)
				}
			}
		})
	}
	t.Run("without audiences of its own it has the server's", func(t *testing.T) { testServersAudiences(t, s) })
	t.Run("of many at once one gets it", func(t *testing.T) { testContest(t, s) })
}

func testServersAudiences(t *testing.T, s *storage.Store) {
	fallback := clientlessTerms()
	ok(t, s.CreateKeyURL(t.Context(), opened(storeIntegrator(t, s)), fallback))
	other := storeIntegrator(t, s)
	for _, audience := range fallback.Audiences {
		is(t, s.CreateKeyURL(t.Context(), opened(other, audience), fallback), registry.ErrConflict)
	}
	ok(t, s.CreateKeyURL(t.Context(), opened(other, "urn:elsewhere"), fallback))
}

func testContest(t *testing.T, s *storage.Store) {
	var got atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		k := opened(storeIntegrator(t, s), "urn:wanted by all")
		all.Go(func() {
			switch err := s.CreateKeyURL(t.Context(), k, clientlessTerms()); {
			case err == nil:
				got.Add(1)
			case !errors.Is(err, registry.ErrConflict):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got.Load() != 1 {
		t.Errorf("%d got it", got.Load())
	}
}

func testLinks(t *testing.T, s *storage.Store) {
	i, h := storeIntegrator(t, s), storeLockHolder(t, s)
	link := registry.Link{IntegratorID: i.ID, LockHolderID: h.ID}
	manages := func(want bool) {
		t.Helper()
		got, err := managed(t, s, i.ID, h.CountryISO, h.OrganizationID, h.OrganizationIDSuffix)
		ok(t, err)
		if got != want || snapshotOf(t, s).Manages(i.ID, h.ID) != want {
			t.Errorf("manages %v, want %v", got, want)
		}
	}
	is(t, s.Unlink(t.Context(), link), registry.ErrNotFound)
	manages(false)
	for range 3 { // linking again is no error, and links once
		ok(t, s.Link(t.Context(), link))
		list, err := s.LinkedLockHolders(t.Context(), i.ID, registry.Page{Limit: 9})
		if err != nil || len(list) != 1 || list[0] != *h {
			t.Fatalf("got %v, %v", list, err)
		}
		manages(true)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := s.Link(t.Context(), link); err != nil {
				t.Errorf("at once: %v", err)
			}
		})
	}
	all.Wait()
	for _, part := range [][3]string{{"SE", h.OrganizationID, h.OrganizationIDSuffix}, {h.CountryISO, "other", h.OrganizationIDSuffix}, {h.CountryISO, h.OrganizationID, ""}} {
		if got, err := managed(t, s, i.ID, part[0], part[1], part[2]); err != nil || got {
			t.Errorf("manages %v: %v, %v", part, got, err)
		}
	}
	ok(t, s.Unlink(t.Context(), link))
	is(t, s.Unlink(t.Context(), link), registry.ErrNotFound)
	manages(false)
	for _, unknown := range []registry.Link{{}, {IntegratorID: i.ID}, {LockHolderID: h.ID}, {IntegratorID: h.ID, LockHolderID: i.ID}} {
		is(t, s.Link(t.Context(), unknown), registry.ErrNotFound)
		is(t, s.Unlink(t.Context(), unknown), registry.ErrNotFound)
	}
}
