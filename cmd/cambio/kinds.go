package main

import (
	"bytes"
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/registry"
)

// form is how a value is written in a document.
type form int

const (
	formText   form = iota // a text, or a list of texts: a number is its digits
	formAny                // as it is
	formClaims             // required_claims
	formChange             // change of a key URL: some of its rules
)

// member is one writable member of a kind, named as in the API.
type member struct {
	name     string
	form     form
	fallback any // what leaving it out means; nil: null, or it has to be there
}

// kind is a kind of object that a document can hold. A test holds this against
// the server's openapi.yaml.
type kind struct {
	section string // in the document
	title   string // for people
	path    string // of the collection; of an integrator's, below its path
	id      string // what names an object in paths
	natural []string
	members []member
}

func integratorKind() *kind {
	return &kind{"integrators", "integrator", "/integrators", "id", []string{"name"}, []member{
		{"name", formText, nil}, {"status", formText, "active"},
	}}
}

func lockHolderKind() *kind {
	return &kind{"lock_holders", "lock holder", "/lock-holders", "id", []string{"country_iso", "organization_id", "organization_id_suffix"}, []member{
		{"name", formText, nil}, {"country_iso", formText, nil}, {"organization_id", formText, nil}, {"organization_id_suffix", formText, ""},
	}}
}

func resourceServerKind() *kind {
	return &kind{"resource_servers", "resource server", "/resource-servers", "id", []string{"audience"}, []member{
		{"name", formText, nil}, {"audience", formText, nil},
	}}
}

func scopeRuleKind() *kind {
	return &kind{"scope_rules", "scope rule", "/scope-rules", "id", []string{"permission"}, []member{
		{"permission", formText, nil}, {"scope", formText, nil},
	}}
}

func clientKind() *kind {
	return &kind{"clients", "client", "/clients", "client_id", []string{"client_name"}, []member{
		{"client_name", formText, nil}, {"token_endpoint_auth_method", formText, registry.AuthBasic}, {"jwks", formAny, nil}, {"jwks_uri", formText, nil},
		{"grant_types", formText, nil}, {"scope", formText, nil}, {"access_token_ttl", formAny, nil}, {"allowed_origins", formText, []any{}}, {"status", formText, "active"},
	}}
}

func keyURLKind() *kind {
	return &kind{"key_urls", "key URL", "/key-urls", "id", []string{"issuer", "url"}, append([]member{
		{"issuer", formText, nil}, {"url", formText, nil}, {"format", formText, registry.FormatAuto}, {"clientless", formAny, false}, {"single_use", formAny, false},
		{"mode", formText, "enforce"}, {"change", formChange, nil}, {"status", formText, "active"},
	}, ruleMembers()...)}
}

// ruleMembers are those of a key URL that a change can hold.
func ruleMembers() []member {
	return []member{
		{"algorithms", formText, []any{"RS256"}}, {"audiences", formText, []any{}}, {"audience_claims", formText, []any{"aud"}},
		{"required_claims", formClaims, []any{}}, {"condition", formText, nil}, {"permissions_claim", formText, registry.DefaultPermissions},
		{"permissions_format", formText, registry.FormatArray}, {"allow_id_token", formAny, false}, {"allow_id_jag", formAny, false},
		{"max_lifetime", formAny, json.Number("86400")},
	}
}

func (k *kind) names() []string {
	names := make([]string, len(k.members))
	for i, m := range k.members {
		names[i] = m.name
	}
	return names
}

// whole gives all members of an object, as the server would show them: what is
// left out as its default, and what can be written in several ways in one.
func (k *kind) whole(given map[string]any) map[string]any {
	all := map[string]any{}
	for _, m := range k.members {
		all[m.name] = m.fallback
		if value, ok := given[m.name]; ok && value != nil {
			all[m.name] = value
		}
	}
	switch k.section {
	case "clients":
		if all["grant_types"] == nil {
			all["grant_types"] = defaultGrants(all["token_endpoint_auth_method"])
		}
		if scope, ok := all["scope"].(string); ok {
			all["scope"] = strings.Join(strings.Fields(scope), " ")
		}
	case "key_urls":
		tidyRules(all)
		if change, ok := all["change"].(map[string]any); ok && len(change) == 0 {
			all["change"] = nil
		}
	}
	return all
}

// defaultGrants are the grant types of a client that names none.
func defaultGrants(method any) any {
	if method == registry.AuthNone {
		return []any{grants.TokenExchange}
	}
	return []any{grants.ClientCredentials, grants.TokenExchange}
}

// tidyRules writes rules of a key URL in one way.
func tidyRules(rules map[string]any) {
	if claims, ok := rules["permissions_claim"].([]any); ok && len(claims) == 1 {
		rules["permissions_claim"] = claims[0]
	}
	if rules["condition"] == "" {
		rules["condition"] = nil
	}
	required, _ := rules["required_claims"].([]any)
	for _, one := range required {
		if claim, ok := one.(map[string]any); ok && claim["values"] == nil {
			claim["values"] = []any{}
		}
	}
}

// sparse gives the members that are not what leaving them out would mean.
func (k *kind) sparse(all map[string]any) map[string]any {
	some := map[string]any{}
	defaults := k.whole(map[string]any{"token_endpoint_auth_method": all["token_endpoint_auth_method"]})
	for _, m := range k.members {
		if m.name == "token_endpoint_auth_method" {
			defaults[m.name] = m.fallback
		}
		if !reflect.DeepEqual(all[m.name], defaults[m.name]) || slices.Contains(k.natural, m.name) && all[m.name] != m.fallback {
			some[m.name] = all[m.name]
		}
	}
	return some
}

// key is the natural key of an object as a query.
func (k *kind) key(all map[string]any) url.Values {
	key := url.Values{}
	for _, name := range k.natural {
		text, _ := all[name].(string)
		key.Set(name, text)
	}
	return key
}

// label names an object for people, behind its integrator.
func (k *kind) label(owner string, all map[string]any) string {
	var parts []string
	for _, name := range k.natural {
		text, _ := all[name].(string)
		parts = append(parts, text)
	}
	text := quoted(strings.Join(parts, " "))
	if k.section == "lock_holders" {
		text = printable(strings.Join(parts, "."))
	}
	if owner != "" {
		text = quoted(owner) + " " + text
	}
	return k.title + " " + text
}

// decodeJSON reads JSON without making numbers inexact.
func decodeJSON(text []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}
