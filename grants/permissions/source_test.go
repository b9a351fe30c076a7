package permissions_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/permissions"
)

func readAs(format permissions.Format, claims map[string]string, names ...string) ([]string, *grants.Refusal) {
	return permissions.Source{Claims: names, Format: format}.Read(func(name string) json.RawMessage { return json.RawMessage(claims[name]) })
}

// Each provider's way to write permissions, read as itself and as nothing else.
func TestFormats(t *testing.T) {
	const array, space, comma, keys, auto = permissions.FormatArray, permissions.FormatSpace, permissions.FormatComma, permissions.FormatKeys, permissions.FormatAuto
	for _, test := range []struct {
		name, claim string
		want        string // between "|"; "!" before what was found instead
		formats     []permissions.Format
	}{
		{"an array (Auth0, Okta, Keycloak)", `["a","b c",""]`, "a|b c|", []permissions.Format{array, auto}},
		{"an array, elsewhere", `["a"]`, "!an array", []permissions.Format{space, comma, keys}},
		{"a string (scope, Entra's scp)", `"a  b "`, "a|b", []permissions.Format{space, auto}},
		{"a string with commas", `"a, b c,,"`, "a|b c", []permissions.Format{comma}},
		{"commas are no separators elsewhere", `"a,b c"`, "a,b|c", []permissions.Format{space, auto}},
		{"a tab is no separator", `"a\tb"`, "a\tb", []permissions.Format{space, comma, auto}},
		{"an empty string", `""`, "", []permissions.Format{space, comma, auto}},
		{"a string, elsewhere", `"a"`, "!a string", []permissions.Format{array, keys}},
		{"an object (ZITADEL)", `{"b":{"1":"acme"},"a":null}`, "a|b", []permissions.Format{keys, auto}},
		{"an empty object", `{}`, "", []permissions.Format{keys, auto}},
		{"an object, elsewhere", `{"a":1}`, "!an object", []permissions.Format{array, space, comma}},
		{"a number", `1`, "!a number or a boolean", []permissions.Format{array, space, comma, keys, auto}},
		{"true", `true`, "!a number or a boolean", []permissions.Format{array, space, comma, keys, auto}},
		{"an array with a number", `["a",1]`, "!an entry that is not a string", []permissions.Format{array, auto}},
		{"501 words", `"` + strings.Repeat("a ", 501) + `"`, "!501 entries", []permissions.Format{space, auto}},
		{"a long word", `"` + strings.Repeat("a", 2101) + `"`, "!an entry of 2101 bytes", []permissions.Format{space, comma, auto}},
		{"a long key", `{"` + strings.Repeat("a", 2101) + `":1}`, "!an entry of 2101 bytes", []permissions.Format{keys, auto}},
		{"null", `null`, "", []permissions.Format{array, space, comma, keys, auto}},
	} {
		for _, format := range test.formats {
			t.Run(test.name+" as "+string(format), func(t *testing.T) {
				got, refusal := readAs(format, map[string]string{"p": test.claim}, "p")
				if found, wrong := strings.CutPrefix(test.want, "!"); wrong {
					if refusal == nil || got != nil || refusal.Reason != grants.PermissionsInvalid || refusal.Found != found+" at p" {
						t.Errorf("got %q, %v, want found %q", got, refusal, found)
					}
					return
				}
				if refusal != nil || strings.Join(got, "|") != test.want {
					t.Errorf("got %q, %v, want %q", got, refusal, test.want)
				}
			})
		}
	}
}

// Several claims: all that are there count, in their order, and the bound is
// one for all of them.
func TestSeveralClaims(t *testing.T) {
	entra := map[string]string{"scp": `"read write"`, "roles": `["admin"]`}
	if got, refusal := readAs(permissions.FormatAuto, entra, "roles", "groups", "scp"); refusal != nil || !slices.Equal(got, []string{"admin", "read", "write"}) {
		t.Errorf("got %q, %v", got, refusal)
	}
	if got, refusal := readAs(permissions.FormatAuto, entra, "groups"); refusal != nil || got != nil {
		t.Errorf("got %q, %v", got, refusal)
	}
	if _, refusal := readAs(permissions.FormatArray, entra, "roles", "scp"); refusal == nil || refusal.Found != "a string at scp" {
		t.Errorf("one of a wrong type refuses the token: %v", refusal)
	}
	list := func(n int) string { return "[" + strings.Repeat(`"a",`, n-1) + `"a"]` }
	if got, refusal := readAs("", map[string]string{"a": list(250), "b": list(250)}, "a", "b"); refusal != nil || len(got) != 500 {
		t.Errorf("got %d, %v", len(got), refusal)
	}
	if _, refusal := readAs("", map[string]string{"a": list(250), "b": list(251)}, "a", "b"); refusal == nil || refusal.Reason != grants.PermissionsInvalid {
		t.Errorf("501 in all: %v", refusal)
	}
}
