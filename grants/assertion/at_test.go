package assertion_test

import "testing"

// Claims.At: a name, or a JSON Pointer (RFC 6901).
func TestAt(t *testing.T) {
	claims, refusal := judge(sign(soundHeader, soundClaims.with(
		"https://acme.example/permissions", `["by-url"]`,
		"realm_access", `{"roles":["r1"],"a/b":["slash"],"m~n":["tilde"],"~1":["tilde-one"],"":["empty"],"null":null}`,
		"a/b", `"top slash"`, "", `"nameless"`, "list", `[{"roles":["r2"]}]`, "text", `"roles"`, "n", "null",
	)), soundPolicy(), finding(rightKey()))
	if refusal != nil {
		t.Fatal(refusal)
	}
	for _, test := range []struct{ name, path, want string }{
		{"a name", "permissions", `["lockHolder.identifier:NO.919424508.east"]`},
		{"a name that is a URL holds slashes and is no pointer", "https://acme.example/permissions", `["by-url"]`},
		{"a name that is not there", "roles", ""},
		{"a name in another case", "Permissions", ""},
		{"null is a value", "n", "null"},
		{"a pointer of one step", "/permissions", `["lockHolder.identifier:NO.919424508.east"]`},
		{"a pointer of two steps", "/realm_access/roles", `["r1"]`},
		{"~1 is a slash", "/realm_access/a~1b", `["slash"]`},
		{"~0 is a tilde", "/realm_access/m~0n", `["tilde"]`},
		{"~01 is ~1, not a slash (RFC 6901 §4)", "/realm_access/~01", `["tilde-one"]`},
		{"~1 in the first step", "/a~1b", `"top slash"`},
		{"the empty name", "/", `"nameless"`},
		{"the empty name within", "/realm_access/", `["empty"]`},
		{"null within", "/realm_access/null", "null"},
		{"through null", "/n/roles", ""},
		{"through text", "/text/roles", ""},
		{"through an array", "/list/roles", ""},
		{"through what is not there", "/nothing/roles", ""},
		{"past the end", "/realm_access/roles/more", ""},
		{"a last step that is not there", "/realm_access/groups", ""},
		{"a whole object", "/realm_access/roles", `["r1"]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := string(claims.At(test.path)); got != test.want {
				t.Errorf("At(%q) = %s, want %s", test.path, got, test.want)
			}
		})
	}
}
