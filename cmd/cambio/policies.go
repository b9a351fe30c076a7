package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/grants/permissions"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
	"github.com/cambio-oauth/cambio/registry"
)

// ready is what was made of one snapshot, when it was first needed.
type ready struct {
	snapshot   *registry.Snapshot
	rules      sync.Map // *permissions.Rules by integrator
	keys       sync.Map // assertion.Keys by client
	conditions sync.Map // *lazyCondition by text
	changed    sync.Map // *registry.TokenRules with the change on trial, by key URL
}

func (d *directory) readyFor(s *registry.Snapshot) *ready {
	made := d.made.Load()
	if made == nil || made.snapshot != s {
		made = &ready{snapshot: s}
		d.made.Store(made)
	}
	return made
}

// ForIntegrator implements tokenexchange.Policies.
func (d *directory) ForIntegrator(ctx context.Context, integratorID, issuer string) ([]tokenexchange.Policy, error) {
	policies, err := find(ctx, d, func(s *registry.Snapshot) ([]tokenexchange.Policy, bool) {
		policies := d.policies(s, s.KeyURLs(integratorID, issuer))
		return policies, len(policies) > 0
	})
	return policies, errors.Join(err, d.mustBeReadable(integratorID, issuer))
}

// unreadable: what a row of garbage would allow or ask for, nobody can say.
func unreadable(what string) error {
	return fmt.Errorf("%s cannot be read: its row in the database holds what no version of this program wrote", what)
}

func (d *directory) mustBeReadable(integratorID, issuer string) error {
	if s, err := d.Snapshot(); err == nil && s.UnreadableKeyURL(integratorID, issuer) {
		return unreadable(fmt.Sprintf("a key URL of %s with the issuer %q", cmp.Or(integratorID, "whichever integrator"), issuer))
	}
	return nil
}

// Clientless implements tokenexchange.Policies.
func (d *directory) Clientless(ctx context.Context, issuer string) ([]tokenexchange.Policy, error) {
	policies, err := find(ctx, d, func(s *registry.Snapshot) ([]tokenexchange.Policy, bool) {
		policies := d.policies(s, s.Clientless(issuer))
		return policies, len(policies) > 0
	})
	return policies, errors.Join(err, d.mustBeReadable("", issuer))
}

func (d *directory) policies(s *registry.Snapshot, keyURLs []*registry.KeyURL) []tokenexchange.Policy {
	policies := make([]tokenexchange.Policy, 0, len(keyURLs))
	for _, k := range keyURLs {
		integrator := s.Integrator(k.IntegratorID)
		if integrator == nil {
			continue
		}
		policies = append(policies, tokenexchange.Policy{
			Policy:               d.assertionPolicy(s, k, &k.TokenRules),
			KeyURLID:             k.ID,
			IntegratorID:         integrator.ID,
			IntegratorGeneration: integrator.Generation,
			IntegratorDisabled:   integrator.Status != registry.Active,
			Permissions:          source(&k.TokenRules),
			Entitlements:         entitlements{s, integrator.ID, d.rules(s, integrator.ID)},
			Audited:              d.audited(s, k),
		})
	}
	return policies
}

// assertionPolicy is a key URL with its rules, or with others.
func (d *directory) assertionPolicy(s *registry.Snapshot, k *registry.KeyURL, rules *registry.TokenRules) assertion.Policy {
	policy := assertion.Policy{
		Issuer: k.Issuer, Audiences: rules.Audiences, AudienceClaims: rules.AudienceClaims, Algorithms: rules.Algorithms,
		Keys: assertion.KeyRef(k.Source()), KeysEpoch: k.KeysEpoch,
		AllowIDToken: rules.AllowIDToken, AllowIDJAG: rules.AllowIDJAG,
		MaxLifetime: time.Duration(rules.MaxLifetime), SingleUse: s.SingleUse(k.IntegratorID, k.Issuer),
	}
	if len(policy.Audiences) == 0 {
		policy.Audiences = d.subjectAudiences
	}
	for _, required := range rules.RequiredClaims {
		policy.Required = append(policy.Required, assertion.RequiredClaim(required))
	}
	if rules.Condition != "" {
		policy.Condition = d.condition(s, string(rules.Condition))
	}
	return policy
}

func source(rules *registry.TokenRules) permissions.Source {
	return permissions.Source{Claims: rules.PermissionsClaims, Format: permissions.Format(rules.PermissionsFormat)}
}

// audited gives the change to a key URL that is on trial.
func (d *directory) audited(s *registry.Snapshot, k *registry.KeyURL) *tokenexchange.Change {
	if k.Audited == nil {
		return nil
	}
	made := d.readyFor(s)
	found, ok := made.changed.Load(k.ID)
	if !ok {
		rules, err := k.Audited.Apply(k.TokenRules)
		if err != nil { // it was checked when it was stored; a trial has no effect
			return nil
		}
		found, _ = made.changed.LoadOrStore(k.ID, &rules)
	}
	rules := found.(*registry.TokenRules)
	return &tokenexchange.Change{ID: k.AuditID(), Policy: d.assertionPolicy(s, k, rules), Permissions: source(rules)}
}

// condition gives a condition that is compiled when it is first asked, which is
// after the signature, and once for each snapshot.
func (d *directory) condition(s *registry.Snapshot, text string) assertion.Condition {
	made := d.readyFor(s)
	if found, ok := made.conditions.Load(text); ok {
		return found.(*lazyCondition)
	}
	found, _ := made.conditions.LoadOrStore(text, &lazyCondition{text: text, compile: sync.OnceValue(func() assertion.Condition {
		compiled, err := d.conditions.Compile(text)
		if err != nil {
			return never(text)
		}
		return compiled
	})})
	return found.(*lazyCondition)
}

type lazyCondition struct {
	text    string
	compile func() assertion.Condition
}

// Holds implements assertion.Condition.
func (l *lazyCondition) Holds(claims map[string]json.RawMessage) (bool, string) {
	return l.compile().Holds(claims)
}

// String implements assertion.Condition.
func (l *lazyCondition) String() string { return l.text }

// never is a condition that another version of this program stored, and this
// one does not understand: what cannot be judged does not hold.
type never string

// Holds implements assertion.Condition.
func (never) Holds(map[string]json.RawMessage) (bool, string) {
	return false, "a condition that this version cannot compile"
}

// String implements assertion.Condition.
func (n never) String() string { return string(n) }

// entitlements are those of one integrator in one snapshot.
type entitlements struct {
	snapshot     *registry.Snapshot
	integratorID string
	*permissions.Rules
}

// rules gives an integrator's scope rules, made ready.
func (d *directory) rules(s *registry.Snapshot, integratorID string) *permissions.Rules {
	made := d.readyFor(s)
	if rules, ok := made.rules.Load(integratorID); ok {
		return rules.(*permissions.Rules)
	}
	var list []permissions.Rule
	for _, r := range s.ScopeRules(integratorID) {
		list = append(list, permissions.Rule{Permission: r.Permission, Scope: r.Scope})
	}
	rules := permissions.NewRules(list)
	made.rules.Store(integratorID, rules)
	return rules
}

// LockHolder implements permissions.Entitlements.
func (e entitlements) LockHolder(i permissions.Identifier) (id string, managed, known bool) {
	id, known = e.snapshot.LockHolder(i.CountryISO, i.OrganizationID, i.OrganizationIDSuffix)
	return id, known && e.snapshot.Manages(e.integratorID, id), known
}
