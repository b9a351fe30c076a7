package tokenexchange

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/grants/permissions"
)

// keysTimeout bounds all the waiting for keys of one request.
const keysTimeout = 5 * time.Second

// MaxKeyURLs is how many key URLs of one integrator and issuer are tried for
// one token.
const MaxKeyURLs = 4

// Exchanger decides about token exchanges.
type Exchanger struct {
	Issuer      string // ours: its tokens are never subject tokens
	Policies    Policies
	Verifier    *assertion.Verifier
	Targets     Targets
	Replays     Replays       // asked only where the policy says SingleUse; nil refuses those tokens
	MaxLifetime time.Duration // ceiling of an issued token's life
	Now         func() time.Time
}

// Exchange decides. The error is a *grants.Refusal; the decision is never nil.
func (x *Exchanger) Exchange(ctx context.Context, r Request) (*Decision, error) {
	decision, refusal := x.decide(ctx, r, nil)
	if refusal != nil {
		return decision, refusal
	}
	return decision, nil
}

func (x *Exchanger) decide(ctx context.Context, r Request, trace *grants.Trace) (*Decision, *grants.Refusal) {
	decision := &Decision{SubjectTokenHash: r.SubjectTokenHash()}
	if r.Client != nil {
		decision.ClientID, decision.IntegratorID = r.Client.ID, r.Client.IntegratorID
		decision.Generations = r.Client.Generations
	}
	refusal := x.exchange(ctx, r, decision, trace)
	if refusal != nil && r.Assertion && refusal.Reason != "" && refusal.Code == grants.InvalidRequest { // RFC 7523 §3.1
		asGrant := *refusal
		asGrant.Code = grants.InvalidGrant
		refusal = &asGrant
	}
	return decision, refusal
}

// exchange fills the decision in the order of what the steps cost.
func (x *Exchanger) exchange(ctx context.Context, r Request, decision *Decision, trace *grants.Trace) *grants.Refusal {
	refusal := checkRequest(r)
	if trace.Check(StepRequest, refusal, func() (string, string) { return grants.TokenTypeJWT, r.SubjectTokenType }) {
		return refusal
	}
	known := func(target string) (bool, error) { return x.Targets.Known(ctx, target) }
	decision.Audience, refusal = grants.Targets(r.Audiences, r.Resources, known, x.Targets.Default())
	if trace.Check(StepTarget, refusal, func() (string, string) {
		return "registered resource servers", strings.Join(decision.Audience, " ")
	}) {
		return refusal
	}
	token, refusal := x.parse(r.SubjectToken, decision)
	if trace.Check(StepToken, refusal, func() (string, string) { return "a compact JWS with claims", "one" }) {
		return refusal
	}
	policies, refusal := x.policies(ctx, r, token)
	if trace.Check(StepKeyURL, refusal, func() (string, string) {
		return "an active key URL for " + token.Issuer, fmt.Sprint(len(policies))
	}) {
		return refusal
	}
	decision.IntegratorID = policies[0].IntegratorID // whom a refusal concerns, too
	if r.Admit != nil {
		if refusal := r.Admit(Claimed{decision.IntegratorID, token.Issuer, token.ClaimedSubject()}); refusal != nil {
			return refusal
		}
	}
	before := *decision
	policy, claims, refusal := x.judge(ctx, token, policies, r, decision, trace)
	x.audit(ctx, token, policies, r, before, decision, refusal)
	if refusal != nil {
		return refusal
	}
	if !policy.SingleUse {
		return nil
	}
	refusal = x.consume(ctx, policy, claims, trace != nil)
	if trace.Check(StepSingleUse, refusal, func() (string, string) { return "a jti that was not used before", grants.Shown(claims.ID) }) {
		decision.ExpiresAt = time.Time{}
		if decision.Audit != nil && decision.Audit.Refusal == nil { // used up is used up by either rules
			decision.Audit = &Audit{ChangeID: decision.Audit.ChangeID, Refusal: refusal}
		}
	}
	return refusal
}

// parse reads the subject token, of which the record is to know what it can.
func (x *Exchanger) parse(raw string, decision *Decision) (*assertion.Token, *grants.Refusal) {
	token, refusal := assertion.Parse(raw)
	if refusal != nil {
		return nil, refusal
	}
	decision.Issuer, decision.KeyID = token.Issuer, token.KeyID()
	if token.Issuer == x.Issuer {
		return nil, grants.RefuseToken(grants.WrongTokenKind, "the subject token was issued by this server", "a token of the integrator's identity provider", grants.Shown(token.Issuer))
	}
	return token, nil
}

// judge verifies the token and cuts its permissions down. It changes nothing
// but the decision.
func (x *Exchanger) judge(ctx context.Context, token *assertion.Token, policies []Policy, r Request, decision *Decision, trace *grants.Trace) (*Policy, *assertion.Claims, *grants.Refusal) {
	policy, claims, refusal := x.verify(ctx, token, policies, r, trace)
	if refusal != nil {
		return nil, nil, refusal
	}
	if token.IdentityAssertion() {
		policy, refusal = x.identityAssertion(token, claims, policy, &r, decision.Audience)
		if trace.Check(StepIdentityAssertion, refusal, nil) {
			return nil, nil, refusal
		}
	}
	decision.Subject = claims.Subject
	decision.Generations.Integrator = policy.IntegratorGeneration
	if r.Client == nil {
		decision.ClientID = policy.IntegratorID
	}
	if refusal := grant(decision, r, policy, claims, trace); refusal != nil {
		return nil, nil, refusal
	}
	decision.ExpiresAt, refusal = x.limitLifetime(r.Client, claims)
	if trace.Check(StepLifetime, refusal, func() (string, string) {
		return "a second at least", decision.ExpiresAt.Sub(x.Now()).Truncate(time.Second).String()
	}) {
		return nil, nil, refusal
	}
	return policy, claims, nil
}

// consume comes last: a token that was refused for anything else is not used
// up, and nobody can use up another's by guessing its jti. A failure after it
// leaves the token used: it is never exchanged twice.
func (x *Exchanger) consume(ctx context.Context, policy *Policy, claims *assertion.Claims, look bool) *grants.Refusal {
	if x.Replays == nil {
		return grants.Unavailable(grants.DatabaseUnavailable, "used subject tokens cannot be remembered", nil)
	}
	var first bool
	var err error
	if look {
		first, err = x.Replays.Consumed(ctx, policy.IntegratorID, claims.Issuer, claims.ID)
		first = !first
	} else {
		first, err = x.Replays.Consume(ctx, policy.IntegratorID, claims.Issuer, claims.ID, claims.ExpiresAt)
	}
	if err != nil {
		return grants.Unavailable(grants.DatabaseUnavailable, "whether the subject token was used before cannot be told at the moment", err)
	}
	if !first {
		return grants.RefuseToken(grants.Replayed, "the key URL lets a subject token be exchanged once, and this one was exchanged before",
			"a new subject token, with a jti of its own", "jti "+grants.Shown(claims.ID))
	}
	return nil
}

// checkRequest holds a request against RFC 8693 §2.1.
func checkRequest(r Request) *grants.Refusal {
	if r.Client != nil && r.Client.IntegratorID == "" {
		return grants.Refuse(grants.UnauthorizedClient, "this client belongs to no integrator and cannot exchange tokens")
	}
	if r.SubjectToken == "" {
		return grants.Refuse(grants.InvalidRequest, "subject_token is missing")
	}
	switch r.SubjectTokenType {
	case "":
		return grants.Refuse(grants.InvalidRequest, "subject_token_type is missing: send %s", grants.TokenTypeJWT)
	case grants.TokenTypeJWT, grants.TokenTypeAccessToken, grants.TokenTypeIDToken:
	default:
		return grants.Refuse(grants.InvalidRequest, "subject_token_type is not supported: use %s or %s", grants.TokenTypeJWT, grants.TokenTypeAccessToken)
	}
	switch r.RequestedTokenType {
	case "", grants.TokenTypeAccessToken, grants.TokenTypeJWT:
	default:
		return grants.Refuse(grants.InvalidRequest, "requested_token_type is not supported: use %s", grants.TokenTypeAccessToken)
	}
	if r.ActorToken != "" || r.ActorTokenType != "" {
		return grants.Refuse(grants.InvalidRequest, "actor_token is not supported: delegation does not exist here")
	}
	return nil
}

// policies finds whose token this may be. With a client, only that client's
// integrator (CVE-2026-9094); without one, the single integrator that opened
// this issuer and audience to clientless exchange.
func (x *Exchanger) policies(ctx context.Context, r Request, token *assertion.Token) ([]Policy, *grants.Refusal) {
	var policies []Policy
	var err error
	client := r.Client
	if client != nil {
		if client.IntegratorDisabled {
			return nil, refuseDisabled()
		}
		policies, err = x.Policies.ForIntegrator(ctx, client.IntegratorID, token.Issuer)
	} else {
		policies, err = x.Policies.Clientless(ctx, token.Issuer)
	}
	policies = slices.Clone(policies) // which others read
	if client != nil {                // whatever the port gives
		policies = slices.DeleteFunc(policies, func(p Policy) bool { return p.IntegratorID != client.IntegratorID })
	} else if err == nil { // the audience says whose it is
		var refusal *grants.Refusal
		if policies, refusal = meant(policies, r.IntegratorID, token); refusal != nil {
			return nil, refusal
		}
	}
	switch {
	case err != nil:
		return nil, grants.Unavailable(grants.DatabaseUnavailable, "the configuration cannot be read at the moment", err)
	case len(policies) == 0:
		return nil, grants.RefuseToken(grants.IssuerUnknown, "no active key URL of this integrator has the issuer of the subject token",
			"iss exactly as registered, including case and trailing slash", grants.Shown(token.Issuer))
	case client == nil && slices.ContainsFunc(policies, func(p Policy) bool { return p.IntegratorID != policies[0].IntegratorID }):
		return nil, grants.RefuseToken(grants.IssuerUnknown, "more than one integrator could be meant", "one", "several")
	case policies[0].IntegratorDisabled:
		return nil, refuseDisabled()
	}
	policies = policies[:min(len(policies), MaxKeyURLs)] // each may cost a fetch
	// Whoever sends a token must not choose the key URL that lets it be used
	// again.
	if slices.ContainsFunc(policies, func(p Policy) bool { return p.SingleUse }) {
		for i := range policies {
			policies[i].SingleUse = true
		}
	}
	return policies, nil
}

// meant gives those of the clientless policies whose audience a token names. If
// there is none, the refusal is about the first, or the first of the one
// integrator that may be talked about; of any other, nothing is said.
func meant(policies []Policy, integratorID string, token *assertion.Token) ([]Policy, *grants.Refusal) {
	own := func(p Policy) bool { return integratorID == "" || p.IntegratorID == integratorID }
	first := slices.IndexFunc(policies, own)
	if first < 0 {
		return nil, nil
	}
	about := policies[first]
	policies = slices.DeleteFunc(policies, func(p Policy) bool { return token.CheckAudience(&p.Policy) != nil })
	if !slices.ContainsFunc(policies, own) {
		return nil, token.CheckAudience(&about.Policy)
	}
	return policies, nil
}

func refuseDisabled() *grants.Refusal {
	return grants.RefuseToken(grants.IntegratorDisabled, "this integrator is disabled", "an active integrator", "a disabled one")
}

// verify takes the first policy that accepts the token. An integrator that
// moves to another key URL has two for a while. Among refusals, one that says
// "try again later" outweighs one that says "invalid": it might have been
// accepted.
func (x *Exchanger) verify(ctx context.Context, token *assertion.Token, policies []Policy, r Request, trace *grants.Trace) (*Policy, *assertion.Claims, *grants.Refusal) {
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	var worst *grants.Refusal
	for i := range policies {
		policy := &policies[i]
		if trace != nil {
			trace.KeyURL = policy.KeyURLID
		}
		if r.SubjectTokenType == grants.TokenTypeIDToken && !policy.AllowIDToken {
			refusal := grants.RefuseToken(grants.WrongTokenKind, "the key URL does not allow ID tokens", grants.TokenTypeJWT, r.SubjectTokenType)
			trace.Check(assertion.StepKind, refusal, nil)
			trace.Skip(assertion.Steps()...)
			worst = firstOf(worst, refusal)
			continue
		}
		policy.AllowIDJAG = policy.AllowIDJAG && r.Assertion // it is a grant, and nothing to exchange
		if policy.AllowIDJAG && token.IdentityAssertion() {
			policy.Audiences, policy.AudienceClaims = []string{x.Issuer}, nil // and nobody else, whom access tokens may be for
		}
		claims, refusal := x.Verifier.VerifyTraced(ctx, token, &policy.Policy, trace)
		if refusal == nil {
			return policy, claims, nil
		}
		worst = firstOf(worst, refusal)
	}
	return nil, nil, worst
}

func firstOf(earlier, later *grants.Refusal) *grants.Refusal {
	if earlier == nil || later.Code == grants.TemporarilyUnavailable {
		return later
	}
	return earlier
}

// grant cuts the permissions down: converted ∩ the integrator's entitlements ∩
// the client's scope ∩ the requested scope.
func grant(decision *Decision, r Request, policy *Policy, claims *assertion.Claims, trace *grants.Trace) *grants.Refusal {
	entries, refusal := policy.Permissions.Read(claims.At)
	if trace.Check(StepPermissions, refusal, func() (string, string) {
		return policy.Permissions.String(), fmt.Sprintf("%d permissions", len(entries))
	}) {
		return refusal
	}
	granted, dropped := permissions.Convert(entries, policy.Entitlements)
	decision.Dropped = dropped
	refusal = limit(decision, r, granted, func(converted int) string { return emptyBecause(entries, dropped, policy.Permissions, converted) })
	trace.Check(StepScope, refusal, func() (string, string) { return expectedScope(r), strings.Join(decision.Scopes, " ") })
	return refusal
}

// limit cuts what was converted down to what the client may have and asked for.
func limit(decision *Decision, r Request, granted []permissions.Grant, why func(converted int) string) *grants.Refusal {
	var allowed []string
	if r.Client != nil {
		allowed = r.Client.Scopes
	}
	converted := len(granted)
	granted, refusal := permissions.Limit(granted, allowed, r.Scopes)
	if refusal != nil {
		return refusal
	}
	for _, g := range granted {
		decision.Scopes = append(decision.Scopes, g.Scope)
		if g.LockHolderID != "" {
			decision.LockHolderIDs = append(decision.LockHolderIDs, g.LockHolderID)
		}
	}
	if len(decision.Scopes) == 0 {
		return grants.Refuse(grants.InvalidScope, "no scope is left to grant: %s", why(converted))
	}
	return grants.CheckGranted(decision.Scopes)
}

func expectedScope(r Request) string {
	switch {
	case r.Scopes != nil:
		return "the requested scope: " + strings.Join(r.Scopes, " ")
	case r.Client != nil && r.Client.Scopes != nil:
		return "within the client's scope: " + strings.Join(r.Client.Scopes, " ")
	}
	return "a scope at least"
}

func emptyBecause(entries []string, dropped []permissions.Dropped, source permissions.Source, converted int) string {
	switch {
	case len(entries) == 0:
		return "the claim " + strings.Join(source.Names(), ", ") + " of the subject token is missing or empty"
	case converted > 0:
		return "the client's scope holds none of the permissions that were left"
	}
	reasons := map[string]bool{}
	for _, d := range dropped {
		reasons[d.Reason] = true
	}
	var list []string
	for _, reason := range []string{permissions.DroppedMalformed, permissions.DroppedUnknownLockHolder, permissions.DroppedNotEntitled, permissions.DroppedNoRule} {
		if reasons[reason] {
			list = append(list, reason)
		}
	}
	return "the permissions were dropped (" + strings.Join(list, ", ") + ")"
}

// limitLifetime: an issued token never outlives the subject token, nor the
// limits of the server and the client.
func (x *Exchanger) limitLifetime(client *grants.Client, claims *assertion.Claims) (time.Time, *grants.Refusal) {
	now := x.Now()
	life := min(x.MaxLifetime, claims.ExpiresAt.Sub(now))
	if client != nil && client.MaxLifetime > 0 {
		life = min(life, client.MaxLifetime)
	}
	if life < time.Second {
		return time.Time{}, grants.RefuseToken(grants.TokenExpired, "less than a second of the subject token's life is left", "a token with life left", life.String())
	}
	return now.Add(life), nil
}
