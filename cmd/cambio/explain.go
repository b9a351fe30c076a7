package main

import (
	"context"

	"github.com/cambio-oauth/cambio/admin"
	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
	"github.com/cambio-oauth/cambio/registry"
)

// explainer explains what the exchanger would decide.
type explainer struct {
	directory *directory
	exchanger *tokenexchange.Exchanger
}

// Explain implements admin.Config.Explain.
func (e explainer) Explain(ctx context.Context, q admin.Question) (*admin.Explanation, error) {
	client, err := e.client(ctx, q)
	if err != nil {
		return nil, err
	}
	decision, trace, refusal := e.exchanger.Explain(ctx, tokenexchange.Request{
		SubjectToken: q.SubjectToken, SubjectTokenType: q.SubjectTokenType, Scopes: q.Scopes, Audiences: q.Audiences,
		Client: client, IntegratorID: q.IntegratorID,
	})
	explanation := &admin.Explanation{
		Refusal: refusal, Steps: trace.Steps, Dropped: decision.Dropped, Issuer: decision.Issuer,
		Clientless: client == nil, SubjectTokenHash: decision.SubjectTokenHash, Audit: auditOf(decision.Audit),
	}
	if refusal == nil {
		explanation.Token = &admin.ExplainedToken{
			Subject: decision.PlatformSubject(), Audience: decision.Audience, ClientID: decision.ClientID, Scopes: decision.Scopes,
			IntegratorID: decision.IntegratorID, LockHolderIDs: decision.LockHolderIDs,
			SubjectIssuer: decision.Issuer, SubjectID: decision.Subject, ExpiresAt: decision.ExpiresAt,
		}
	}
	return explanation, nil
}

// client gives the client that a question is about. Without one the exchange is
// clientless where the integrator allows that for the issuer, and else by a
// client without limits of its own: then the rest can be explained.
func (e explainer) client(ctx context.Context, q admin.Question) (*grants.Client, error) {
	if q.ClientID != "" {
		return e.named(ctx, q)
	}
	issuer := ""
	if token, refusal := assertion.Parse(q.SubjectToken); refusal == nil {
		issuer = token.Issuer
	}
	return find(ctx, e.directory, func(s *registry.Snapshot) (*grants.Client, bool) {
		for _, k := range s.Clientless(issuer) {
			if k.IntegratorID == q.IntegratorID {
				return nil, true
			}
		}
		client := &grants.Client{IntegratorID: q.IntegratorID, GrantTypes: []string{grants.TokenExchange}}
		integrator := s.Integrator(q.IntegratorID)
		client.IntegratorDisabled = integrator == nil || integrator.Status != registry.Active
		return client, integrator != nil
	})
}

func (e explainer) named(ctx context.Context, q admin.Question) (*grants.Client, error) {
	client, err := find(ctx, e.directory, func(s *registry.Snapshot) (*grants.Client, bool) {
		c := s.Client(q.ClientID)
		if c == nil || c.Owner != registry.OwnerIntegrator || c.IntegratorID != q.IntegratorID || c.Status != registry.Active {
			return nil, false
		}
		return &e.directory.client(s, c).Client, true
	})
	if err == nil && client == nil {
		return nil, registry.Invalid{{Pointer: "/client_id", Code: "invalid", Detail: "want an active client of this integrator: no other gets a token at all"}}
	}
	return client, err
}

// auditOf speaks of a trial in the registry's words.
func auditOf(a *tokenexchange.Audit) *registry.Audit {
	if a == nil {
		return nil
	}
	audit := &registry.Audit{ChangeID: a.ChangeID, Result: registry.ResultGranted, Lost: a.Lost, Gained: a.Gained}
	if a.Refusal != nil {
		audit.Result, audit.Code, audit.Reason = registry.ResultRefused, string(a.Refusal.Code), string(a.Refusal.Reason)
	}
	return audit
}
