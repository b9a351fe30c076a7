package tokenexchange_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/permissions"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
)

// interface.md "Scopes of an exchange": convert(permissions) ∩ entitlements ∩
// the client's scope ∩ the requested scope.
func TestScopesOfAnExchange(t *testing.T) {
	for _, test := range []struct {
		name              string
		permissions       []string
		client, requested []string
		want, wantIDs     []string
	}{
		{"all, when nothing else limits (PRM-14)", []string{east, north}, nil, nil, []string{east, north}, []string{"id-east", "id-north"}},
		{"what it is not entitled to is dropped", []string{foreign, north}, nil, nil, []string{north}, []string{"id-north"}},
		{"the client's scope limits", []string{east, north}, []string{north}, nil, []string{north}, []string{"id-north"}},
		{"the requested scope limits", []string{east, north}, nil, []string{east}, []string{east}, []string{"id-east"}},
		{"repeats collapse", []string{east, east}, nil, nil, []string{east}, []string{"id-east"}},
		{"own scopes are dropped (PRM-04)", []string{"admin", "integrator.admin", east}, nil, nil, []string{east}, []string{"id-east"}},
		{"a client's own scopes are for client credentials", []string{east, "admin"}, []string{east, "integrator.admin", "admin"}, nil, []string{east}, []string{"id-east"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := request(soundClaims().with("permissions", test.permissions).signedBy(acmeKey()))
			r.Client.Scopes, r.Scopes = test.client, test.requested
			d, err := newWorld().exchange(r)
			d = accepted(t, d, err)
			if !slices.Equal(d.Scopes, test.want) || !slices.Equal(d.LockHolderIDs, test.wantIDs) {
				t.Errorf("got %q for %q", d.Scopes, d.LockHolderIDs)
			}
		})
	}
}

func TestNothingIsLeftToGrant(t *testing.T) {
	const cannot = "a requested scope cannot be granted"
	for _, test := range []struct {
		name              string
		permissions       any
		client, requested []string
		text              string
	}{
		{"no permissions claim (PRM-01)", nil, nil, nil, "no scope is left to grant: the claim permissions of the subject token is missing or empty"},
		{"an empty one", []string{}, nil, nil, "the claim permissions of the subject token is missing or empty"},
		{"malformed ones", []string{east + " admin"}, nil, nil, "the permissions were dropped (malformed)"},
		{"unknown ones", []string{east + "x"}, nil, nil, "the permissions were dropped (unknown_lock_holder)"},
		{"somebody else's", []string{foreign}, nil, nil, "the permissions were dropped (not_entitled)"},
		{"others of its own", []string{"read:all"}, nil, nil, "the permissions were dropped (no_rule)"},
		{"all four, each reason once", []string{"x", "y", foreign, east + "x", east + " "}, nil, nil, "(malformed, unknown_lock_holder, not_entitled, no_rule)"},
		{"the client's scope holds none", []string{east}, []string{north}, nil, "the client's scope holds none of the permissions"},
		{"the client's scope is empty, which is not absent", []string{east}, []string{}, nil, "the client's scope holds none of the permissions"},
		{"admin is requested and in the permissions (PRM-04)", []string{"admin", east}, nil, []string{"admin"}, cannot},
		{"a requested scope is not in the permissions (PRM-13)", []string{east}, nil, []string{north}, cannot},
		{"one of two requested is not", []string{east}, nil, []string{east, north}, cannot},
		{"a requested scope is not the client's", []string{east, north}, []string{north}, []string{east}, cannot},
		{"a requested star (PRM-05)", []string{east}, nil, []string{"lockHolder.identifier:*"}, cannot},
		{"a requested parent (PRM-06)", []string{east}, nil, []string{"lockHolder.identifier:NO.919424508."}, cannot},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := request(soundClaims().with("permissions", test.permissions).signedBy(acmeKey()))
			r.Client.Scopes, r.Scopes = test.client, test.requested
			d, err := newWorld().exchange(r)
			refused(t, d, err, grants.InvalidScope, "", test.text)
			if len(d.Scopes) > 0 || len(d.LockHolderIDs) > 0 {
				t.Errorf("granted %q for %q", d.Scopes, d.LockHolderIDs)
			}
			if d.Subject != "auth0|1" {
				t.Error("the record does not say whose token it was")
			}
			for _, scope := range append(test.requested, east) {
				if strings.Contains(err.Error(), scope) {
					t.Errorf("%v repeats a scope (PRM-17)", err)
				}
			}
		})
	}
}

// PRM-01, PRM-12: a claim of a wrong type refuses the token, not the scope.
func TestPermissionsOfAWrongType(t *testing.T) {
	for name, value := range map[string]any{
		"a string": east, "an object": map[string]any{"0": east}, "a number among them": []any{east, 1}, "null among them": []any{east, nil},
		"501 entries": make([]string, 501), "an entry of 2101 bytes": []string{strings.Repeat("x", 2101)},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := newWorld().exchange(request(soundClaims().with("permissions", value).signedBy(acmeKey())))
			refused(t, d, err, grants.InvalidRequest, grants.PermissionsInvalid, "permissions of the subject token")
			if len(d.Scopes) > 0 {
				t.Errorf("granted %q", d.Scopes)
			}
		})
	}
}

// The record says what was dropped, for granted and for refused exchanges.
func TestDroppedPermissionsAreRecorded(t *testing.T) {
	want := []permissions.Dropped{{Permission: foreign, Reason: "not_entitled"}, {Permission: "x", Reason: "no_rule"}}
	for _, kept := range []string{east, "y"} {
		d, err := newWorld().exchange(request(soundClaims().with("permissions", []string{foreign, kept, "x"}).signedBy(acmeKey())))
		got := slices.DeleteFunc(slices.Clone(d.Dropped), func(d permissions.Dropped) bool { return d.Permission == "y" })
		if (kept == east) != (err == nil) || !slices.Equal(got, want) {
			t.Errorf("with %s: %v, dropped %+v", kept, err, d.Dropped)
		}
	}
}

func TestPermissionsClaimOfThePolicy(t *testing.T) {
	for _, test := range []struct{ name, path, claim string }{
		{"none: permissions", "", "permissions"},
		{"a name", "roles", "roles"},
		{"a URL", "https://acme.example/claims", "https://acme.example/claims"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			if test.path != "" {
				w.policies[0].Permissions.Claims = []string{test.path}
			}
			d, err := w.exchange(request(soundClaims().with("permissions", nil).with(test.claim, []string{east}).signedBy(acmeKey())))
			if d = accepted(t, d, err); !slices.Equal(d.Scopes, []string{east}) {
				t.Errorf("got %q", d.Scopes)
			}
		})
	}
	t.Run("permissions is not read when another is named", func(t *testing.T) {
		w := newWorld()
		w.policies[0].Permissions.Claims = []string{"/realm_access/roles"}
		d, err := w.exchange(request(soundClaims().signedBy(acmeKey())))
		refused(t, d, err, grants.InvalidScope, "", "the claim /realm_access/roles of the subject token is missing or empty")
	})
}

// interface.md "Limits": 8 KiB granted; refused, never cut.
func TestMoreThan8KiBOfScope(t *testing.T) {
	entitled, entries := lockHolders{}, []string{}
	for i := range 9 {
		scope := fmt.Sprintf("lockHolder.identifier:NO.%s%d.", strings.Repeat("x", 990), i)
		entitled[scope], entries = fmt.Sprint(i), append(entries, scope)
	}
	w := newWorld()
	w.policies[0].Entitlements = entitled
	r := request(soundClaims().with("permissions", entries).signedBy(acmeKey()))
	d, err := w.exchange(r)
	refused(t, d, err, grants.InvalidScope, "", "at most 8192 are allowed")
	r.Scopes = entries[:8]
	d, err = w.exchange(r)
	if d = accepted(t, d, err); len(d.Scopes) != 8 {
		t.Errorf("got %d", len(d.Scopes))
	}
}

// Without a client there is no client's scope; the requested scope still limits.
func TestScopesWithoutAClient(t *testing.T) {
	w := newWorld()
	w.policies[0].Keys.URL = "https://acme.example/clientless"
	w.keys["https://acme.example/clientless"] = &acmeKey().PublicKey
	r := tokenexchange.Request{SubjectToken: soundClaims().signedBy(acmeKey()), SubjectTokenType: grants.TokenTypeJWT, Scopes: []string{north}}
	d, err := w.exchange(r)
	if d = accepted(t, d, err); !slices.Equal(d.Scopes, []string{north}) {
		t.Errorf("got %q", d.Scopes)
	}
	r.Scopes = []string{foreign}
	d, err = w.exchange(r)
	refused(t, d, err, grants.InvalidScope, "", "cannot be granted")
}

// XTI-08: two issuers may use one sub for different people.
func TestPlatformSubjectNamesTheIssuer(t *testing.T) {
	a := tokenexchange.Decision{Issuer: "https://a.example", Subject: "1"}
	b := tokenexchange.Decision{Issuer: "https://b.example", Subject: "1"}
	if a.PlatformSubject() != "https://a.example#1" || a.PlatformSubject() == b.PlatformSubject() {
		t.Errorf("got %q and %q", a.PlatformSubject(), b.PlatformSubject())
	}
}
