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
// is no limit, and a requested scope that is missing refuses all. becomes is
// conversion and entitlements, written by hand: a scope, or "!" and why not.
func algebra(entries []string, becomes map[string]string, client, requested []string) (granted, dropped []string, refused bool) {
	for i, entry := range entries {
		scope, ok := becomes[entry]
		if !ok {
			scope = "!no_rule"
		}
		switch {
		case slices.Contains(entries[:i], entry):
		case scope[0] == '!':
			dropped = append(dropped, entry+scope)
		case !slices.Contains(granted, scope) && (client == nil || slices.Contains(client, scope)):
			granted = append(granted, scope)
		}
	}
	if requested == nil {
		return granted, dropped, false
	}
	for _, scope := range requested {
		if !slices.Contains(granted, scope) {
			return nil, dropped, true
		}
	}
	return slices.DeleteFunc(granted, func(scope string) bool { return !slices.Contains(requested, scope) }), dropped, false
}

// PRM-19: a million random permissions, client scopes and requests, at three
// integrators: the code gives what the algebra gives, in the same order.
func TestTheAlgebra(t *testing.T) { t.Run("PRM-19", testTheAlgebra) }

func testTheAlgebra(t *testing.T) {
	const malformed, unknown, any = "!malformed", "!unknown_lock_holder", "any"
	nowhere := prefix + "NO.x"
	integrators := []struct {
		held
		becomes map[string]string // each permission of the pool; what is left out, no_rule
	}{
		{held{lockHolders{east: "1", north: "!2"}, permissions.NewRules(nil)}, map[string]string{east: east, north: "!not_entitled", bare: unknown, nowhere: malformed}},
		{held{lockHolders{}, permissions.NewRules([]rule{{"read:*", "$1.read"}, {"re*", "late.$1"}, {"read:orders", "never"}, {"all", "orders.read"}, {"own:*", "$1"}})},
			map[string]string{east: unknown, north: unknown, bare: unknown, nowhere: malformed, "read:orders": "orders.read", "read:": ".read", "read:a b": malformed,
				"ready": "late.ady", "all": "orders.read", "own:a": "a", "own:admin": malformed, "own:" + east: malformed}},
		{held{lockHolders{east: "1", north: "2", bare: "3"}, permissions.NewRules([]rule{{"*", any}})},
			map[string]string{east: east, north: north, bare: bare, nowhere: malformed, "read:orders": any, "read:": any, "read:a b": any,
				"ready": any, "all": any, "own:a": any, "own:admin": any, "own:" + east: any, "admin": any, "": any}},
	}
	pool := []string{east, north, bare, nowhere, "read:orders", "read:", "read:a b", "ready", "all", "own:a", "own:admin", "own:" + east, "admin", ""}
	scopes := []string{east, north, bare, "orders.read", ".read", "late.ady", "a", any, "admin", "never"}
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
		want, wantDropped, refused := algebra(entries, integrator.becomes, client, requested)
		converted, dropped := permissions.Convert(entries, integrator)
		got, refusal := permissions.Limit(converted, client, requested)
		same := slices.EqualFunc(got, want, func(g permissions.Grant, scope string) bool {
			return g == permissions.Grant{Scope: scope, LockHolderID: integrator.lockHolders[scope]}
		}) && slices.EqualFunc(dropped, wantDropped, func(d permissions.Dropped, text string) bool { return d.Permission+"!"+d.Reason == text })
		if refused != (refusal != nil) || !same {
			t.Fatalf("%q limited to %q and %q: got %v, dropped %v, %v; want %q, dropped %q, refused %v", entries, client, requested, got, dropped, refusal, want, wantDropped, refused)
		}
		granted += len(got)
	}
	if granted < 100_000 {
		t.Errorf("only %d scopes were granted: the triples prove little", granted)
	}
}
