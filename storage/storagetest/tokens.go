package storagetest

import (
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// testRevocation: a token is dead from the moment Revoke returned.
func testRevocation(t *testing.T, s *storage.Store) {
	revoked := func(t *testing.T, jti string, want bool) {
		t.Helper()
		state, err := s.TokenState(t.Context(), storage.TokenQuery{ID: jti})
		ok(t, err)
		if state.Revoked != want || state.Generations != (grants.Generations{}) {
			t.Errorf("%q: %+v, want revoked %v", jti, state, want)
		}
	}
	end := time.Now().Add(time.Hour)
	revoked(t, "a", false)
	revoked(t, "", false)
	ok(t, s.Revoke(t.Context(), "a", end))
	revoked(t, "a", true)
	for _, again := range []time.Time{end, end.Add(time.Hour), end.Add(-time.Hour), {}} {
		ok(t, s.Revoke(t.Context(), "a", again))
		revoked(t, "a", true)
	}
	for _, other := range []string{"A", "a ", "b", "%", "_", ""} {
		revoked(t, other, false)
	}
}

// owned is an integrator and a client of it.
type owned struct {
	i *registry.Integrator
	c *registry.Client
}

type generationsRule struct {
	name  string
	steps []func(*testing.T, owned)
	want  grants.Generations
}

func generationsRules(s *storage.Store) []generationsRule {
	integrator := func(status registry.Status) func(*testing.T, owned) {
		return func(t *testing.T, at owned) {
			at.i.Status = status
			ok(t, s.UpdateIntegrator(t.Context(), at.i))
		}
	}
	client := func(status registry.Status) func(*testing.T, owned) {
		return func(t *testing.T, at owned) {
			at.c.Status = status
			ok(t, s.UpdateClient(t.Context(), at.c, registry.ClientTerms{AnyScope: true}))
		}
	}
	revokeAll := func(t *testing.T, at owned) { ok(t, s.RevokeIntegratorTokens(t.Context(), at.i.ID)) }
	rename := func(t *testing.T, at owned) {
		at.i.Name, at.c.Name = unlike("renamed"), unlike("renamed")
		ok(t, s.UpdateIntegrator(t.Context(), at.i))
		ok(t, s.UpdateClient(t.Context(), at.c, registry.ClientTerms{AnyScope: true}))
	}
	return []generationsRule{
		{"both begin with 1", nil, grants.Generations{Integrator: 1, Client: 1}},
		{"a change of name raises nothing", []func(*testing.T, owned){rename, rename}, grants.Generations{Integrator: 1, Client: 1}},
		{"revoking all tokens raises the integrator's", []func(*testing.T, owned){revokeAll, revokeAll}, grants.Generations{Integrator: 3, Client: 1}},
		{"a change that was read before does not lower it", []func(*testing.T, owned){revokeAll, rename}, grants.Generations{Integrator: 2, Client: 1}},
		{"a disabled integrator has none", []func(*testing.T, owned){integrator(registry.Disabled)}, grants.Generations{Integrator: -1, Client: 1}},
		{"enabling an integrator does not restore it", []func(*testing.T, owned){integrator(registry.Disabled), integrator(registry.Active)}, grants.Generations{Integrator: 2, Client: 1}},
		{"disabling twice raises once", []func(*testing.T, owned){integrator(registry.Disabled), integrator(registry.Disabled), rename, integrator(registry.Active)}, grants.Generations{Integrator: 2, Client: 1}},
		{"revoking all while disabled counts", []func(*testing.T, owned){integrator(registry.Disabled), revokeAll, integrator(registry.Active)}, grants.Generations{Integrator: 3, Client: 1}},
		{"a disabled client has none", []func(*testing.T, owned){client(registry.Disabled)}, grants.Generations{Integrator: 1, Client: -1}},
		{"enabling a client does not restore it", []func(*testing.T, owned){client(registry.Disabled), client(registry.Active)}, grants.Generations{Integrator: 1, Client: 2}},
		{"a deleted client has none", []func(*testing.T, owned){func(t *testing.T, at owned) {
			ok(t, s.DeleteClient(t.Context(), at.i.ID, at.c.ClientID))
		}}, grants.Generations{Integrator: 1, Client: -1}},
		{"a deleted integrator takes its clients along", []func(*testing.T, owned){func(t *testing.T, at owned) {
			ok(t, s.DeleteIntegrator(t.Context(), at.i.ID))
		}}, grants.Generations{Integrator: -1, Client: -1}},
	}
}

// testGenerations: what TokenState says of integrators and clients.
func testGenerations(t *testing.T, s *storage.Store) {
	for _, rule := range generationsRules(s) {
		t.Run(rule.name, func(t *testing.T) {
			at := owned{i: storeIntegrator(t, s)}
			at.c = newClient(at.i.ID)
			ok(t, s.CreateClient(t.Context(), at.c, registry.ClientTerms{AnyScope: true}))
			for _, step := range rule.steps {
				step(t, at)
			}
			state := func(integratorID, clientID string, want grants.Generations) {
				t.Helper()
				got, err := s.TokenState(t.Context(), storage.TokenQuery{ID: unlike("jti"), IntegratorID: integratorID, ClientID: clientID})
				ok(t, err)
				if got.Revoked || got.Generations != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
			}
			state(at.i.ID, at.c.ClientID, rule.want)
			state(at.i.ID, "", grants.Generations{Integrator: rule.want.Integrator})
			state("", at.c.ClientID, grants.Generations{Client: rule.want.Client})
			state("", "", grants.Generations{})
			state("nobody", "nobody", grants.Generations{Integrator: -1, Client: -1})
		})
	}
	t.Run("of nobody no tokens can be revoked", func(t *testing.T) {
		for _, id := range []string{"", "nobody"} {
			is(t, s.RevokeIntegratorTokens(t.Context(), id), registry.ErrNotFound)
		}
	})
	t.Run("the snapshot has the same generations", func(t *testing.T) {
		i := storeIntegrator(t, s)
		ok(t, s.RevokeIntegratorTokens(t.Context(), i.ID))
		if got := snapshotOf(t, s).Integrator(i.ID).Generation; got != 2 {
			t.Errorf("got %d", got)
		}
	})
}

// testPurge: only what expired goes, and never much at a time.
func testPurge(t *testing.T, s *storage.Store) {
	const batch = 500
	now := time.Now().Truncate(time.Microsecond)
	for range batch + 2 {
		ok(t, s.Revoke(t.Context(), unlike("old"), now.Add(-time.Microsecond)))
	}
	alive := []string{unlike("now"), unlike("later")}
	ok(t, s.Revoke(t.Context(), alive[0], now))
	ok(t, s.Revoke(t.Context(), alive[1], now.Add(time.Hour)))
	for _, want := range []int64{batch, 2, 0} {
		if n, err := s.PurgeRevoked(t.Context(), now); err != nil || n != want {
			t.Errorf("deleted %d, want %d (%v)", n, want, err)
		}
	}
	for _, jti := range alive {
		if state, err := s.TokenState(t.Context(), storage.TokenQuery{ID: jti}); err != nil || !state.Revoked {
			t.Errorf("%s: %+v, %v", jti, state, err)
		}
	}
}
