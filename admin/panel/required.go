package panel

import (
	"slices"
	"strconv"
	"strings"
)

type requiredClaim struct {
	Claim  string   `json:"claim"`
	Values []string `json:"values"`
}

// lines write a claim as the form has it: `claim` alone, or `claim = value` for
// each value. What would be read as something else stands in quotes.
func (r requiredClaim) lines() []string {
	name := r.Claim
	if strings.ContainsAny(name, "=\"\r\n") || strings.TrimSpace(name) != name {
		name = strconv.Quote(name)
	}
	if len(r.Values) == 0 {
		return []string{name}
	}
	var list []string
	for _, value := range r.Values {
		if value == "" || strings.HasPrefix(value, `"`) || strings.ContainsAny(value, "\r\n") || strings.TrimSpace(value) != value {
			value = strconv.Quote(value)
		}
		list = append(list, name+" = "+value)
	}
	return list
}

// Text is a claim in one line, for people.
func (r requiredClaim) Text() string { return strings.Join(r.lines(), " or ") }

// requiredClaims read what lines wrote, or a person did. A claim that stands on
// several lines may have any of their values.
func requiredClaims(texts []string) []requiredClaim {
	claims := []requiredClaim{}
	for _, text := range texts {
		name, value, valued := splitClaim(text)
		i := slices.IndexFunc(claims, func(c requiredClaim) bool { return c.Claim == name })
		if i < 0 {
			i = len(claims)
			claims = append(claims, requiredClaim{Claim: name, Values: []string{}})
		}
		if valued {
			claims[i].Values = append(claims[i].Values, value)
		}
	}
	return claims
}

func splitClaim(line string) (name, value string, valued bool) {
	if quoted, err := strconv.QuotedPrefix(line); err == nil {
		name, _ = strconv.Unquote(quoted) // which QuotedPrefix found sound
		value, valued = strings.CutPrefix(strings.TrimSpace(line[len(quoted):]), "=")
	} else {
		name, value, valued = strings.Cut(line, "=")
		name = strings.TrimSpace(name)
	}
	value = strings.TrimSpace(value)
	if strings.HasPrefix(value, `"`) {
		if text, err := strconv.Unquote(value); err == nil {
			value = text
		}
	}
	return name, value, valued
}
