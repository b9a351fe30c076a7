package permissions_test

import (
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/permissions"
)

const prefix = "lockHolder.identifier:"

// interface.md "Conversion" 1.
func TestIdentifiers(t *testing.T) {
	long := strings.Repeat("x", 1024)
	for _, test := range []struct {
		name, text string
		want       permissions.Identifier
	}{
		{"with a suffix", prefix + "NO.919424508.east", permissions.Identifier{CountryISO: "NO", OrganizationID: "919424508", OrganizationIDSuffix: "east"}},
		{"the last dot stays when the suffix is empty", prefix + "NO.919424508.", permissions.Identifier{CountryISO: "NO", OrganizationID: "919424508"}},
		{"all characters", prefix + "SE.AZaz09_-.AZaz09_-", permissions.Identifier{CountryISO: "SE", OrganizationID: "AZaz09_-", OrganizationIDSuffix: "AZaz09_-"}},
		{"an organisation of 4", prefix + "NO.1234.", permissions.Identifier{CountryISO: "NO", OrganizationID: "1234"}},
		{"organisation and suffix of 1024", prefix + "NO." + long + "." + long, permissions.Identifier{CountryISO: "NO", OrganizationID: long, OrganizationIDSuffix: long}},
		{"a suffix of 1", prefix + "NO.1234.-", permissions.Identifier{CountryISO: "NO", OrganizationID: "1234", OrganizationIDSuffix: "-"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := permissions.ParseIdentifier(test.text)
			if err != nil || got != test.want {
				t.Fatalf("got %+v, %v", got, err)
			}
			if got.String() != test.text {
				t.Errorf("writes %q", got.String())
			}
			if len(test.text) > permissions.MaxEntryBytes {
				t.Errorf("%d bytes do not fit into an entry", len(test.text))
			}
		})
	}
}

func TestWhatIsNoIdentifier(t *testing.T) {
	long := strings.Repeat("x", 1025)
	for name, text := range map[string]string{
		"nothing":                              "",
		"the prefix alone":                     prefix,
		"no prefix":                            "NO.919424508.east",
		"another prefix":                       "lockHolder.admin:NO.919424508.east",
		"the prefix in capitals (PRM-09)":      "LOCKHOLDER.identifier:NO.919424508.east",
		"the prefix twice":                     prefix + prefix + "NO.919424508.east",
		"a space before":                       " " + prefix + "NO.919424508.east",
		"one dot (PRM-07)":                     prefix + "NO.919424508",
		"two dots at the end":                  prefix + "NO.919424508..",
		"an empty organisation":                prefix + "NO..east",
		"an empty country":                     prefix + ".919424508.east",
		"four parts":                           prefix + "NO.919.424508.east",
		"five parts":                           prefix + "NO.aaaa.b.c.d",
		"dots alone":                           prefix + "..",
		"a country in small letters (PRM-09)":  prefix + "no.919424508.east",
		"a country in mixed case":              prefix + "No.919424508.east",
		"a country of three letters":           prefix + "NOR.919424508.east",
		"a country of one letter":              prefix + "N.919424508.east",
		"a country with a digit":               prefix + "N0.919424508.east",
		"a country of one two-byte letter":     prefix + "Ø.919424508.east",
		"an organisation of 3":                 prefix + "NO.123.east",
		"an organisation of 1025":              prefix + "NO." + long + ".",
		"a suffix of 1025":                     prefix + "NO.1234." + long,
		"a star for the organisation (PRM-05)": prefix + "NO.*.",
		"a star for the suffix":                prefix + "NO.919424508.*",
		"a star for all":                       prefix + "*",
		"a star after the organisation":        prefix + "NO.9194*.",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := permissions.ParseIdentifier(text); err == nil || got != (permissions.Identifier{}) {
				t.Errorf("ParseIdentifier(%q) = %+v, %v", text, got, err)
			}
		})
	}
}

// PRM-02, PRM-03: scope injection. Every byte outside the grammar is refused at
// every place, and so is what fosite's strategies let through (F5).
func TestCharactersThatNoIdentifierHolds(t *testing.T) {
	strange := []string{"\u0085", "\u00a0", "\u2003", "\u2028", "\u3000", "\u200b", "%20", "\u212a", "\u017f", "é", "\ufffd"}
	for c := range 256 {
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-'
		if !letter {
			strange = append(strange, string([]byte{byte(c)}))
		}
	}
	for _, s := range strange {
		for _, text := range []string{
			prefix + "N" + s + ".919424508.east", prefix + "NO.9194" + s + "24508.east", prefix + "NO.919424508.ea" + s + "st",
			prefix + "NO.919424508.east" + s, prefix + "NO.919424508.east" + s + "integrator.admin", s + prefix + "NO.919424508.east",
		} {
			if got, err := permissions.ParseIdentifier(text); err == nil {
				t.Errorf("ParseIdentifier(%q) = %+v", text, got)
			}
		}
	}
}

// FuzzParsePermission is PRM-20: a permission that names a lock holder is
// written as it was read, is one scope-token, none of ours, and reads the same
// again.
func FuzzParsePermission(f *testing.F) {
	for _, seed := range []string{
		prefix + "NO.919424508.east", prefix + "NO.919424508.", prefix + "NO.919424508", prefix + "NO.919.424508.east", prefix, "integrator.admin",
		prefix + "NO.919424508.east integrator.admin", prefix + "NO.919424508.*", prefix + "no.919424508.", prefix + "NO.91942\u212a.x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		identifier, err := permissions.ParseIdentifier(text)
		if err != nil {
			return
		}
		if identifier.String() != text {
			t.Fatalf("%q is written as %q", text, identifier)
		}
		if again, err := permissions.ParseIdentifier(identifier.String()); err != nil || again != identifier {
			t.Fatalf("%q is read as %+v, then as %+v (%v)", text, identifier, again, err)
		}
		if !grants.ValidScope(text) || grants.IsOwnScope(text) || len(text) > permissions.MaxEntryBytes {
			t.Fatalf("%q is no scope to grant", text)
		}
	})
}
