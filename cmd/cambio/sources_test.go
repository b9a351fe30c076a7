package main

import (
	"net/http"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// Permissions where real providers put them.
func TestPermissionSources(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		acme.rule("*", "acme.$1")
		keyURL := "/integrators/" + acme.id + "/key-urls/" + acme.keyURL
		cases := []struct {
			provider string
			claim    any
			format   any
			token    object
			want     string // empty: permissions_invalid
		}{
			{"Auth0", "permissions", "array", object{"permissions": []string{"read", "write"}}, "acme.read acme.write"},
			{"Entra", []string{"scp", "roles"}, "auto", object{"scp": "read write", "roles": []string{"admin"}}, "acme.read acme.write acme.admin"},
			{"Entra, an application", []string{"scp", "roles"}, "auto", object{"roles": []string{"admin"}}, "acme.admin"},
			{"Keycloak", []string{"/realm_access/roles", "/resource_access/api/roles"}, "array",
				object{"realm_access": object{"roles": []string{"a"}}, "resource_access": object{"api": object{"roles": []string{"b", "a"}}}}, "acme.a acme.b"},
			{"ZITADEL", "urn:zitadel:iam:org:project:roles", "keys", object{"urn:zitadel:iam:org:project:roles": object{"b": object{"1": "x"}, "a": object{}}}, "acme.a acme.b"},
			{"a comma list", "rights", "comma", object{"rights": "a, b"}, "acme.a acme.b"},
			{"RFC 9068 scope", "scope", "space", object{"scope": "a b"}, "acme.a acme.b"},
			{"a string where an array is expected", "scope", nil, object{"scope": "a b"}, ""},
			{"one of two of a wrong type", []string{"roles", "scope"}, "array", object{"roles": []string{"a"}, "scope": "b"}, ""},
		}
		for _, c := range cases {
			t.Run(c.provider, func(t *testing.T) {
				got := s.admin("PATCH", keyURL, object{"permissions_claim": c.claim, "permissions_format": c.format}).mustBe(t, http.StatusOK).json
				if want := c.format; want != nil && got["permissions_format"] != want {
					t.Errorf("permissions_format %v, want %v", got["permissions_format"], want)
				}
				if _, text := c.claim.(string); text {
					if got["permissions_claim"] != c.claim {
						t.Errorf("permissions_claim %v, want %v", got["permissions_claim"], c.claim)
					}
				} else if list, ok := got["permissions_claim"].([]any); !ok || len(list) != 2 {
					t.Errorf("permissions_claim %v, want %v", got["permissions_claim"], c.claim)
				}
				a := acme.exchange(acme.idp.token(c.token))
				if c.want == "" {
					a.mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.PermissionsInvalid)
					return
				}
				if got := a.mustBe(t, http.StatusOK).text("scope"); got != c.want {
					t.Errorf("scope %q, want %q", got, c.want)
				}
			})
		}
		for _, wrong := range []any{[]string{}, []string{"a", "a"}, "", []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}, []any{1}, 1, object{"a": "b"}} {
			a := s.admin("PATCH", keyURL, object{"permissions_claim": wrong})
			if a.status != http.StatusUnprocessableEntity {
				t.Errorf("%v: %d %s", wrong, a.status, a.body)
			}
		}
		s.admin("PATCH", keyURL, object{"permissions_format": "xml"}).mustBeProblem(t, http.StatusUnprocessableEntity, "invalid")
		got := s.admin("PATCH", keyURL, object{"permissions_claim": nil, "permissions_format": nil}).mustBe(t, http.StatusOK).json
		if got["permissions_claim"] != "permissions" || got["permissions_format"] != "array" {
			t.Errorf("null means the default: %v", got)
		}
	})
}
