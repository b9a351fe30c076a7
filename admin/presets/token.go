package presets

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Token is a subject token that nobody verified: what it says chooses a
// proposal, which a person then accepts or not.
type Token struct {
	Algorithm string
	KeyID     string
	Type      string // the typ header, in lower case and without "application/"
	Claims    map[string]json.RawMessage
}

// at gives the value of a claim, by name or by JSON Pointer (RFC 6901); nil
// when it is not there, or null.
func (t Token) at(path string) json.RawMessage {
	if !strings.HasPrefix(path, "/") {
		return present(t.Claims[path])
	}
	members := t.Claims
	steps := strings.Split(path[1:], "/")
	for i, step := range steps {
		value := members[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)]
		if i == len(steps)-1 {
			return present(value)
		}
		members = nil
		if json.Unmarshal(value, &members) != nil {
			return nil
		}
	}
	return nil
}

func present(value json.RawMessage) json.RawMessage {
	if len(value) == 0 || string(value) == "null" {
		return nil
	}
	return value
}

// text gives a claim that is a string and not empty.
func (t Token) text(path string) (string, bool) {
	var text string
	value := t.at(path)
	ok := value != nil && json.Unmarshal(value, &text) == nil && text != ""
	return text, ok
}

// texts gives what a claim says: a string, the strings of an array, or the
// text of what else it is.
func (t Token) texts(path string) []string {
	value := t.at(path)
	if value == nil {
		return nil
	}
	if found, values := read(value); found != "" && found != "keys" {
		if one, ok := t.text(path); ok {
			return []string{one}
		}
		return values
	}
	return []string{string(value)}
}

// seconds gives a claim that is a number.
func (t Token) seconds(claim string) (float64, bool) {
	number, err := strconv.ParseFloat(string(t.at(claim)), 64)
	return number, err == nil
}

// read tells by the type of a claim how it holds permissions, and which. The
// format is empty for a type that holds none.
func read(value json.RawMessage) (format string, values []string) {
	var text string
	var members map[string]json.RawMessage
	switch {
	case json.Unmarshal(value, &text) == nil && strings.Contains(text, ",") && !strings.Contains(text, " "):
		return "comma", strings.Split(text, ",")
	case json.Unmarshal(value, &text) == nil:
		return "space", strings.Fields(text)
	case json.Unmarshal(value, &values) == nil && !slices.Contains(values, ""): // null reads as ""
		return "array", values
	case json.Unmarshal(value, &members) == nil:
		for name := range members {
			values = append(values, name)
		}
		slices.Sort(values)
		return "keys", values
	}
	return "", nil
}

// holds tells whether a condition is true of a token.
func (c *Condition) holds(t Token) bool {
	if c == nil {
		return true
	}
	issuer, _ := t.text("iss")
	if c.Algorithm != nil && !c.Algorithm.Matches(t.Algorithm) || c.Issuer != nil && !c.Issuer.Matches(issuer) {
		return false
	}
	for path, pattern := range c.Claims {
		if !slices.ContainsFunc(t.texts(path), pattern.Matches) {
			return false
		}
	}
	return !slices.ContainsFunc(c.Absent, func(path string) bool { return t.at(path) != nil })
}
