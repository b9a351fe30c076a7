package clientcredentials

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/cambio-oauth/cambio/grants"
)

// Decision is what may be issued.
type Decision struct {
	ClientID     string
	IntegratorID string
	Scopes       []string
	Audience     []string
	ExpiresAt    time.Time
	Generations  grants.Generations
}

// Targets knows the resource servers a token may be issued for.
type Targets interface {
	Known(ctx context.Context, target string) (bool, error)
	Default() string
}

// Handler is the client credentials grant as fosite knows grants.
type Handler struct {
	Issue       func(ctx context.Context, d *Decision) (token string, expiresAt time.Time, err error)
	ClientOf    func(fosite.Client) *grants.Client
	Targets     Targets
	MaxLifetime time.Duration // ceiling of an issued token's life
	Now         func() time.Time
}

var _ fosite.TokenEndpointHandler = (*Handler)(nil)

// Session carries the decision to the answer.
type Session struct {
	fosite.DefaultSession
	Decision *Decision
}

// CanHandleTokenEndpointRequest implements fosite.
func (h *Handler) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return slices.Equal(r.GetGrantTypes(), fosite.Arguments{grants.ClientCredentials})
}

// CanSkipClientAuth implements fosite. RFC 6749 §4.4.2: the client MUST
// authenticate.
func (h *Handler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

// HandleTokenEndpointRequest implements fosite: it decides, and leaves the
// decision in the session.
func (h *Handler) HandleTokenEndpointRequest(ctx context.Context, r fosite.AccessRequester) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	client := h.ClientOf(r.GetClient())
	session := &Session{Decision: &Decision{ClientID: client.ID, IntegratorID: client.IntegratorID, Generations: client.Generations}}
	r.SetSession(session)
	if refusal := h.decide(ctx, r, client, session.Decision); refusal != nil {
		return refusal
	}
	return nil
}

func (h *Handler) decide(ctx context.Context, r fosite.AccessRequester, client *grants.Client, decision *Decision) *grants.Refusal {
	switch {
	case r.GetClient().IsPublic():
		// RFC 6749 §4.4: for confidential clients only.
		return grants.Refuse(grants.UnauthorizedClient, "a client without credentials may not use the client credentials grant")
	case !slices.Contains(r.GetClient().GetGrantTypes(), grants.ClientCredentials):
		return grants.Refuse(grants.UnauthorizedClient, "this client may not use the client credentials grant")
	case client.IntegratorDisabled:
		return grants.Refuse(grants.UnauthorizedClient, "the integrator of this client is disabled")
	}
	form := r.GetRequestForm()
	requested, refusal := grants.SplitScope(form.Get("scope"))
	if refusal != nil {
		return refusal
	}
	if decision.Scopes, refusal = grantScopes(client, requested); refusal != nil {
		return refusal
	}
	known := func(target string) (bool, error) { return h.Targets.Known(ctx, target) }
	decision.Audience, refusal = grants.Targets(form["audience"], form["resource"], known, h.Targets.Default())
	if refusal != nil {
		return refusal
	}
	life := h.MaxLifetime
	if client.MaxLifetime > 0 {
		life = min(life, client.MaxLifetime)
	}
	decision.ExpiresAt = h.Now().Add(life)
	return nil
}

// grantScopes gives requested ∩ the client's scope; all of the client's scope
// when nothing was requested. A client without scope has no default that
// would be safe to guess. An integrator's client never holds admin, whatever
// its row says.
func grantScopes(client *grants.Client, requested []string) ([]string, *grants.Refusal) {
	allowed := slices.DeleteFunc(slices.Clone(client.Scopes), func(scope string) bool {
		return scope == grants.ScopeAdmin && client.IntegratorID != ""
	})
	if len(allowed) == 0 {
		return nil, grants.Refuse(grants.InvalidScope, "this client has no scope: an administrator must give it one")
	}
	if requested == nil {
		requested = allowed
	}
	for _, scope := range requested {
		if !slices.Contains(allowed, scope) {
			return nil, grants.Refuse(grants.InvalidScope, "a requested scope is not one of this client's").
				Expecting(grants.Shown(strings.Join(allowed, " ")), grants.Shown(scope))
		}
	}
	return requested, grants.CheckGranted(requested)
}

// PopulateTokenEndpointResponse implements fosite.
func (h *Handler) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, response fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	session, ok := r.GetSession().(*Session)
	if !ok {
		return errors.New("clientcredentials: the session was replaced between decision and answer")
	}
	token, expiresAt, err := h.Issue(ctx, session.Decision)
	if err != nil {
		return err
	}
	response.SetAccessToken(token)
	response.SetTokenType("Bearer")
	response.SetExpiresIn(time.Duration(expiresAt.Unix()-h.Now().Unix()) * time.Second)
	response.SetScopes(session.Decision.Scopes)
	return nil
}
