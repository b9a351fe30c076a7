package tokenexchange

import (
	"context"
	"slices"
	"strings"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
)

// Steps of an exchange, besides those of assertion, which come after StepKeyURL
// for each key URL that is tried.
const (
	StepClient            = "client"
	StepRequest           = "request"
	StepTarget            = "target"
	StepToken             = "token"
	StepKeyURL            = "key_url"
	StepIdentityAssertion = "identity_assertion"
	StepPermissions       = "permissions"
	StepScope             = "scope"
	StepLifetime          = "lifetime"
	StepSingleUse         = "single_use"
)

// CheckGrantType tells whether a client with these grant types may exchange
// tokens or, as assertion, use them as authorization grants.
func CheckGrantType(grantTypes []string, assertion bool) *grants.Refusal {
	grantType, name := grants.TokenExchange, "token exchange"
	if assertion {
		grantType, name = grants.JWTBearer, "JWT bearer"
	}
	if slices.Contains(grantTypes, grantType) {
		return nil
	}
	return grants.Refuse(grants.UnauthorizedClient, "this client may not use the %s grant", name).
		Expecting(grantType, grants.Shown(strings.Join(grantTypes, " ")))
}

// Explain decides as Exchange does, with the same code, and leaves a trace of
// why. It uses no token up and stores nothing.
func (x *Exchanger) Explain(ctx context.Context, r Request) (*Decision, *grants.Trace, *grants.Refusal) {
	r.Admit = nil
	trace := &grants.Trace{}
	decision, refusal := &Decision{SubjectTokenHash: r.SubjectTokenHash()}, (*grants.Refusal)(nil)
	if r.Client != nil {
		refusal = CheckGrantType(r.Client.GrantTypes, r.Assertion)
		trace.Check(StepClient, refusal, func() (string, string) { return "a client that may exchange tokens", r.Client.ID })
		decision.ClientID, decision.IntegratorID = r.Client.ID, r.Client.IntegratorID
	} else {
		trace.Skip(StepClient)
	}
	if refusal == nil {
		decision, refusal = x.decide(ctx, r, trace)
	}
	verified := slices.ContainsFunc(trace.Steps, func(s grants.Step) bool { return s.Name == assertion.StepKind })
	if !verified {
		trace.Skip(StepRequest, StepTarget, StepToken, StepKeyURL)
		trace.Skip(assertion.Steps()...)
	}
	trace.Skip(StepPermissions, StepScope, StepLifetime, StepSingleUse)
	return decision, trace, refusal
}
