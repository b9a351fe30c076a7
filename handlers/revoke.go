package handlers

import (
	"context"
	"errors"
	"net/http"
	"time"

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

// ClockTolerance is how far clocks may be apart, or set back, without a
// revocation being lost: what has expired by ours may live by another's. A
// revocation is kept for as long after the token has expired.
const ClockTolerance = 25 * time.Hour

// RevokeToken implements fosite. RFC 7009 §2.2: a token that is unknown,
// long expired or somebody else's is no error, and nothing happens to it.
func (v *revoker) RevokeToken(ctx context.Context, token string, _ fosite.TokenType, client fosite.Client) error {
	// A public client proves nothing, and each call may read or write.
	if note := noteOf(ctx); !note.verified {
		if wait := v.limits.failures.take(limitKey{address: note.address}); wait > 0 {
			return refuseFailures(wait)
		}
	}
	verifier := *v.config.Verifier
	verifier.Now = func() time.Time { return v.config.Now().Add(-ClockTolerance) }
	claims, err := verifier.Verify(ctx, token)
	switch {
	case errors.Is(err, accesstoken.ErrInvalid):
		return nil
	case err == nil && claims.ClientID != client.GetID():
		v.config.Log.WarnContext(ctx, "a client tried to revoke another's token",
			"client_id", client.GetID(), "token_client_id", claims.ClientID, "jti", claims.ID)
		return nil
	case err == nil:
		err = v.config.Revoke(ctx, claims.ID, claims.Expires())
	}
	if err != nil {
		return grants.Unavailable(grants.DatabaseUnavailable, "the token cannot be revoked at the moment", err)
	}
	return nil
}
