package assertion

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/cambio-oauth/cambio/grants"
)

// checkRequired holds a token against the claims that a key URL asks for.
func (c *Claims) checkRequired(required []RequiredClaim) *grants.Refusal {
	for _, want := range required {
		raw := c.At(want.Claim)
		if raw == nil || isNull(raw) {
			return grants.RefuseToken(grants.ClaimMissing, "the subject token lacks a claim that the key URL requires", want.String(), "none")
		}
		if len(want.Values) > 0 && !slices.ContainsFunc(plainValues(raw), func(v string) bool { return slices.Contains(want.Values, v) }) {
			return grants.RefuseToken(grants.ClaimInvalid, "a claim of the subject token is not what the key URL requires", want.String(), grants.Shown(string(raw[:min(len(raw), 100)])))
		}
	}
	return nil
}

// String says what is required, for people.
func (r RequiredClaim) String() string {
	if len(r.Values) == 0 {
		return "claim " + grants.Shown(r.Claim)
	}
	return "claim " + grants.Shown(r.Claim) + " with one of: " + grants.Shown(strings.Join(r.Values, " "))
}

func expectedClaims(required []RequiredClaim) string {
	texts := make([]string, len(required))
	for i, r := range required {
		texts[i] = r.String()
	}
	return strings.Join(texts, "; ")
}

// plainValues gives a string, a number, a boolean, or the elements of an array
// of them, as text.
func plainValues(raw json.RawMessage) (values []string) {
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil {
		elements = []json.RawMessage{raw}
	}
	for _, element := range elements {
		var text string
		switch {
		case json.Unmarshal(element, &text) == nil && !isNull(element):
			values = append(values, text)
		case len(element) > 0 && element[0] != '{' && element[0] != '[' && !isNull(element):
			values = append(values, string(element))
		}
	}
	return values
}
