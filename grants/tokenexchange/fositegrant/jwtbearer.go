package fositegrant

import (
	"context"
	"slices"

	"github.com/ory/fosite"

	"github.com/cambio-oauth/cambio/grants"
)

// JWTBearer is the JWT bearer grant (RFC 7523 §2.1) on the same trust, policy
// and scopes as the exchange. It alone takes identity assertions (ID-JAG,
// draft-ietf-oauth-identity-assertion-authz-grant).
type JWTBearer struct{ Handler }

var _ fosite.TokenEndpointHandler = (*JWTBearer)(nil)

// CanHandleTokenEndpointRequest implements fosite.
func (h *JWTBearer) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return slices.Equal(r.GetGrantTypes(), fosite.Arguments{grants.JWTBearer})
}

// HandleTokenEndpointRequest implements fosite.
func (h *JWTBearer) HandleTokenEndpointRequest(ctx context.Context, r fosite.AccessRequester) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	session := &Session{Decision: &Decision{}}
	r.SetSession(session)
	assertion := r.GetRequestForm().Get("assertion")
	if assertion == "" {
		return asFositeError(grants.Refuse(grants.InvalidRequest, "assertion is required"))
	}
	return h.decide(ctx, r, session, Request{
		SubjectToken: assertion, SubjectTokenType: grants.TokenTypeJWT, Assertion: true,
	})
}

// PopulateTokenEndpointResponse implements fosite. There is no
// issued_token_type: nothing was exchanged (RFC 6749 §5.1).
func (h *JWTBearer) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, response fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	return h.populate(ctx, r, response)
}
