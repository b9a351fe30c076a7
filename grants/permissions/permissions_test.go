package permissions_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/permissions"
)

const (
	east  = prefix + "NO.919424508.east"
	north = prefix + "NO.425234653.north"
	bare  = prefix + "NO.919424508."
)

// lockHolders are those the platform knows; the value is the id, which starts
// with "!" when the integrator does not manage it.
type lockHolders map[string]string

func (lockHolders) Scope(string) (string, bool) { return "", false }

func (l lockHolders) LockHolder(i permissions.Identifier) (id string, managed, known bool) {
	id, known = l[i.String()]
	return id, known && !strings.HasPrefix(id, "!"), known
}

// readArray reads the claim permissions, as key URLs do by default.
func readArray(claim string) ([]string, *grants.Refusal) {
	return permissions.Source{}.Read(func(name string) json.RawMessage {
		if name != "permissions" {
			return nil
		}
		return json.RawMessage(claim)
	})
}

func TestRead(t *testing.T) {
	for _, test := range []struct {
		name, claim string
		want        []string
	}{
		{"absent holds nothing (PRM-01)", "", nil},
		{"null holds nothing", "null", nil},
		{"an empty array holds nothing", "[]", nil},
		{"strings, in order, as they stand", `["b","a","b",""," x "]`, []string{"b", "a", "b", "", " x "}},
		{"escapes are read", `["\u0061\/\n"]`, []string{"a/\n"}},
		{"an entry of 2100 bytes", `["` + strings.Repeat("a", 2100) + `"]`, []string{strings.Repeat("a", 2100)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, refusal := readArray(test.claim)
			if refusal != nil || !slices.Equal(got, test.want) {
				t.Errorf("got %q, %v", got, refusal)
			}
		})
	}
	t.Run("500 entries", func(t *testing.T) {
		got, refusal := readArray("[" + strings.Repeat(`"a",`, 499) + `"a"]`)
		if refusal != nil || len(got) != 500 {
			t.Errorf("got %d, %v", len(got), refusal)
		}
	})
}

// PRM-01, PRM-12: wrong types anywhere refuse the token, never a partial grant.
func TestReadRefuses(t *testing.T) {
	const notString = "an entry that is not a string"
	for _, test := range []struct{ name, claim, found string }{
		{"a string", `"` + east + `"`, "a string"},
		{"a string of several", `"` + east + " " + north + `"`, "a string"},
		{"an empty string", `""`, "a string"},
		{"a number", "1", "a number or a boolean"},
		{"true", "true", "a number or a boolean"},
		{"an object", `{"0":"` + east + `"}`, "an object"},
		{"an empty object", "{}", "an object"},
		{"a number among strings", `["` + east + `",1]`, notString},
		{"null among strings: encoding/json would read \"\"", `["` + east + `",null]`, notString},
		{"null alone", "[null]", notString},
		{"true alone", "[true]", notString},
		{"an array in the array", `[["` + east + `"]]`, notString},
		{"an object in the array", `[{"name":"` + east + `"}]`, notString},
		{"a wrong type after 499 good ones", "[" + strings.Repeat(`"a",`, 499) + "1]", notString},
		{"501 entries", "[" + strings.Repeat(`"a",`, 500) + `"a"]`, "501 entries"},
		{"10,000 entries", "[" + strings.Repeat(`"",`, 9999) + `""]`, "10000 entries"},
		{"an entry of 2101 bytes", `["` + strings.Repeat("a", 2101) + `"]`, "an entry of 2101 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, refusal := readArray(test.claim)
			if refusal == nil {
				t.Fatalf("accepted: %q", got)
			}
			if got != nil || refusal.Code != grants.InvalidRequest || refusal.Reason != grants.PermissionsInvalid || refusal.Found != test.found+" at permissions" {
				t.Errorf("got %q, %s %s, found %q, want found %q", got, refusal.Code, refusal.Reason, refusal.Found, test.found)
			}
		})
	}
}

func TestConvert(t *testing.T) {
	known := lockHolders{east: "id-east", north: "id-north", prefix + "SE.1234.": "!id-se", bare: "id-bare"}
	scope := func(s, id string) permissions.Grant { return permissions.Grant{Scope: s, LockHolderID: id} }
	dropped := func(s, reason string) permissions.Dropped { return permissions.Dropped{Permission: s, Reason: reason} }
	for _, test := range []struct {
		name    string
		entry   string
		granted permissions.Grant
		reason  string
	}{
		{"a lock holder it manages", east, scope(east, "id-east"), ""},
		{"the empty suffix is a lock holder of its own (PRM-06)", bare, scope(bare, "id-bare"), ""},
		{"a lock holder of somebody else", prefix + "SE.1234.", permissions.Grant{}, "not_entitled"},
		{"a suffix in another case (PRM-09)", prefix + "NO.919424508.East", permissions.Grant{}, "unknown_lock_holder"},
		{"below a lock holder it manages (PRM-06)", prefix + "SE.1234.x", permissions.Grant{}, "unknown_lock_holder"},
		{"above a lock holder it manages (PRM-06)", prefix + "NO.425234653.", permissions.Grant{}, "unknown_lock_holder"},
		{"without the last dot (PRM-07)", prefix + "NO.919424508", permissions.Grant{}, "malformed"},
		{"a second scope after a space (PRM-02)", east + " integrator.admin", permissions.Grant{}, "malformed"},
		{"a second scope after a tab (PRM-03)", east + "\tadmin", permissions.Grant{}, "malformed"},
		{"a second scope after a line feed (PRM-03)", east + "\nadmin", permissions.Grant{}, "malformed"},
		{"a star (PRM-05)", prefix + "NO.919424508.*", permissions.Grant{}, "malformed"},
		{"the prefix alone", prefix, permissions.Grant{}, "malformed"},
		{"the prefix in another case (PRM-09)", "LockHolder.identifier:NO.919424508.east", permissions.Grant{}, "no_rule"},
		{"a space before", " " + east, permissions.Grant{}, "no_rule"},
		{"integrator.admin (PRM-04)", "integrator.admin", permissions.Grant{}, "no_rule"},
		{"admin (PRM-04)", "admin", permissions.Grant{}, "no_rule"},
		{"lockHolder.admin (PRM-04)", "lockHolder.admin:0b9a", permissions.Grant{}, "no_rule"},
		{"openid", "openid", permissions.Grant{}, "no_rule"},
		{"offline_access", "offline_access", permissions.Grant{}, "no_rule"},
		{"a star alone", "*", permissions.Grant{}, "no_rule"},
		{"nothing", "", permissions.Grant{}, "no_rule"},
		{"a dot", ".", permissions.Grant{}, "no_rule"},
	} {
		t.Run(test.name, func(t *testing.T) {
			granted, lost := permissions.Convert([]string{test.entry}, known)
			if test.reason == "" {
				if !slices.Equal(granted, []permissions.Grant{test.granted}) || lost != nil {
					t.Errorf("got %+v, dropped %+v", granted, lost)
				}
				return
			}
			if granted != nil || !slices.Equal(lost, []permissions.Dropped{dropped(test.entry, test.reason)}) {
				t.Errorf("got %+v, dropped %+v, want %s", granted, lost, test.reason)
			}
		})
	}
	t.Run("each once, in order (PRM-12)", func(t *testing.T) {
		granted, lost := permissions.Convert([]string{north, "x", east, north, "x", "admin", east}, known)
		if !slices.Equal(granted, []permissions.Grant{scope(north, "id-north"), scope(east, "id-east")}) ||
			!slices.Equal(lost, []permissions.Dropped{dropped("x", "no_rule"), dropped("admin", "no_rule")}) {
			t.Errorf("got %+v, dropped %+v", granted, lost)
		}
	})
	t.Run("nothing becomes nothing", func(t *testing.T) {
		if granted, lost := permissions.Convert(nil, known); granted != nil || lost != nil {
			t.Errorf("got %+v, dropped %+v", granted, lost)
		}
	})
}

// credulous is an integrator that manages everything; it would grant whatever
// it was asked for.
type credulous struct{ asked []permissions.Identifier }

func (c *credulous) Scope(string) (string, bool) { return "", false }

func (c *credulous) LockHolder(i permissions.Identifier) (id string, managed, known bool) {
	c.asked = append(c.asked, i)
	return "id", true, true
}

// PRM-04: scopes of Cambio itself cannot come out, whatever goes in.
func TestOwnScopesNeverComeOut(t *testing.T) {
	for _, entry := range []string{
		"admin", "integrator.admin", " admin", "admin ", "admin\n", "\tintegrator.admin", "ADMIN", "Integrator.Admin", "integrator.admin admin",
		prefix + "admin", prefix + "integrator.admin", prefix + "NO.admin.", prefix + "NO.admin.admin", prefix + "NO.1234. admin", "admin." + east,
	} {
		entitlements := &credulous{}
		granted, _ := permissions.Convert([]string{entry}, entitlements)
		for _, g := range granted {
			if grants.IsOwnScope(g.Scope) || !grants.ValidScope(g.Scope) || g.Scope != entry || !strings.HasPrefix(g.Scope, prefix) {
				t.Errorf("%q became %q", entry, g.Scope)
			}
		}
		if !strings.HasPrefix(entry, prefix) && entitlements.asked != nil {
			t.Errorf("%q was looked up as %+v", entry, entitlements.asked)
		}
	}
}

// The names of the reasons are those of interface.md "Conversion" 3, and the
// record is written with these members.
func TestDroppedIsWrittenAsTheContractNamesIt(t *testing.T) {
	_, lost := permissions.Convert([]string{"x"}, lockHolders{})
	if got, _ := json.Marshal(lost); string(got) != `[{"permission":"x","reason":"no_rule"}]` {
		t.Errorf("got %s", got)
	}
	want := "malformed unknown_lock_holder not_entitled no_rule"
	if got := fmt.Sprint(permissions.DroppedMalformed, " ", permissions.DroppedUnknownLockHolder, " ", permissions.DroppedNotEntitled, " ", permissions.DroppedNoRule); got != want {
		t.Errorf("got %s", got)
	}
}
