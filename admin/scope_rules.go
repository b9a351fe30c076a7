package admin

import (
	"context"

	"github.com/cambio-oauth/cambio/grants/permissions"
	"github.com/cambio-oauth/cambio/registry"
)

type scopeRuleInput struct {
	Permission string `json:"permission"`
	Scope      string `json:"scope"`
}

type scopeRuleView struct {
	objectView
	scopeRuleInput
}

// scopeRules are an integrator's entitlements: it sees them, and the operator
// writes them.
func (a *API) scopeRules() collection[registry.ScopeRule, scopeRuleInput] {
	store := a.config.Store
	input := func(r *registry.ScopeRule) scopeRuleInput {
		return scopeRuleInput{Permission: r.Permission, Scope: r.Scope}
	}
	return collection[registry.ScopeRule, scopeRuleInput]{
		path:           "/integrators/{integrator}/scope-rules",
		id:             "scope_rule",
		operatorWrites: true,
		fresh: func(integratorID string) *registry.ScopeRule {
			return &registry.ScopeRule{IntegratorID: integratorID}
		},
		input: input,
		apply: func(in scopeRuleInput, r *registry.ScopeRule) error {
			r.Permission, r.Scope = in.Permission, in.Scope
			return checkScopeRule(permissions.Rule{Permission: in.Permission, Scope: in.Scope})
		},
		view: func(r *registry.ScopeRule) any { return scopeRuleView{viewOf(r.Object), input(r)} },
		key:  func(r *registry.ScopeRule) (string, *registry.Object) { return r.ID, &r.Object },
		list: store.ScopeRules,
		get:  store.ScopeRule,
		create: func(ctx context.Context, _ Caller, r *registry.ScopeRule) error {
			return a.service.changed(ctx, store.CreateScopeRule(ctx, r))
		},
		update: func(ctx context.Context, _ Caller, _, r *registry.ScopeRule) error {
			return a.service.changed(ctx, store.UpdateScopeRule(ctx, r))
		},
		remove:  store.DeleteScopeRule,
		natural: []string{"permission"},
		named: func(ctx context.Context, integratorID string, key map[string]string) ([]registry.ScopeRule, error) {
			return store.ScopeRulesFor(ctx, integratorID, key["permission"])
		},
	}
}

func checkScopeRule(rule permissions.Rule) error {
	var faults registry.Invalid
	if err := rule.CheckPermission(); err != nil {
		faults.Add(false, "/permission", "invalid", err.Error())
	}
	if err := rule.CheckScope(); err != nil {
		faults.Add(false, "/scope", "invalid", err.Error())
	}
	return faults.Err()
}
