package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
)

// Caller is who calls: the operator, or one integrator.
type Caller struct {
	ClientID     string
	IntegratorID string // empty: the operator
}

// Operator tells whether the caller may do everything.
func (c Caller) Operator() bool { return c.IntegratorID == "" }

// Errors of authentication.
var (
	errNoToken      = errors.New("no bearer token")
	errInvalidToken = errors.New("the bearer token is not valid")
	errScope        = errors.New("the bearer token lacks the scope")
)

// caller authenticates a request by a token of our own (RFC 6750 §2.1), for
// this API, and never one that came out of an exchange: no foreign identity
// provider makes administrators.
func (a *API) caller(r *http.Request) (Caller, error) {
	if caller, ok := r.Context().Value(callerKey{}).(Caller); ok { // Ask
		return caller, nil
	}
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return Caller{}, errNoToken
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return Caller{}, errNoToken
	}
	claims, err := a.liveToken(r.Context(), token)
	if err != nil {
		return Caller{}, err
	}
	caller := Caller{ClientID: claims.ClientID, IntegratorID: claims.IntegratorID}
	switch {
	case claims.Exchanged():
	case caller.Operator() && claims.HasScope(grants.ScopeAdmin):
		return caller, nil
	case !caller.Operator() && claims.HasScope(grants.ScopeIntegratorAdmin):
		return caller, nil
	}
	return Caller{}, errScope
}

func (a *API) liveToken(ctx context.Context, token string) (*accesstoken.Claims, error) {
	claims, err := a.config.Verifier.Verify(ctx, token)
	if errors.Is(err, accesstoken.ErrInvalid) {
		return nil, errInvalidToken
	}
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(a.config.Audiences, func(aud string) bool { return slices.Contains(claims.Audience, aud) }) {
		return nil, errInvalidToken
	}
	alive, err := a.config.Alive(ctx, claims)
	if err != nil {
		return nil, err
	}
	if !alive {
		return nil, errInvalidToken
	}
	return claims, nil
}
