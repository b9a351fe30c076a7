package tokenexchange

import (
	"context"
	"slices"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
)

// audit judges once more, as if the change to one of the key URLs were in force,
// and notes the difference. What could not be judged tells nothing.
func (x *Exchanger) audit(ctx context.Context, token *assertion.Token, policies []Policy, r Request, before Decision, decision *Decision, refusal *grants.Refusal) {
	changed := slices.IndexFunc(policies, func(p Policy) bool { return p.Audited != nil })
	if changed < 0 || refusal != nil && refusal.Code == grants.TemporarilyUnavailable {
		return
	}
	granted := decision.Scopes
	if refusal != nil {
		granted = nil
	}
	policies = slices.Clone(policies)
	policy := &policies[changed]
	change, singleUse := policy.Audited, policy.SingleUse
	policy.Policy, policy.Permissions, policy.Audited = change.Policy, change.Permissions, nil
	policy.SingleUse = singleUse
	quiet := *x
	quiet.Verifier = x.Verifier.Unnoticed()
	would := before
	_, _, refusal = quiet.judge(ctx, token, policies, r, &would, nil)
	switch {
	case refusal == nil:
		decision.Audit = &Audit{ChangeID: change.ID, Lost: without(granted, would.Scopes), Gained: without(would.Scopes, granted)}
	case refusal.Code != grants.TemporarilyUnavailable: // nothing is lost where nothing would be granted
		decision.Audit = &Audit{ChangeID: change.ID, Refusal: refusal}
	}
}

// without gives what is in a and not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}
