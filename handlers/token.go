package handlers

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/ory/fosite"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
	"github.com/cambio-oauth/cambio/grants/clientcredentials"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
	"github.com/cambio-oauth/cambio/grants/tokenexchange/fositegrant"
)

// token is POST /oauth2/token.
func (s *Server) token(w http.ResponseWriter, r *http.Request, event *Event) {
	form, refusal := readForm(w, r)
	s.serveToken(w, r, event, form, refusal, func(m *accesstoken.Minted, issuedType string) any {
		return tokenAnswer{
			AccessToken:     m.Token,
			IssuedTokenType: issuedType,
			TokenType:       "Bearer",
			ExpiresIn:       m.Claims.ExpiresAt - m.Claims.IssuedAt,
			Scope:           m.Claims.Scope,
		}
	})
}

// serveToken issues what a form asks for, unless it was refused already, and
// answers in the words of one of the two dialects.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request, event *Event, form url.Values, refusal *grants.Refusal,
	present func(m *accesstoken.Minted, issuedType string) any) {
	if refusal == nil {
		event.Grant, refusal = s.issue(r, form)
	}
	s.allowOrigin(w, r)
	if refusal != nil {
		s.refuse(w, r, event, refusal)
		return
	}
	minted, issuedType := noteOf(r.Context()).minted, ""
	if event.Grant == grants.TokenExchange { // RFC 8693 §2.2.1, and no other answer
		issuedType = grants.TokenTypeAccessToken
	}
	s.answer(w, r, event, http.StatusOK, present(minted, issuedType))
}

// tokenAnswer is RFC 6749 §5.1 with RFC 8693 §2.2.1; no member is ever null.
type tokenAnswer struct {
	AccessToken     string `json:"access_token"`
	IssuedTokenType string `json:"issued_token_type,omitempty"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int64  `json:"expires_in"`
	Scope           string `json:"scope"`
}

// issue lets fosite and the grants decide, and records the attempt. Without
// its record no token leaves.
func (s *Server) issue(r *http.Request, form url.Values) (grant string, refusal *grants.Refusal) {
	if refusal := checkGrantType(form); refusal != nil {
		return "", refusal
	}
	grant = form.Get("grant_type")
	ctx := r.Context()
	request, err := s.provider.NewAccessRequest(ctx, withForm(r, form), &fosite.DefaultSession{})
	if err == nil {
		_, err = s.provider.NewAccessResponse(ctx, request)
	}
	refusal = asRefusal(err)
	attempt := s.attempt(ctx, grant, request)
	attempt.Refusal = refusal
	record := ctx
	if refusal != nil && refusal.Reason == grants.DatabaseUnavailable {
		// A database that failed the attempt is not waited for a second time.
		var cancel context.CancelFunc
		record, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
	}
	if err := s.config.Record(record, attempt); err != nil && refusal == nil {
		return grant, grants.Unavailable(grants.DatabaseUnavailable, "the exchange cannot be recorded at the moment", err)
	} else if err != nil {
		s.config.Log.WarnContext(ctx, "a refused attempt was not recorded", "error", err)
	}
	return grant, refusal
}

// asRefusal gives the refusal inside whatever fosite made of it. What is none
// of ours is a fault of the server, and its text stays here.
func asRefusal(err error) *grants.Refusal {
	if err == nil {
		return nil
	}
	var refusal *grants.Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	return &grants.Refusal{Code: grants.ServerError, Description: "the server could not process the request", Cause: err}
}

// attempt collects what is known about a request, granted or not.
func (s *Server) attempt(ctx context.Context, grant string, request fosite.AccessRequester) Attempt {
	attempt := Attempt{At: s.config.Now(), GrantType: grant}
	note := noteOf(ctx)
	attempt.Stranger = !note.verified
	if note.client != nil && note.verified {
		attempt.ClientID, attempt.IntegratorID = note.client.ID, note.client.IntegratorID
	}
	if request == nil {
		return attempt
	}
	switch session := request.GetSession().(type) {
	case *fositegrant.Session:
		d := session.Decision
		attempt.ClientID, attempt.IntegratorID = cmp.Or(d.ClientID, attempt.ClientID), cmp.Or(d.IntegratorID, attempt.IntegratorID)
		attempt.Issuer, attempt.Subject, attempt.KeyID = d.Issuer, d.Subject, d.KeyID
		attempt.Granted, attempt.Dropped, attempt.SubjectTokenHash = d.Scopes, d.Dropped, d.SubjectTokenHash
		attempt.Audit = d.Audit
	case *clientcredentials.Session:
		attempt.Granted = session.Decision.Scopes
	}
	if note.minted != nil {
		attempt.TokenID, attempt.ExpiresAt = note.minted.Claims.ID, note.minted.Claims.Expires()
	}
	return attempt
}

// issueForClient mints the token of a client credentials decision. RFC 9068
// §2.2: without a user, sub is the client.
func (s *Server) issueForClient(ctx context.Context, d *clientcredentials.Decision) (string, time.Time, error) {
	return s.mint(ctx, accesstoken.Grant{
		Subject:      d.ClientID,
		ClientID:     d.ClientID,
		IntegratorID: d.IntegratorID,
		Audience:     d.Audience,
		Scopes:       d.Scopes,
		ExpiresAt:    d.ExpiresAt,
		Generations:  d.Generations,
	})
}

// issueForSubject mints the token of an exchange.
func (s *Server) issueForSubject(ctx context.Context, d *tokenexchange.Decision) (string, time.Time, error) {
	return s.mint(ctx, accesstoken.Grant{
		Subject:       d.PlatformSubject(),
		ClientID:      d.ClientID,
		IntegratorID:  d.IntegratorID,
		Audience:      d.Audience,
		Scopes:        d.Scopes,
		LockHolderIDs: d.LockHolderIDs,
		SubjectIssuer: d.Issuer,
		SubjectID:     d.Subject,
		ExpiresAt:     d.ExpiresAt,
		Generations:   d.Generations,
	})
}

func (s *Server) mint(ctx context.Context, g accesstoken.Grant) (string, time.Time, error) {
	minted, err := s.config.Minter.Mint(ctx, g)
	if err != nil {
		return "", time.Time{}, err
	}
	noteOf(ctx).minted = minted
	return minted.Token, minted.Claims.Expires(), nil
}
