package storage

import (
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/grants/permissions"
	"github.com/cambio-oauth/cambio/registry"
)

type scopeRuleRow struct {
	Object       object `gorm:"embedded"`
	IntegratorID string
	Permission   string
	Scope        string
}

// TableName implements gorm's tabler.
func (scopeRuleRow) TableName() string { return "scope_rules" }

func (r scopeRuleRow) rule() registry.ScopeRule {
	return registry.ScopeRule{Object: r.Object.value(), IntegratorID: r.IntegratorID, Permission: r.Permission, Scope: r.Scope}
}

// CreateScopeRule stores a new rule, which comes after all others of its
// integrator. ErrConflict: there is one for the permission, or there are too
// many.
func (s *Store) CreateScopeRule(ctx context.Context, r *registry.ScopeRule) error {
	head, err := s.begin(&r.Object)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *gorm.DB) error {
		row := scopeRuleRow{Object: head, IntegratorID: r.IntegratorID, Permission: r.Permission, Scope: r.Scope}
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		var count int64
		if err := tx.Table("scope_rules").Where("integrator_id = ?", r.IntegratorID).Count(&count).Error; err != nil {
			return err
		}
		if count > permissions.MaxRules {
			return registry.Conflict(fmt.Sprintf("this integrator has %d scope rules already, which is the most", permissions.MaxRules))
		}
		return nil
	})
}

// ScopeRule reads one rule of an integrator.
func (s *Store) ScopeRule(ctx context.Context, integratorID, id string) (*registry.ScopeRule, error) {
	row, err := take[scopeRuleRow](s.reader.WithContext(ctx), "integrator_id = ? AND id = ?", integratorID, id)
	if err != nil {
		return nil, err
	}
	rule := row.rule()
	return &rule, nil
}

// ScopeRules lists the rules of an integrator, in their order.
func (s *Store) ScopeRules(ctx context.Context, integratorID string, page registry.Page) ([]registry.ScopeRule, error) {
	return find(s.reader.WithContext(ctx), page, scopeRuleRow.rule, "integrator_id = ?", integratorID)
}

// ScopeRulesFor finds the rule of an integrator for a permission.
func (s *Store) ScopeRulesFor(ctx context.Context, integratorID, permission string) ([]registry.ScopeRule, error) {
	return findAll(s.reader.WithContext(ctx), scopeRuleRow.rule, "integrator_id = ? AND permission = ?", integratorID, permission)
}

// UpdateScopeRule stores a changed rule, which keeps its place. Clients lose
// scopes that no rule gives any more.
func (s *Store) UpdateScopeRule(ctx context.Context, r *registry.ScopeRule) error {
	was := r.Object
	err := s.changeRules(ctx, r.IntegratorID, func(tx *gorm.DB) error {
		return s.update(tx.Where("integrator_id = ?", r.IntegratorID), "scope_rules", &r.Object, map[string]any{"permission": r.Permission, "scope": r.Scope})
	})
	if err != nil {
		r.Object = was // nothing was stored
	}
	return err
}

// DeleteScopeRule deletes a rule of an integrator. Clients lose scopes that no
// rule gives any more.
func (s *Store) DeleteScopeRule(ctx context.Context, integratorID, id string) error {
	return s.changeRules(ctx, integratorID, func(tx *gorm.DB) error {
		return remove(tx, "scope_rules", "integrator_id = ? AND id = ?", integratorID, id)
	})
}

// changeRules changes the rules of an integrator, and takes from its clients
// what they covered before and do not cover afterwards: client credentials would
// otherwise go on granting what the integrator has lost.
func (s *Store) changeRules(ctx context.Context, integratorID string, apply func(tx *gorm.DB) error) error {
	return s.change(ctx, func(tx *gorm.DB) error {
		before, err := rulesOf(tx, integratorID)
		if err != nil {
			return err
		}
		if err := apply(tx); err != nil {
			return err
		}
		after, err := rulesOf(tx, integratorID)
		if err != nil {
			return err
		}
		var rows []clientRow
		if err := tx.Where("integrator_id = ? AND scopes IS NOT NULL", integratorID).Find(&rows).Error; err != nil {
			return err
		}
		for _, row := range rows {
			kept := slices.DeleteFunc(slices.Clone([]string(row.Scopes)), func(scope string) bool { return before.Covers(scope) && !after.Covers(scope) })
			if len(kept) == len(row.Scopes) {
				continue
			}
			if err := s.keepScopes(tx, row.Object.ID, kept); err != nil {
				return err
			}
		}
		return nil
	})
}

func rulesOf(tx *gorm.DB, integratorID string) (*permissions.Rules, error) {
	var rows []scopeRuleRow
	if err := tx.Where("integrator_id = ?", integratorID).Order("id").Find(&rows).Error; err != nil {
		return nil, err
	}
	return permissions.NewRules(convertAll(rows, func(r scopeRuleRow) permissions.Rule {
		return permissions.Rule{Permission: r.Permission, Scope: r.Scope}
	})), nil
}
