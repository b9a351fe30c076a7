package storagetest

import (
	"reflect"
	"slices"
	"testing"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// testForgedChanges: a change names the integrator as every other call does.
func testForgedChanges(t *testing.T, s *storage.Store) {
	mine, theirs := storeIntegrator(t, s).ID, storeIntegrator(t, s).ID
	t.Run("key URLs", func(t *testing.T) {
		testForgedChange(t, mine, keyURLs(s, theirs), func(k *registry.KeyURL) *string { return &k.IntegratorID })
	})
	t.Run("clients", func(t *testing.T) {
		testForgedChange(t, mine, clients(s, theirs), func(c *registry.Client) *string { return &c.IntegratorID })
	})
	t.Run("a forged change moves no reservation", func(t *testing.T) {
		k := newKeyURL(theirs)
		k.Issuer, k.Clientless = unlike("issuer"), true
		ok(t, s.CreateKeyURL(t.Context(), k, shared))
		forged := *k
		forged.IntegratorID, forged.Issuer = mine, unlike("elsewhere")
		is(t, s.UpdateKeyURL(t.Context(), &forged, shared), registry.ErrNotFound)
		again := newKeyURL(mine)
		again.Issuer, again.Clientless = k.Issuer, true
		is(t, s.CreateKeyURL(t.Context(), again, shared), registry.ErrConflict)
	})
}

func testForgedChange[T any](t *testing.T, mine string, owner kind[T], integratorOf func(*T) *string) {
	value := owner.fresh()
	ok(t, owner.create(t.Context(), value))
	before, err := owner.get(t.Context(), value)
	ok(t, err)
	for _, id := range []string{mine, "", "stranger"} {
		forged := *value
		*integratorOf(&forged) = id
		owner.change(&forged)
		if err := owner.update(t.Context(), &forged); err == nil {
			t.Errorf("%q could change what is another's", id)
		}
		if after, err := owner.get(t.Context(), value); err != nil || !reflect.DeepEqual(after, before) {
			t.Fatalf("it was\n%+v and is\n%+v (%v)", before, after, err)
		}
	}
}

// testFailedChange: an object says what the store has, also after a change
// that was refused.
func testFailedChange(t *testing.T, s *storage.Store) {
	opened := func(audience string) *registry.KeyURL {
		k := newKeyURL(storeIntegrator(t, s).ID)
		k.Issuer, k.Audiences, k.Clientless = "https://idp.example/", []string{audience}, true
		ok(t, s.CreateKeyURL(t.Context(), k, shared))
		return k
	}
	opened("urn:taken")
	k := opened("urn:free")
	before := k.Object
	k.Audiences = []string{"urn:taken"}
	is(t, s.UpdateKeyURL(t.Context(), k, shared), registry.ErrConflict)
	if k.Object != before {
		t.Errorf("it says %+v, the store has %+v", k.Object, before)
	}
	k.Audiences = []string{"urn:free too"}
	ok(t, s.UpdateKeyURL(t.Context(), k, shared))
}

// testOperatorIsAsSaid: whatever differs is mended, not only the secret.
func testOperatorIsAsSaid(t *testing.T, s *storage.Store) {
	for _, change := range []struct {
		name string
		make func(c *registry.Client)
	}{
		{"another secret", func(c *registry.Client) { c.Secrets = []registry.ClientSecret{{Hash: []byte("second")}} }},
		{"one secret of two", func(c *registry.Client) { c.Secrets = c.Secrets[:1] }},
		{"other scopes", func(c *registry.Client) { c.Scopes = []string{"admin", "more"} }},
		{"other grant types", func(c *registry.Client) { c.GrantTypes = []string{} }},
		{"another method", func(c *registry.Client) { c.AuthMethod = registry.AuthPost }},
		{"another status", func(c *registry.Client) { c.Status = registry.Disabled }},
	} {
		t.Run(change.name+" takes the place of what was", func(t *testing.T) {
			c := newOperator()
			if change.name == "one secret of two" {
				c.Secrets = append(c.Secrets, registry.ClientSecret{Hash: []byte("old")})
			}
			ok(t, s.EnsureOperator(t.Context(), c))
			next := newOperator()
			next.ClientID = c.ClientID
			change.make(next)
			ok(t, s.EnsureOperator(t.Context(), next))
			got := snapshotOf(t, s).Client(c.ClientID)
			if got.ID != c.ID {
				t.Errorf("it is another client: %s, not %s", got.ID, c.ID)
			}
			if !slices.EqualFunc(got.Secrets, next.Secrets, func(a, b registry.ClientSecret) bool { return string(a.Hash) == string(b.Hash) }) {
				t.Errorf("secrets %v, want %v", got.Secrets, next.Secrets)
			}
			got.Secrets, got.Object, got.Generation = next.Secrets, next.Object, next.Generation
			if !reflect.DeepEqual(got, next) {
				t.Errorf("got %+v, want %+v", got, next)
			}
		})
	}
}
