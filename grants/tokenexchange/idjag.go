package tokenexchange

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
)

// identityAssertion holds an ID-JAG against what
// draft-ietf-oauth-identity-assertion-authz-grant asks beyond a JWT: it was made
// for this server alone and for one client, which has authenticated; it is used
// once; and what it says of scope and resource limits what comes of it.
func (x *Exchanger) identityAssertion(token *assertion.Token, claims *assertion.Claims, policy *Policy, r *Request, audience []string) (*Policy, *grants.Refusal) {
	named, _ := stringsOf(claims.At("client_id"))
	switch {
	case r.Client == nil || r.Client.Public:
		return nil, grants.RefuseToken(grants.ClaimInvalid, "an identity assertion is for the client it names, which has to authenticate", "a client with credentials", "none")
	case len(named) != 1 || named[0] != r.Client.ID:
		return nil, grants.RefuseToken(grants.ClaimInvalid, "the identity assertion was made for another client", "client_id "+r.Client.ID, "client_id "+grants.Shown(strings.Join(named, " ")))
	case !slices.Equal(token.Audience, []string{x.Issuer}):
		return nil, grants.RefuseToken(grants.AudienceMismatch, "an identity assertion is for one authorization server", "aud "+x.Issuer, "aud "+grants.Shown(strings.Join(token.Audience, " ")))
	case claims.ID == "":
		return nil, grants.RefuseToken(grants.ClaimMissing, "the identity assertion has no jti", "claim jti", "none")
	}
	resources, ok := stringsOf(claims.At("resource"))
	if !ok || resources != nil && slices.ContainsFunc(audience, func(aud string) bool { return !slices.Contains(resources, aud) }) {
		return nil, grants.Refuse(grants.InvalidTarget, "the identity assertion is for another resource than the token would be")
	}
	var scope *string
	if raw := claims.At("scope"); len(raw) > 0 && json.Unmarshal(raw, &scope) != nil {
		return nil, grants.RefuseToken(grants.ClaimInvalid, "the claim scope of the identity assertion is not usable", "a string", "something else")
	}
	if scope != nil {
		limited := *r.Client
		limited.Scopes = narrower(limited.Scopes, strings.Fields(*scope))
		r.Client = &limited
	}
	once := *policy
	once.SingleUse = true
	return &once, nil
}

// narrower gives what is in both of two limits, of which the first may be none.
func narrower(allowed, scopes []string) []string {
	if allowed == nil {
		return append([]string{}, scopes...)
	}
	return slices.DeleteFunc(slices.Clone(allowed), func(s string) bool { return !slices.Contains(scopes, s) })
}

// stringsOf reads a claim that is a string or an array of strings; nil when it
// is absent. ok is false for anything else.
func stringsOf(claim json.RawMessage) (values []string, ok bool) {
	if len(claim) == 0 || string(claim) == "null" {
		return nil, true
	}
	var one string
	if json.Unmarshal(claim, &one) == nil {
		return []string{one}, true
	}
	var entries []any // not []string: encoding/json reads null as ""
	if json.Unmarshal(claim, &entries) != nil {
		return nil, false
	}
	values = []string{}
	for _, entry := range entries {
		text, isText := entry.(string)
		if !isText {
			return nil, false
		}
		values = append(values, text)
	}
	return values, true
}
