package oidc

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/cambio-oauth/cambio/grants/strictjson"
	"github.com/cambio-oauth/cambio/registry"
)

// Claim is the name of a claim, or a JSON Pointer to it (RFC 6901) when it
// begins with a slash. Pointers lead through objects only.
type Claim string

// ParseClaim reads a claim from the configuration.
func ParseClaim(text string) (Claim, error) {
	if !registry.ValidClaimName(text) {
		return "", errors.New("want the name of a claim, or a JSON Pointer such as /realm_access/roles")
	}
	rest := strings.NewReplacer("~0", "", "~1", "").Replace(text)
	if strings.HasPrefix(text, "/") && strings.Contains(rest, "~") {
		return "", errors.New("in a JSON Pointer ~ is written ~0, and / in a name ~1 (RFC 6901)")
	}
	return Claim(text), nil
}

// Rule is true of who has a claim that equals a value, or an array that contains
// it.
type Rule struct {
	Claim Claim
	Value string
}

// ParseRule reads "claim=value".
func ParseRule(text string) (Rule, error) {
	name, value, found := strings.Cut(text, "=")
	if !found || name == "" || value == "" || !registry.ValidName(value) {
		return Rule{}, errors.New("want claim=value, such as groups=cambio-operators")
	}
	claim, err := ParseClaim(name)
	return Rule{claim, value}, err
}

// holds: no rule is true of nobody.
func (r Rule) holds(claims strictjson.Members) bool {
	return r.Value != "" && slices.ContainsFunc(r.Claim.values(claims), func(raw json.RawMessage) bool {
		var text string
		return json.Unmarshal(raw, &text) == nil && text == r.Value
	})
}

// at gives the raw value of a claim; nil when it is not there, or null.
func (c Claim) at(claims strictjson.Members) json.RawMessage {
	steps := []string{string(c)}
	if strings.HasPrefix(string(c), "/") {
		steps = strings.Split(string(c[1:]), "/")
		for i, step := range steps {
			steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		}
	}
	members := map[string]json.RawMessage(claims)
	for _, step := range steps[:len(steps)-1] {
		value := members[step]
		if members = nil; json.Unmarshal(value, &members) != nil {
			return nil
		}
	}
	if value := members[steps[len(steps)-1]]; string(value) != "null" {
		return value
	}
	return nil
}

// values gives the elements of a claim that is an array, or the one value that
// it is.
func (c Claim) values(claims strictjson.Members) []json.RawMessage {
	raw := c.at(claims)
	if c == "" || raw == nil {
		return nil
	}
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) == nil {
		return elements
	}
	return []json.RawMessage{raw}
}
