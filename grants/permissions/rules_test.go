package permissions_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/permissions"
)

type rule = permissions.Rule

// ruled is an integrator with rules and no lock holder.
type ruled struct {
	lockHolders
	*permissions.Rules
}

func (r ruled) Scope(permission string) (string, bool) { return r.Rules.Scope(permission) }

func TestRules(t *testing.T) {
	rules := []rule{
		{"read:orders", "orders.read"}, {"tenant:*", "tenant.$1"}, {"tenant:blue", "never.reached"}, {"read:orders", "never.reached"},
		{"read:*", "any.read"}, {"own:*", "$1"}, {"wrap:*", "a$1z"}, {"literal", "cost.$1"}, {"", "x"}, {"ro*", "roles"},
	}
	for _, test := range []struct{ permission, scope, reason string }{
		{"read:orders", "orders.read", ""},
		{"read:invoices", "any.read", ""},
		{"tenant:blue", "tenant.blue", ""}, // the first match
		{"tenant:", "tenant.", ""},
		{"tenant:a$1b", "tenant.a$1b", ""}, // replaced once
		{"wrap:1", "a1z", ""},
		{"roles", "roles", ""},
		{"Read:orders", "", permissions.DroppedNoRule}, // no folding
		{"read:order", "any.read", ""},
		{"xread:orders", "", permissions.DroppedNoRule},
		{"unknown", "", permissions.DroppedNoRule},
		{"tenant:a b", "", permissions.DroppedMalformed},
		{`tenant:"`, "", permissions.DroppedMalformed},
		{"tenant:é", "", permissions.DroppedMalformed},
		{"tenant:a\nb", "", permissions.DroppedMalformed},
		{"own:", "", permissions.DroppedMalformed},
		{"own:admin", "", permissions.DroppedMalformed},
		{"own:ADMIN", "", permissions.DroppedMalformed},
		{"own:integrator.admin", "", permissions.DroppedMalformed},
		{"own:" + east, "", permissions.DroppedMalformed},
		{"own:lockholder.admin:1", "", permissions.DroppedMalformed},
		{"own:orders", "orders", ""},
		{east, "", permissions.DroppedUnknownLockHolder}, // never for a rule
		{prefix + "x", "", permissions.DroppedMalformed},
	} {
		granted, dropped := permissions.Convert([]string{test.permission}, ruled{lockHolders{}, permissions.NewRules(rules)})
		switch {
		case test.reason == "" && (len(granted) != 1 || granted[0].Scope != test.scope || granted[0].LockHolderID != ""):
			t.Errorf("%q: granted %+v, dropped %+v, want %s", test.permission, granted, dropped, test.scope)
		case test.reason != "" && (len(dropped) != 1 || dropped[0].Reason != test.reason || dropped[0].Permission != test.permission):
			t.Errorf("%q: granted %+v, dropped %+v, want %s", test.permission, granted, dropped, test.reason)
		}
	}
}

func TestTwoPermissionsOfOneScopeGrantItOnce(t *testing.T) {
	granted, dropped := permissions.Convert([]string{"a", "b"}, ruled{lockHolders{}, permissions.NewRules([]rule{{"a", "x"}, {"b", "x"}})})
	if len(granted) != 1 || len(dropped) != 0 {
		t.Errorf("granted %+v, dropped %+v", granted, dropped)
	}
}

func TestWhatMakesARule(t *testing.T) {
	for _, test := range []struct {
		permission, scope string
		wrong             string // permission, scope or nothing
	}{
		{"a", "b", ""}, {"*", "all", ""}, {"*", "all.$1", ""}, {"a*", "$$1", ""}, {"a", "us$", ""}, {"a b", "b", ""}, {"é", "b", ""}, {"a*", "x$1y", ""},
		{strings.Repeat("a", 512), strings.Repeat("b", 512), ""},
		{"", "b", "permission"}, {"a*b", "c", "permission"}, {"**", "c", "permission"}, {"*a", "c", "permission"}, {"a\nb", "c", "permission"},
		{"\xff", "c", "permission"}, {strings.Repeat("a", 513), "c", "permission"}, {prefix + "*", "c", "permission"}, {east, "c", "permission"},
		{"a", "", "scope"}, {"a", "b c", "scope"}, {"a", `"`, "scope"}, {"a", "é", "scope"}, {"a", "b.$1", "scope"}, {"a*", "$1.$1", "scope"}, {"a*", "$2.read", "scope"}, {"a", "$0", "scope"}, {"a*", "$1$9", "scope"},
		{"a", "admin", "scope"}, {"a", "Admin", "scope"}, {"a", "integrator.admin", "scope"}, {"a", east, "scope"}, {"a*", prefix + "$1", "scope"},
		{"a", "lockHolder.admin:1", "scope"}, {"a", strings.Repeat("b", 513), "scope"},
	} {
		wrong := ""
		switch r := (rule{test.permission, test.scope}); {
		case r.CheckPermission() != nil:
			wrong = "permission"
		case r.CheckScope() != nil:
			wrong = "scope"
		}
		if wrong != test.wrong {
			t.Errorf("%q → %q: wrong is %q, want %q", test.permission, test.scope, wrong, test.wrong)
		}
	}
}

func TestWhatRulesCover(t *testing.T) {
	rules := permissions.NewRules([]rule{{"read", "orders.read"}, {"tenant:*", "tenant.$1"}, {"w:*", "a$1z"}, {"own:*", "$1"}})
	shadowed := permissions.NewRules([]rule{{"orders:admin", "orders.read"}, {"orders:*", "orders.$1"}, {"orders:x*", "never"}, {"y*", "some"}, {"yz", "never.either"}})
	for scope, want := range map[string]bool{"orders.read": true, "orders.write": true, "orders.admin": false, "never": false, "some": true, "never.either": false} {
		if got := shadowed.Covers(scope); got != want {
			t.Errorf("shadowed, %q: got %v, want %v", scope, got, want)
		}
	}
	none := permissions.NewRules([]rule{{"read", "orders.read"}})
	for scope, want := range map[string][2]bool{
		"orders.read": {true, true}, "tenant.x": {true, false}, "az": {true, false}, "a": {true, false}, "admin": {false, false},
		east: {false, false}, "a b": {false, false}, "": {false, false},
	} {
		if got := [2]bool{rules.Covers(scope), none.Covers(scope)}; got != want {
			t.Errorf("%q: got %v, want %v", scope, got, want)
		}
	}
}

// reference is the contract, word by word: the first rule that matches.
func reference(rules []rule, permission string) (string, bool) {
	for _, r := range rules {
		before, isOpen := strings.CutSuffix(r.Permission, "*")
		rest, begins := strings.CutPrefix(permission, before)
		if !isOpen && permission == r.Permission {
			return r.Scope, true
		}
		if isOpen && begins {
			return strings.Replace(r.Scope, "$1", rest, 1), true
		}
	}
	return "", false
}

// Whatever the rules, the index finds what a walk finds, and nothing comes out
// that must not.
func TestRulesAgreeWithAWalk(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		letters := []string{"a", "b", ":", "admin", "$1", " ", "lockHolder.", "."}
		text := ""
		for range random.IntN(4) {
			text += letters[random.IntN(len(letters))]
		}
		return text
	}
	for range 100_000 {
		var rules []rule
		for range random.IntN(6) {
			r := rule{word(), word()}
			if random.IntN(2) == 0 {
				r.Permission += "*"
			}
			if r.CheckPermission() == nil && r.CheckScope() == nil {
				rules = append(rules, r)
			}
		}
		permission := word()
		want, matches := reference(rules, permission)
		got, ok := permissions.NewRules(rules).Scope(permission)
		if ok != matches || got != "" && got != want {
			t.Fatalf("%q by %q: got %q %v, want %q %v", permission, rules, got, ok, want, matches)
		}
		if got != "" && (!grants.ValidScope(got) || grants.IsOwnScope(got) || strings.HasPrefix(got, "lockHolder.")) {
			t.Fatalf("%q by %q: %q came out", permission, rules, got)
		}
		if got == "" && ok && grants.ValidScope(want) && !grants.IsOwnScope(want) && !strings.HasPrefix(want, "lockHolder.") {
			t.Fatalf("%q by %q: %q did not come out", permission, rules, want)
		}
		if got != "" && !permissions.NewRules(rules).Covers(got) {
			t.Fatalf("%q by %q: %q is not covered", permission, rules, got)
		}
		if scope := word(); permissions.NewRules(rules).Covers(scope) && !comesOut(rules, scope) {
			t.Fatalf("%q: %q is covered and never comes out", rules, scope)
		}
	}
}

// comesOut looks for a permission that gives a scope, among those that could.
func comesOut(rules []rule, scope string) bool {
	for _, r := range rules {
		beginning := strings.TrimSuffix(r.Permission, "*")
		candidates := []string{beginning, beginning + "\x01"}
		for from := range len(scope) + 1 {
			for to := from; to <= len(scope); to++ {
				candidates = append(candidates, beginning+scope[from:to])
			}
		}
		for _, permission := range candidates {
			if got, ok := reference(rules, permission); ok && got == scope {
				return true
			}
		}
	}
	return false
}
