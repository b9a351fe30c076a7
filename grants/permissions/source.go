package permissions

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cambio-oauth/cambio/grants"
)

// Format says how a claim holds permissions.
type Format string

// Formats that identity providers use.
const (
	FormatArray Format = "array" // ["a","b"]
	FormatSpace Format = "space" // "a b", as scope and Entra's scp (RFC 6749 §3.3)
	FormatComma Format = "comma" // "a,b"
	FormatKeys  Format = "keys"  // {"a":…,"b":…}, as ZITADEL's roles
	FormatAuto  Format = "auto"  // array, space or keys, by the JSON type of the claim
)

// Source says where the permissions of a token are.
type Source struct {
	Claims []string // each a name or a JSON Pointer, in order; none means "permissions"
	Format Format   // of each of them; empty means array
}

// Names gives the claims that are read.
func (s Source) Names() []string {
	if len(s.Claims) == 0 {
		return []string{"permissions"}
	}
	return s.Claims
}

// String says where the permissions are, for people.
func (s Source) String() string {
	return s.Format.expected() + " at " + grants.Shown(strings.Join(s.Names(), ", "))
}

// Read gathers the permissions of all claims, in order. A claim that is absent,
// null or empty holds nothing; any other type, anywhere, refuses the token: a
// partial grant of what somebody mistyped helps nobody.
func (s Source) Read(at func(claim string) json.RawMessage) ([]string, *grants.Refusal) {
	var all []string
	for _, name := range s.Names() {
		raw := at(name)
		if len(raw) == 0 || string(raw) == "null" {
			continue
		}
		entries, found := read(raw, s.Format, MaxEntries-len(all))
		if found != "" {
			return nil, grants.RefuseToken(grants.PermissionsInvalid, "the permissions of the subject token are not usable",
				fmt.Sprintf("%s, with at most %d strings of at most %d bytes", s.Format.expected(), MaxEntries, MaxEntryBytes), found+" at "+grants.Shown(name))
		}
		all = append(all, entries...)
	}
	return all, nil
}

func (f Format) expected() string {
	switch f {
	case FormatSpace:
		return "a string of permissions between spaces"
	case FormatComma:
		return "a string of permissions between commas"
	case FormatKeys:
		return "an object whose member names are permissions"
	case FormatAuto:
		return "an array, a string or an object of permissions"
	}
	return "an array of strings"
}

// read decodes one claim. found tells what it is instead, and is empty when it
// is right.
func read(claim json.RawMessage, format Format, room int) (entries []string, found string) {
	var value any
	if json.Unmarshal(claim, &value) != nil {
		return nil, "no JSON"
	}
	switch value := value.(type) {
	case []any:
		if format != FormatArray && format != FormatAuto && format != "" {
			return nil, "an array"
		}
		return texts(value, room)
	case string:
		separator := " "
		switch format {
		case FormatSpace, FormatAuto:
		case FormatComma:
			separator = ","
		default:
			return nil, "a string"
		}
		return bounded(split(value, separator), room)
	case map[string]any:
		if format != FormatKeys && format != FormatAuto {
			return nil, "an object"
		}
		return bounded(slices.Sorted(maps.Keys(value)), room)
	}
	return nil, "a number or a boolean"
}

// texts: not by decoding to []string, for encoding/json reads null as "".
func texts(values []any, room int) ([]string, string) {
	if len(values) > room {
		return nil, fmt.Sprintf("%d entries", len(values))
	}
	entries := make([]string, 0, len(values))
	for _, value := range values {
		text, ok := value.(string)
		if !ok {
			return nil, "an entry that is not a string"
		}
		entries = append(entries, text)
	}
	return bounded(entries, room)
}

func split(text, separator string) []string {
	entries := strings.Split(text, separator)
	for i := range entries {
		entries[i] = strings.Trim(entries[i], " ")
	}
	return slices.DeleteFunc(entries, func(entry string) bool { return entry == "" })
}

func bounded(entries []string, room int) ([]string, string) {
	if len(entries) > room {
		return nil, fmt.Sprintf("%d entries", len(entries))
	}
	for _, entry := range entries {
		if len(entry) > MaxEntryBytes {
			return nil, fmt.Sprintf("an entry of %d bytes", len(entry))
		}
	}
	return entries, ""
}
