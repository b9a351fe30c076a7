package permissions

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cambio-oauth/cambio/grants"
)

// Bounds of a rule.
const (
	MaxRules          = 1000
	MaxRulePermission = 512 // bytes
	MaxRuleScope      = 512
	reservedPrefix    = "lockHolder."
	matched           = "$1" // in a scope: what the star of its permission matched
	star              = "*"
)

// Rule gives a scope for a permission: an integrator's entitlement outside lock
// holders. Permission is the exact text, or its beginning and one star. Scope is
// the exact scope and may hold $1, what the star matched.
type Rule struct {
	Permission string
	Scope      string
}

// CheckPermission reports what is wrong with the permission of a rule.
func (r Rule) CheckPermission() error {
	switch n := strings.Count(r.Permission, star); {
	case r.Permission == "" || len(r.Permission) > MaxRulePermission || !utf8.ValidString(r.Permission) || strings.ContainsFunc(r.Permission, unicode.IsControl):
		return fmt.Errorf("want 1 to %d bytes of text without control characters", MaxRulePermission)
	case n > 1 || n == 1 && !strings.HasSuffix(r.Permission, star):
		return errors.New("want at most one *, at the end")
	case strings.HasPrefix(r.Permission, LockHolderPrefix):
		return errors.New("lock holders become scopes by being linked, never by a rule")
	}
	return nil
}

// CheckScope reports what is wrong with the scope of a rule. What $1 stands for
// is judged when it is known.
func (r Rule) CheckScope() error {
	switch n := strings.Count(r.Scope, matched); {
	case len(r.Scope) > MaxRuleScope || !grants.ValidScope(r.Scope):
		return fmt.Errorf("want one scope-token of RFC 6749 section 3.3, of at most %d bytes", MaxRuleScope)
	case n > 1:
		return errors.New("want $1 once at the most")
	case otherMatched(r.Scope):
		return errors.New("$1 alone stands for something: what the * of the permission matched")
	case n == 1 && !strings.HasSuffix(r.Permission, star):
		return errors.New("$1 stands for what the * of the permission matched, and there is none")
	case !grantable(r.Scope):
		return errors.New("scopes of Cambio itself and of lock holders never come from a rule")
	}
	return nil
}

// otherMatched finds $2 and the like, which other software knows: meant as they
// are they would hardly ever be.
func otherMatched(scope string) bool {
	for _, after := range strings.Split(strings.ReplaceAll(scope, matched, ""), "$")[1:] {
		if after != "" && '0' <= after[0] && after[0] <= '9' {
			return true
		}
	}
	return false
}

// grantable tells whether a rule may give a scope: never one of Cambio's own,
// nor one that looks like a lock holder's, in whatever case.
func grantable(scope string) bool {
	lower := strings.ToLower(scope)
	return grants.ValidScope(scope) && !grants.IsOwnScope(lower) && !strings.HasPrefix(lower, strings.ToLower(reservedPrefix))
}

// Rules are those of one integrator, in order, made ready to be matched. They
// never change.
type Rules struct {
	exact    map[string]int // index of the first rule for a permission
	prefixes []int          // indexes of rules with a star, in order
	rules    []Rule
}

// NewRules makes rules ready.
func NewRules(rules []Rule) *Rules {
	r := &Rules{exact: map[string]int{}, rules: slices.Clone(rules)}
	for i, rule := range r.rules {
		if strings.HasSuffix(rule.Permission, star) {
			r.prefixes = append(r.prefixes, i)
		} else if _, ok := r.exact[rule.Permission]; !ok {
			r.exact[rule.Permission] = i
		}
	}
	return r
}

// Scope gives the scope of the first rule that a permission matches. ok without
// a scope means that what $1 stood for makes none.
func (r *Rules) Scope(permission string) (scope string, ok bool) {
	if r == nil {
		return "", false
	}
	first, ok := r.exact[permission]
	for _, i := range r.prefixes {
		if ok && i > first {
			break
		}
		if strings.HasPrefix(permission, strings.TrimSuffix(r.rules[i].Permission, star)) {
			first, ok = i, true
			break
		}
	}
	if !ok {
		return "", false
	}
	rule := r.rules[first]
	rest := permission[min(len(permission), max(0, len(rule.Permission)-len(star))):]
	if !strings.HasSuffix(rule.Permission, star) {
		rest = ""
	}
	scope = strings.Replace(rule.Scope, matched, rest, 1)
	if !grantable(scope) {
		return "", true
	}
	return scope, true
}

// Covers tells whether some permission gives this scope: what a client of the
// integrator may be limited to. A rule that is never reached covers nothing.
func (r *Rules) Covers(scope string) bool {
	if r == nil || !grantable(scope) {
		return false
	}
	return slices.ContainsFunc(r.rules, func(rule Rule) bool {
		permission, ok := rule.permissionOf(scope)
		if !ok {
			return false
		}
		got, _ := r.Scope(permission)
		return got == scope
	})
}

// permissionOf gives a permission that would give this scope if the rule were
// the only one.
func (r Rule) permissionOf(scope string) (string, bool) {
	beginning, open := strings.CutSuffix(r.Permission, star)
	before, after, filled := strings.Cut(r.Scope, matched)
	switch {
	case !open || !filled:
		if open {
			beginning += "\x01" // what stands in no rule, so that only one that takes all of them comes first
		}
		return beginning, r.Scope == scope
	case len(scope) < len(before)+len(after) || !strings.HasPrefix(scope, before) || !strings.HasSuffix(scope, after):
		return "", false
	}
	return beginning + scope[len(before):len(scope)-len(after)], true
}
