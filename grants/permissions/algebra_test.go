package permissions_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cambio-oauth/cambio/grants/permissions"
)

// held is an integrator's entitlements: the lock holders it manages, and rules.
type held struct {
	lockHolders
	rules *permissions.Rules
}

func (h held) Scope(permission string) (string, bool) { return h.rules.Scope(permission) }

// algebra is interface.md's one line, "granted = convert(permissions) ∩
// entitlements ∩ the client's scope ∩ the requested scope", scope by scope: nil
// is no limit, and a requested scope that is missing refuses all.
func algebra(entries []string, entitled map[string]string, client, requested []string) (granted []string, refused bool) {
	for _, entry := range entries {
		scope, ok := entitled[entry]
		if !ok || slices.Contains(granted, scope) || client != nil && !slices.Contains(client, scope) {
			continue
		}
		granted = append(granted, scope)
	}
	if requested == nil {
		return granted, false
	}
	for _, scope := range requested {
		if !slices.Contains(granted, scope) {
			return nil, true
		}
	}
	return slices.DeleteFunc(granted, func(scope string) bool { return !slices.Contains(requested, scope) }), false
}

// A million random permissions, client scopes and requests, at three
// integrators: the code gives what the algebra gives, in the same order.
func TestTheAlgebra(t *testing.T) {
	integrators := []struct {
		held
		entitled map[string]string // what each permission of the pool becomes, by hand
	}{
		{held{lockHolders{east: "1", north: "!2"}, permissions.NewRules(nil)}, map[string]string{east: east}},
		{held{lockHolders{}, permissions.NewRules([]rule{{"read:*", "$1.read"}, {"read:orders", "never"}, {"all", "orders.read"}, {"own:*", "$1"}})},
			map[string]string{"read:orders": "orders.read", "read:": ".read", "all": "orders.read", "own:a": "a"}},
		{held{lockHolders{east: "1", north: "2", bare: "3"}, permissions.NewRules([]rule{{"*", "any"}})},
			map[string]string{east: east, north: north, bare: bare, "read:orders": "any", "read:": "any", "all": "any", "own:a": "any", "own:admin": "any", "read:a b": "any", "admin": "any", "": "any"}},
	}
	pool := []string{east, north, bare, prefix + "NO.x", "read:orders", "read:", "read:a b", "all", "own:a", "own:admin", "own:" + east, "admin", ""}
	integrators[2].entitled["own:"+east] = "any"
	scopes := []string{east, north, bare, "orders.read", ".read", "a", "any", "admin", "never"}
	random := rand.New(rand.NewPCG(5, 2026))
	pick := func(from []string, most int) []string {
		list := make([]string, random.IntN(most+1))
		for i := range list {
			list[i] = from[random.IntN(len(from))]
		}
		return list
	}
	maybe := func(most int) []string {
		if random.IntN(3) == 0 {
			return nil
		}
		return pick(scopes, most)
	}
	granted := 0
	for range 1_000_000 {
		integrator := &integrators[random.IntN(len(integrators))]
		entries, client, requested := pick(pool, 6), maybe(8), maybe(2)
		want, refused := algebra(entries, integrator.entitled, client, requested)
		converted, _ := permissions.Convert(entries, integrator)
		got, refusal := permissions.Limit(converted, client, requested)
		same := slices.EqualFunc(got, want, func(g permissions.Grant, scope string) bool { return g.Scope == scope })
		if refused != (refusal != nil) || !same {
			t.Fatalf("%q limited to %q and %q: got %v, %v; want %q, refused %v", entries, client, requested, got, refusal, want, refused)
		}
		granted += len(got)
	}
	if granted < 100_000 {
		t.Errorf("only %d scopes were granted: the triples prove little", granted)
	}
}
