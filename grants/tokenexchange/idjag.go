package tokenexchange

import (
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
	named, _ := claims.Text("client_id")
	switch {
	case r.Client == nil || r.Client.Public:
		return nil, grants.RefuseToken(grants.ClaimInvalid, "an identity assertion is for the client it names, which has to authenticate", "a client with credentials", "none")
	case named != r.Client.ID:
		return nil, grants.RefuseToken(grants.ClaimInvalid, "the identity assertion was made for another client", "client_id "+r.Client.ID, "client_id "+grants.Shown(named))
	case !slices.Equal(token.Audience, []string{x.Issuer}):
		return nil, grants.RefuseToken(grants.AudienceMismatch, "an identity assertion is for one authorization server", "aud "+x.Issuer, "aud "+grants.Shown(strings.Join(token.Audience, " ")))
	case claims.ID == "":
		return nil, grants.RefuseToken(grants.ClaimMissing, "the identity assertion has no jti", "claim jti", "none")
	}
	resources, ok := claims.TextOrTexts("resource")
	if claims.Has("resource") && !ok || ok && slices.ContainsFunc(audience, func(aud string) bool { return !slices.Contains(resources, aud) }) {
		return nil, grants.Refuse(grants.InvalidTarget, "the identity assertion is for another resource than the token would be")
	}
	scope, limits := claims.Text("scope")
	if claims.Has("scope") && !limits {
		return nil, grants.RefuseToken(grants.ClaimInvalid, "the claim scope of the identity assertion is not usable", "a string", "something else")
	}
	if limits {
		limited := *r.Client
		limited.Scopes = narrower(limited.Scopes, strings.Fields(scope))
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
