package fositegrant

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ory/fosite"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
)

// Handler is the token exchange grant as fosite knows grants.
type Handler struct {
	// Exchange decides; (*Exchanger).Exchange is one.
	Exchange func(ctx context.Context, r Request) (*Decision, error)
	// Issue makes the access token of a decision and tells when it expires.
	Issue func(ctx context.Context, d *Decision) (token string, expiresAt time.Time, err error)
	// ClientOf tells what a client is entitled to.
	ClientOf func(fosite.Client) *Client
	// Clientless tells whether a request carries no credentials at all, so
	// that it may go on without a client. It must be false when credentials
	// were presented and were wrong: a wrong secret is never "no client". Nil
	// means that a client is always required.
	Clientless func(ctx context.Context) bool
	// Now is the clock expires_in is counted from; nil means time.Now.
	Now func() time.Time
}

var _ fosite.TokenEndpointHandler = (*Handler)(nil)

// CanHandleTokenEndpointRequest implements fosite. Grant types are compared
// with regard to case, which fosite.Arguments.Has does not do.
func (h *Handler) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return slices.Equal(r.GetGrantTypes(), fosite.Arguments{grants.TokenExchange})
}

// CanSkipClientAuth implements fosite.
func (h *Handler) CanSkipClientAuth(ctx context.Context, _ fosite.AccessRequester) bool {
	return h.Clientless != nil && h.Clientless(ctx)
}

// HandleTokenEndpointRequest implements fosite: it decides, and leaves the
// decision in the session.
func (h *Handler) HandleTokenEndpointRequest(ctx context.Context, r fosite.AccessRequester) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	session := &Session{Decision: &Decision{}}
	r.SetSession(session)
	form := r.GetRequestForm()
	return h.decide(ctx, r, session, Request{
		SubjectToken:       form.Get("subject_token"),
		SubjectTokenType:   form.Get("subject_token_type"),
		RequestedTokenType: form.Get("requested_token_type"),
		ActorToken:         form.Get("actor_token"),
		ActorTokenType:     form.Get("actor_token_type"),
	})
}

// decide adds what all grants by a foreign token share, and asks.
func (h *Handler) decide(ctx context.Context, r fosite.AccessRequester, session *Session, request Request) error {
	session.Decision.SubjectTokenHash = request.SubjectTokenHash() // also of what is refused right here
	form := r.GetRequestForm()
	scopes, refusal := grants.SplitScope(form.Get("scope"))
	if refusal != nil {
		return asFositeError(refusal)
	}
	request.Scopes, request.Audiences, request.Resources = scopes, form["audience"], form["resource"]
	// fosite hands over an empty client when there is none.
	if client := r.GetClient(); client.GetID() != "" {
		request.Client = h.ClientOf(client)
		session.Decision.ClientID, session.Decision.IntegratorID = request.Client.ID, request.Client.IntegratorID
		if refusal := tokenexchange.CheckGrantType(client.GetGrantTypes(), request.Assertion); refusal != nil {
			return asFositeError(refusal)
		}
	}
	decision, err := h.Exchange(ctx, request)
	session.Decision = decision
	if err != nil {
		return asFositeError(err)
	}
	for _, scope := range decision.Scopes {
		r.GrantScope(scope)
	}
	for _, audience := range decision.Audience {
		r.GrantAudience(audience)
	}
	session.SetExpiresAt(fosite.AccessToken, decision.ExpiresAt)
	return nil
}

// PopulateTokenEndpointResponse implements fosite. RFC 8693 §2.2.1:
// issued_token_type is required, and true to what was issued.
func (h *Handler) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, response fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	if err := h.populate(ctx, r, response); err != nil {
		return err
	}
	response.SetExtra("issued_token_type", grants.TokenTypeAccessToken)
	return nil
}

// populate issues the token of the decision.
func (h *Handler) populate(ctx context.Context, r fosite.AccessRequester, response fosite.AccessResponder) error {
	session, ok := r.GetSession().(*Session)
	if !ok {
		return errors.New("fositegrant: the session was replaced between decision and answer")
	}
	token, expiresAt, err := h.Issue(ctx, session.Decision)
	if err != nil {
		return asFositeError(err)
	}
	now := time.Now
	if h.Now != nil {
		now = h.Now
	}
	response.SetAccessToken(token)
	response.SetTokenType("Bearer")
	response.SetExpiresIn(time.Duration(expiresAt.Unix()-now().Unix()) * time.Second)
	response.SetScopes(r.GetGrantedScopes())
	return nil
}

// asFositeError lets fosite's own writer answer a refusal of ours, and keeps
// the refusal inside for servers that write their answers themselves. What a
// subject token lacked is not for strangers, so the text is fixed here.
func asFositeError(err error) error {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	status, description := 400, refusal.Description
	switch {
	case refusal.Code == grants.TemporarilyUnavailable:
		status, description = 503, "the request cannot be judged at the moment: try again"
	case refusal.Reason != "":
		description = "the subject token was not accepted"
	}
	answer := &fosite.RFC6749Error{ErrorField: string(refusal.Code), DescriptionField: description, CodeField: status}
	return answer.WithWrap(refusal)
}
