package permissions_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/permissions"
)

func grantsOf(scopes ...string) []permissions.Grant {
	var list []permissions.Grant
	for _, scope := range scopes {
		list = append(list, permissions.Grant{Scope: scope, LockHolderID: "id-" + scope})
	}
	return list
}

func TestLimit(t *testing.T) {
	for _, test := range []struct {
		name                        string
		granted, allowed, requested []string
		want                        []string
		refused                     bool
	}{
		{"no limits", []string{"a", "b"}, nil, nil, []string{"a", "b"}, false},
		{"the client's scope limits", []string{"a", "b"}, []string{"b", "c"}, nil, []string{"b"}, false},
		{"a client's scope that is empty allows nothing", []string{"a"}, []string{}, nil, nil, false},
		{"a named scope narrows (PRM-13)", []string{"a", "b"}, nil, []string{"b"}, []string{"b"}, false},
		{"the order is that of the permissions", []string{"a", "b", "c"}, nil, []string{"c", "a"}, []string{"a", "c"}, false},
		{"a named scope beyond the permissions", []string{"a"}, nil, []string{"b"}, nil, true},
		{"a named scope beyond the client's", []string{"a", "b"}, []string{"a"}, []string{"b"}, nil, true},
		{"a superset is not narrowed silently (PRM-13)", []string{"a", "b"}, nil, []string{"a", "c"}, nil, true},
		{"the client's scope adds nothing", []string{"a"}, []string{"a", "b"}, []string{"b"}, nil, true},
		{"nothing granted, nothing named", nil, nil, nil, nil, false},
		{"nothing granted, one named", nil, nil, []string{"a"}, nil, true},
		{"case matters", []string{"a"}, nil, []string{"A"}, nil, true},
		{"no hierarchy: a prefix is another scope (F5)", []string{"a.b"}, nil, []string{"a"}, nil, true},
		{"no hierarchy: the client's prefix allows nothing below", []string{"a.b"}, []string{"a"}, nil, nil, false},
		{"no wildcards in the client's scope (F5)", []string{"a.b"}, []string{"a.*", "*"}, nil, nil, false},
		{"own scopes cannot be requested into being", []string{"a"}, nil, []string{"a", "admin"}, nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			granted := grantsOf(test.granted...)
			got, refusal := permissions.Limit(granted, test.allowed, test.requested)
			if test.refused {
				if refusal == nil || refusal.Code != grants.InvalidScope || refusal.Reason != "" || got != nil {
					t.Errorf("got %+v, %v, want invalid_scope", got, refusal)
				}
				return
			}
			if refusal != nil || !slices.Equal(got, grantsOf(test.want...)) {
				t.Errorf("got %+v, %v, want %q", got, refusal, test.want)
			}
			if !slices.Equal(granted, grantsOf(test.granted...)) {
				t.Error("the caller's list was changed")
			}
		})
	}
}

// model is the rule of interface.md, said with sets: granted ∩ allowed ∩
// requested, where an absent set is no limit and a requested scope that is not
// in the rest refuses all.
func model(granted, allowed, requested set) (set, bool) {
	rest := granted
	if allowed != absent {
		rest &= allowed
	}
	if requested == absent {
		return rest, true
	}
	if requested&^rest != 0 {
		return 0, false
	}
	return rest & requested, true
}

// set is a set of up to five scopes, as bits.
type set uint8

const absent set = 1 << 7

func (s set) scopes(random *rand.Rand) []string {
	if s == absent {
		return nil
	}
	list := []string{}
	for i, scope := range []string{"a", "b", "b.c", "admin", east} {
		if s&(1<<i) != 0 {
			list = append(list, scope)
		}
	}
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// PRM-19.
func TestLimitAgreesWithItsModel(t *testing.T) {
	random := rand.New(rand.NewPCG(19, 2026))
	maybe := func() set {
		if random.IntN(6) == 0 {
			return absent
		}
		return set(random.IntN(1 << 5))
	}
	for range 200_000 {
		granted, allowed, requested := set(random.IntN(1<<5)), maybe(), maybe()
		from := granted.scopes(random)
		got, refusal := permissions.Limit(grantsOf(from...), allowed.scopes(random), requested.scopes(random))
		want, ok := model(granted, allowed, requested)
		if ok != (refusal == nil) {
			t.Fatalf("%q limited to %q and %q: %v, want granted: %v", from, allowed.scopes(random), requested.scopes(random), refusal, ok)
		}
		var kept []string
		for _, scope := range from { // the order of the permissions
			if ok && slices.Contains(want.scopes(random), scope) {
				kept = append(kept, scope)
			}
		}
		if !slices.Equal(got, grantsOf(kept...)) {
			t.Fatalf("%q limited to %q and %q: %+v, want %q", from, allowed.scopes(random), requested.scopes(random), got, kept)
		}
	}
}

// The invariant of A1, from the claim to the scopes: what comes out was in the
// permissions, is managed, is allowed, was requested, and is one scope-token.
func TestNothingComesOutThatDidNotGoIn(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2026))
	pool := []string{
		east, north, bare, prefix + "SE.1234.", prefix + "SE.1234.x", prefix + "NO.919424508", prefix + "NO.919424508.*", east + " admin",
		"admin", "integrator.admin", "openid", "*", "", prefix, "LOCKHOLDER.identifier:NO.919424508.east",
	}
	pick := func() []string {
		if random.IntN(5) == 0 {
			return nil
		}
		list := []string{}
		for range random.IntN(5) {
			list = append(list, pool[random.IntN(len(pool))])
		}
		return list
	}
	known := lockHolders{east: "1", north: "2", bare: "!3", prefix + "SE.1234.": "4"}
	for range 100_000 {
		entries, allowed, requested := pick(), pick(), pick()
		converted, _ := permissions.Convert(entries, known)
		got, refusal := permissions.Limit(converted, allowed, requested)
		for _, g := range got {
			identifier, err := permissions.ParseIdentifier(g.Scope)
			id, managed, _ := known.LockHolder(identifier)
			switch {
			case err != nil, !managed, id != g.LockHolderID, grants.IsOwnScope(g.Scope), !grants.ValidScope(g.Scope),
				!slices.Contains(entries, g.Scope), allowed != nil && !slices.Contains(allowed, g.Scope), requested != nil && !slices.Contains(requested, g.Scope):
				t.Fatalf("%q, %q, %q gave %+v", entries, allowed, requested, g)
			}
		}
		if refusal == nil && requested != nil {
			for _, scope := range requested {
				if !slices.ContainsFunc(got, func(g permissions.Grant) bool { return g.Scope == scope }) {
					t.Fatalf("%q was requested and silently left out of %+v", scope, got)
				}
			}
		}
	}
}
