package storagetest

import (
	"reflect"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// testTenants: what belongs to one integrator does not exist for another.
func testTenants(t *testing.T, s *storage.Store) {
	mine, theirs := storeIntegrator(t, s).ID, storeIntegrator(t, s).ID
	t.Run("key URLs", func(t *testing.T) {
		testTenant(t, mine, keyURLs(s, theirs), func(id string) kind[registry.KeyURL] { return keyURLs(s, id) },
			func(k *registry.KeyURL) *string { return &k.IntegratorID })
	})
	t.Run("clients", func(t *testing.T) {
		testTenant(t, mine, clients(s, theirs), func(id string) kind[registry.Client] { return clients(s, id) },
			func(c *registry.Client) *string { return &c.IntegratorID })
	})
	t.Run("links", func(t *testing.T) {
		h := storeLockHolder(t, s)
		ok(t, s.Link(t.Context(), registry.Link{IntegratorID: theirs, LockHolderID: h.ID}))
		for _, id := range []string{mine, ""} {
			_, err := s.LinkedLockHolder(t.Context(), id, h.ID)
			is(t, err, registry.ErrNotFound)
			is(t, s.Unlink(t.Context(), registry.Link{IntegratorID: id, LockHolderID: h.ID}), registry.ErrNotFound)
			list, err := s.LinkedLockHolders(t.Context(), id, registry.Page{Limit: 100})
			ok(t, err)
			manages, err := managed(t, s, id, h.CountryISO, h.OrganizationID, h.OrganizationIDSuffix)
			ok(t, err)
			if len(list) != 0 || manages {
				t.Errorf("%q has %v, manages %v", id, list, manages)
			}
		}
		_, err := s.LinkedLockHolder(t.Context(), theirs, h.ID)
		ok(t, err)
	})
	t.Run("clients of nobody belong to no empty integrator", func(t *testing.T) {
		operator := newOperator()
		ok(t, s.EnsureOperator(t.Context(), operator))
		server, client := newResourceServer()
		ok(t, s.CreateResourceServer(t.Context(), server, client))
		for _, c := range []*registry.Client{operator, client} {
			for _, id := range []string{"", mine} {
				_, err := s.Client(t.Context(), id, c.ClientID)
				is(t, err, registry.ErrNotFound)
				is(t, s.DeleteClient(t.Context(), id, c.ClientID), registry.ErrNotFound)
			}
			if snapshotOf(t, s).Client(c.ClientID) == nil {
				t.Errorf("%s is gone", c.ClientID)
			}
		}
	})
}

// testTenant tries to reach an object of one integrator as another one.
func testTenant[T any](t *testing.T, mine string, owner kind[T], as func(integratorID string) kind[T], integratorOf func(*T) *string) {
	value := owner.fresh()
	ok(t, owner.create(t.Context(), value))
	before, err := owner.get(t.Context(), value)
	ok(t, err)
	for name, id := range map[string]string{"another's": mine, "nobody's": "", "a stranger's": "stranger"} {
		t.Run(name, func(t *testing.T) {
			other := as(id)
			forged := *value
			*integratorOf(&forged) = id
			_, err := other.get(t.Context(), &forged)
			is(t, err, registry.ErrNotFound)
			is(t, other.remove(t.Context(), &forged), registry.ErrNotFound)
			list, err := other.list(t.Context(), registry.Page{Limit: 100})
			ok(t, err)
			if len(list) != 0 {
				t.Errorf("it lists %v", list)
			}
			if after, err := owner.get(t.Context(), value); err != nil || !reflect.DeepEqual(after, before) {
				t.Errorf("it was\n%+v and is\n%+v (%v)", before, after, err)
			}
		})
	}
}

// testCascade: what cannot be without another goes with it, the rest stays.
func testCascade(t *testing.T, s *storage.Store) {
	gone, stays := storeIntegrator(t, s), storeIntegrator(t, s)
	holder := storeLockHolder(t, s)
	type belongings struct {
		keyURL *registry.KeyURL
		client *registry.Client
	}
	have := map[*registry.Integrator]belongings{}
	log := storage.NewExchangeLog(s, storage.LogDurable, quiet())
	defer log.Close()
	for _, i := range []*registry.Integrator{gone, stays} {
		b := belongings{newKeyURL(i.ID), newClient(i.ID)}
		b.keyURL.Issuer, b.keyURL.Clientless = "issuer of "+i.ID, true
		ok(t, s.CreateKeyURL(t.Context(), b.keyURL, shared))
		ok(t, s.CreateClient(t.Context(), b.client, registry.ClientTerms{AnyScope: true}))
		ok(t, s.Link(t.Context(), registry.Link{IntegratorID: i.ID, LockHolderID: holder.ID}))
		ok(t, log.Record(t.Context(), registry.Exchange{At: time.Now(), Result: registry.ResultGranted, IntegratorID: i.ID}, false))
		have[i] = b
	}
	ok(t, s.DeleteIntegrator(t.Context(), gone.ID))
	snapshot := snapshotOf(t, s)
	for i, b := range have {
		want := i == stays
		_, err := s.KeyURL(t.Context(), i.ID, b.keyURL.ID)
		_, err2 := s.Client(t.Context(), i.ID, b.client.ClientID)
		_, err3 := s.LinkedLockHolder(t.Context(), i.ID, holder.ID)
		for _, err := range []error{err, err2, err3} {
			if want {
				ok(t, err)
			} else {
				is(t, err, registry.ErrNotFound)
			}
		}
		if (snapshot.Client(b.client.ClientID) != nil) != want || snapshot.Manages(i.ID, holder.ID) != want ||
			(len(snapshot.Clientless(b.keyURL.Issuer)) == 1) != want || (snapshot.Integrator(i.ID) != nil) != want {
			t.Errorf("the snapshot should know %s: %v", i.Name, want)
		}
		if exchanges, err := s.Exchanges(t.Context(), i.ID, registry.ExchangeFilter{}, registry.Page{Limit: 9}); err != nil || len(exchanges) != 1 {
			t.Errorf("%d records of %s (%v): they outlive what they tell of", len(exchanges), i.Name, err)
		}
	}
	t.Run("its secrets go too", func(t *testing.T) {
		again := newClient(stays.ID)
		again.ClientID, again.Secrets = have[gone].client.ClientID, nil
		ok(t, s.CreateClient(t.Context(), again, registry.ClientTerms{AnyScope: true}))
		if got := snapshotOf(t, s).Client(again.ClientID).Secrets; len(got) != 0 {
			t.Errorf("a new client of the old client_id inherits %d secrets", len(got))
		}
	})
	t.Run("its reservation is free", func(t *testing.T) {
		k := newKeyURL(stays.ID)
		k.Issuer, k.Clientless = have[gone].keyURL.Issuer, true
		ok(t, s.CreateKeyURL(t.Context(), k, shared))
	})
	t.Run("a lock holder takes its links along", func(t *testing.T) { testLinksGo(t, s, holder.ID, stays.ID) })
	t.Run("a resource server takes its client along", func(t *testing.T) { testIntrospectorGoes(t, s) })
}

func testIntrospectorGoes(t *testing.T, s *storage.Store) {
	server, client := newResourceServer()
	ok(t, s.CreateResourceServer(t.Context(), server, client))
	ok(t, s.DeleteResourceServer(t.Context(), server.ID))
	if snapshotOf(t, s).Client(client.ClientID) != nil {
		t.Error("its client can still introspect")
	}
	state, err := s.TokenState(t.Context(), storage.TokenQuery{ClientID: client.ClientID})
	if want := (grants.Generations{Client: -1}); err != nil || state.Generations != want {
		t.Errorf("got %v, %v", state, err)
	}
}

func testLinksGo(t *testing.T, s *storage.Store, holderID, integratorID string) {
	ok(t, s.DeleteLockHolder(t.Context(), holderID))
	if snapshotOf(t, s).Manages(integratorID, holderID) {
		t.Error("the link is still there")
	}
	_, err := s.Integrator(t.Context(), integratorID)
	ok(t, err)
}
