package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/ory/fosite"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
)

// introspect is POST /oauth2/introspect (RFC 7662).
func (s *Server) introspect(w http.ResponseWriter, r *http.Request, event *Event) {
	form, refusal := readForm(w, r)
	if refusal == nil {
		refusal = requireToken(form)
	}
	if refusal != nil {
		s.refuse(w, r, event, refusal)
		return
	}
	ctx := r.Context()
	// RFC 7662 §2.1: whoever asks must be authorised, or the endpoint serves
	// those who guess tokens. A public client proves nothing.
	_, err := s.provider.AuthenticateClient(ctx, withForm(r, form), form)
	if err == nil && noteOf(ctx).client.Public {
		err = grants.Refuse(grants.InvalidClient, "introspection requires a client with credentials")
	}
	if err != nil {
		s.refuse(w, r, event, asRefusal(err))
		return
	}
	session := &introspection{}
	_, _, err = s.provider.IntrospectToken(ctx, form.Get("token"), fosite.AccessToken, session)
	if err != nil && !errors.Is(err, fosite.ErrInactiveToken) {
		s.refuse(w, r, event, asRefusal(err))
		return
	}
	var found any = inactive{}
	if err == nil && mayIntrospect(noteOf(ctx).client, session.claims) {
		found = activeAnswer(session.claims)
	}
	s.answerIntrospection(w, r, event, found)
}

func requireToken(form url.Values) *grants.Refusal {
	if form.Get("token") == "" {
		return grants.Refuse(grants.InvalidRequest, "token is required")
	}
	return nil
}

// mayIntrospect: an operator all tokens, a resource server those for it, any
// client its own. To everyone else the token does not exist.
func mayIntrospect(client *Client, claims *accesstoken.Claims) bool {
	return client.Operator ||
		client.Audience != "" && slices.Contains(claims.Audience, client.Audience) ||
		claims.ClientID == client.ID
}

// inactive is the whole answer about every token that is not to be used,
// whatever the cause (RFC 7662 §2.2).
type inactive struct {
	Active bool `json:"active"`
}

type active struct {
	Active        bool                 `json:"active"`
	Issuer        string               `json:"iss"`
	Subject       string               `json:"sub"`
	Audience      accesstoken.Audience `json:"aud"`
	ExpiresAt     int64                `json:"exp"`
	IssuedAt      int64                `json:"iat"`
	ID            string               `json:"jti"`
	ClientID      string               `json:"client_id"`
	Scope         string               `json:"scope"`
	TokenType     string               `json:"token_type"`
	IntegratorID  string               `json:"integrator_id,omitempty"`
	LockHolderIDs []string             `json:"lock_holder_ids,omitempty"`
}

func activeAnswer(c *accesstoken.Claims) active {
	return active{
		Active: true, Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience, ExpiresAt: c.ExpiresAt, IssuedAt: c.IssuedAt,
		ID: c.ID, ClientID: c.ClientID, Scope: c.Scope, TokenType: "Bearer", IntegratorID: c.IntegratorID, LockHolderIDs: c.LockHolderIDs,
	}
}

// introspection is the session of one introspection.
type introspection struct {
	fosite.DefaultSession
	claims *accesstoken.Claims
}

// introspector is the one fosite.TokenIntrospector.
type introspector Server

// IntrospectToken implements fosite: verify, then ask whether it is alive. A
// question that cannot be answered is no "inactive".
func (i *introspector) IntrospectToken(ctx context.Context, token string, _ fosite.TokenUse, r fosite.AccessRequester, _ []string) (fosite.TokenUse, error) {
	claims, err := (*Server)(i).live(ctx, token)
	if err != nil {
		return "", err
	}
	if claims == nil {
		return "", fosite.ErrInactiveToken
	}
	r.GetSession().(*introspection).claims = claims
	return fosite.AccessToken, nil
}

// live gives the claims of a token that may be used now, nil for any other.
func (s *Server) live(ctx context.Context, token string) (*accesstoken.Claims, error) {
	claims, err := s.config.Verifier.Verify(ctx, token)
	if errors.Is(err, accesstoken.ErrInvalid) {
		s.config.Log.DebugContext(ctx, "token is not valid", "error", err)
		return nil, nil
	}
	alive := false
	if err == nil {
		alive, err = s.config.Alive(ctx, claims)
	}
	if err != nil {
		refusal := grants.Unavailable(grants.DatabaseUnavailable, "the state of the token cannot be looked up at the moment", err)
		return nil, (&fosite.RFC6749Error{ErrorField: string(refusal.Code), CodeField: http.StatusServiceUnavailable}).WithWrap(refusal)
	}
	if !alive {
		return nil, nil
	}
	return claims, nil
}
