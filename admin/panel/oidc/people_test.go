package oidc

import (
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/admin"
	"github.com/cambio-oauth/cambio/admin/panel"
)

const operator = "operator"

// role is what somebody is by their claims.
type role struct {
	rule     string
	operator string // the setting
	claim    Claim
	claims   object
	is       string // operator, or whose person
	says     string // or why not
}

func letIn() []role {
	return []role{
		{"an operator by an element of an array", "groups=ops", "integrator", object{"groups": []string{"a", "ops"}}, operator, ""},
		{"an operator by a string", "groups=ops", "integrator", object{"groups": "ops"}, operator, ""},
		{"an operator by a pointer", "/realm_access/roles=ops", "integrator", object{"realm_access": object{"roles": []string{"ops"}}}, operator, ""},
		{"an operator by a pointer with escapes", "/https:~1~1ns~1r/~0=ops", "integrator", object{"https://ns/r": object{"~": "ops"}}, operator, ""},
		{"an operator by a name with slashes", "https://ns/r=ops", "integrator", object{"https://ns/r": "ops"}, operator, ""},
		{"the operators' rule wins", "groups=ops", "integrator", object{"groups": "ops", "integrator": active}, operator, ""},
		{"a value with an equals sign", "groups=CN=ops", "integrator", object{"groups": "CN=ops"}, operator, ""},
		{"an integrator's person by a string", "groups=ops", "integrator", object{"groups": "x", "integrator": active}, active, ""},
		{"an integrator's person by an array of one", "groups=ops", "integrator", object{"integrator": []string{active}}, active, ""},
		{"an integrator's person by a pointer", "groups=ops", "/a/b", object{"a": object{"b": active}}, active, ""},
		{"an integrator's person without an operators' rule", "", "integrator", object{"integrator": active}, active, ""},
	}
}

// keptOut are those of whom the claims say nothing that counts.
func keptOut() []role {
	return []role{
		{"neither", "groups=ops", "integrator", object{}, "", "groups (operators) and integrator (an integrator's people)"},
		{"neither, where only operators are", "groups=ops", "", object{"integrator": active, "": active}, "", "groups (operators). Whoever"},
		{"neither, where only integrators are", "", "integrator", object{"groups": "ops"}, "", "counts is integrator"},
		{"no rule is true of nobody", "", "integrator", object{"": ""}, "", "counts is integrator"},
		{"another group", "groups=ops", "integrator", object{"groups": []string{"opsx", "OPS", "o"}}, "", "grant"},
		{"a group that holds the value", "groups=ops", "integrator", object{"groups": "a ops b"}, "", "grant"},
		{"a group that is no string", "groups=1", "integrator", object{"groups": 1}, "", "grant"},
		{"a member instead of an element", "groups=ops", "integrator", object{"groups": object{"ops": true}}, "", "grant"},
		{"an array in an array", "groups=ops", "integrator", object{"groups": []any{[]string{"ops"}}}, "", "grant"},
		{"a pointer through an array", "/a/0=ops", "integrator", object{"a": []string{"ops"}}, "", "grant"},
		{"a pointer past a string", "/a/b=ops", "integrator", object{"a": "ops"}, "", "grant"},
		{"a group that is null", "groups=ops", "integrator", object{"groups": nil}, "", "grant"},
	}
}

// wrongIntegrators are those whose claim does not name one active integrator.
func wrongIntegrators() []role {
	return []role{
		{"an integrator that is null", "groups=ops", "integrator", object{"integrator": nil}, "", "grant"},
		{"an integrator that is empty", "groups=ops", "integrator", object{"integrator": ""}, "", "id of an integrator"},
		{"no integrator in an array", "groups=ops", "integrator", object{"integrator": []string{}}, "", "grant"},
		{"null in an array", "groups=ops", "integrator", object{"integrator": []any{nil}}, "", "id of an integrator"},
		{"an empty string in an array", "groups=ops", "integrator", object{"integrator": []string{""}}, "", "id of an integrator"},
		{"an integrator that is no UUID", "groups=ops", "integrator", object{"integrator": "acme"}, "", "id of an integrator"},
		{"an integrator in capitals", "groups=ops", "integrator", object{"integrator": strings.ToUpper("01990a00-0000-7000-8000-00000000000a")}, "", "id of an integrator"},
		{"an integrator in braces", "groups=ops", "integrator", object{"integrator": "{" + active + "}"}, "", "id of an integrator"},
		{"an integrator with a space", "groups=ops", "integrator", object{"integrator": active + " "}, "", "id of an integrator"},
		{"me", "groups=ops", "integrator", object{"integrator": "me"}, "", "id of an integrator"},
		{"two integrators", "groups=ops", "integrator", object{"integrator": []string{active, disabled}}, "", "id of one integrator"},
		{"one twice", "groups=ops", "integrator", object{"integrator": []string{active, active}}, "", "id of one integrator"},
		{"an integrator that is a number", "groups=ops", "integrator", object{"integrator": 1}, "", "id of one integrator"},
		{"an integrator that is an object", "groups=ops", "integrator", object{"integrator": object{"id": active}}, "", "id of one integrator"},
		{"an integrator that is not there", "groups=ops", "integrator", object{"integrator": unknown}, "", "does not exist"},
		{"an integrator that is disabled", "groups=ops", "integrator", object{"integrator": disabled}, "", "disabled"},
	}
}

// Who somebody is, by the claims that the operator named.
func TestRoles(t *testing.T) {
	for _, c := range slices.Concat(letIn(), keptOut(), wrongIntegrators()) {
		t.Run(c.rule, func(t *testing.T) {
			f := newFake(t)
			f.config.Operators, f.config.IntegratorClaim = Rule{}, c.claim
			if c.operator != "" {
				var err error
				if f.config.Operators, err = ParseRule(c.operator); err != nil {
					t.Fatal(err)
				}
			}
			f.claims = func(claims object) {
				delete(claims, "groups")
				for name, value := range c.claims {
					claims[name] = value
				}
			}
			p := f.provider()
			answer := f.begin(p)
			person, err := p.Finish(t.Context(), f.kept, answer)
			if c.is == "" {
				mustRefuse(t, c.says)(person, err)
				if err != nil && (strings.Contains(err.Error(), "ops") || strings.Contains(err.Error(), active)) {
					t.Errorf("says which value would do: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.TrimPrefix(c.is, operator); person.Caller != (admin.Caller{ClientID: "oidc:jane", IntegratorID: want}) || person.Caller.Operator() != (c.is == operator) {
				t.Errorf("is %+v, want %s", person.Caller, c.is)
			}
			if err := p.Holds(t.Context(), person); err != nil {
				t.Errorf("does not hold: %v", err)
			}
		})
	}
}

// At each request: whoever's integrator is disabled or gone is signed out, and
// whom another provider or nobody signed in is not this one's.
func TestHolds(t *testing.T) {
	p := newFake(t).provider()
	for _, c := range []struct {
		rule   string
		caller admin.Caller
		says   string
	}{
		{"disabled", admin.Caller{ClientID: "oidc:x", IntegratorID: disabled}, "disabled"},
		{"deleted", admin.Caller{ClientID: "oidc:x", IntegratorID: unknown}, "does not exist"},
		{"nobody", admin.Caller{}, "Sign in again"},
		{"a client", admin.Caller{ClientID: "operator"}, "Sign in again"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			mustRefuse(t, c.says)(nil, p.Holds(t.Context(), &panel.Person{Caller: c.caller}))
		})
	}
	if err := p.Holds(t.Context(), &panel.Person{Caller: admin.Caller{ClientID: "oidc:x", IntegratorID: broken}}); err == nil {
		t.Error("holds though the database cannot be asked")
	}
}

// What somebody is called: the first of these that is text, fit to be shown.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		rule   string
		claims object
		want   string
	}{
		{"preferred_username", object{"preferred_username": "jane", "email": "j@x", "name": "Jane"}, "jane"},
		{"email", object{"email": "j@x", "name": "Jane"}, "j@x"},
		{"email that was verified", object{"email": "j@x", "email_verified": true, "name": "Jane"}, "j@x"},
		{"email that was not", object{"email": "j@x", "email_verified": false, "name": "Jane"}, "Jane"},
		{"email that was not, in a string", object{"email": "j@x", "email_verified": "false", "name": "Jane"}, "Jane"},
		{"sub", object{}, "jane"},
		{"no text", object{"preferred_username": 7, "name": object{}}, "jane"},
		{"nothing visible", object{"preferred_username": " \u200b ", "name": "Jane"}, "Jane"},
		{"control characters", object{"name": "Ja\x00ne\n\u202eDoe"}, "Jane Doe"},
		{"too long", object{"name": strings.Repeat("ü", 101)}, strings.Repeat("ü", 99) + "…"},
		{"markup", object{"name": "<b>Jane"}, "<b>Jane"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			f := newFake(t)
			f.claims = func(claims object) {
				for name, value := range c.claims {
					claims[name] = value
				}
			}
			p := f.provider()
			answer := f.begin(p)
			person, err := p.Finish(t.Context(), f.kept, answer)
			if err != nil || person.Name != c.want || person.Claims != nil {
				t.Errorf("%+v, %v, want %q", person, err, c.want)
			}
		})
	}
}
