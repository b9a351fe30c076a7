package handlers

import (
	"context"
	"errors"
	"net/http"

	"github.com/ory/fosite"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
)

// revoke is POST /oauth2/revoke (RFC 7009). 200 means that the token is dead
// for good; fosite's own writer would say 200 for failures, too.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request, event *Event) {
	form, refusal := readForm(w, r)
	if refusal == nil {
		refusal = requireToken(form)
	}
	if refusal == nil {
		refusal = asRefusal(s.provider.NewRevocationRequest(r.Context(), withForm(r, form)))
	}
	s.allowOrigin(w, r)
	if refusal != nil {
		s.refuse(w, r, event, refusal)
		return
	}
	noStore(w)
	event.Status = http.StatusOK
	w.WriteHeader(http.StatusOK)
}

// revoker is the one fosite.RevocationHandler.
type revoker Server

// RevokeToken implements fosite. RFC 7009 §2.2: a token that is unknown,
// expired or somebody else's is no error, and nothing happens to it.
func (v *revoker) RevokeToken(ctx context.Context, token string, _ fosite.TokenType, client fosite.Client) error {
	claims, err := v.config.Verifier.Verify(ctx, token)
	if errors.Is(err, accesstoken.ErrInvalid) {
		return nil
	}
	if err == nil && claims.ClientID == client.GetID() {
		err = v.config.Revoke(ctx, claims.ID, claims.Expires())
	}
	if err != nil {
		return grants.Unavailable(grants.DatabaseUnavailable, "the token cannot be revoked at the moment", err)
	}
	return nil
}
