package permissions

import (
	"slices"
	"strings"

	"github.com/cambio-oauth/cambio/grants"
)

// Bounds of a permissions claim.
const (
	MaxEntries    = 500
	MaxEntryBytes = 2100
)

// LockHolderPrefix begins every permission that names a lock holder.
const LockHolderPrefix = "lockHolder.identifier:"

// Why an entry became no scope.
const (
	DroppedMalformed         = "malformed"
	DroppedUnknownLockHolder = "unknown_lock_holder"
	DroppedNotEntitled       = "not_entitled"
	DroppedNoRule            = "no_rule"
)

// Entitlements is what one integrator may turn into scopes.
type Entitlements interface {
	// LockHolder looks an identifier up: whether the platform knows it, and
	// whether this integrator manages it, in which case id is set.
	LockHolder(identifier Identifier) (id string, managed, known bool)
	// Scope gives the scope of the first rule that a permission matches. ok
	// without a scope means that the rule would make none that can be granted.
	Scope(permission string) (scope string, ok bool)
}

// Grant is one entry that became a scope.
type Grant struct {
	Scope        string
	LockHolderID string
}

// Dropped is one entry that became none, and why.
type Dropped struct {
	Permission string `json:"permission"`
	Reason     string `json:"reason"`
}

// Convert turns permissions into scopes, each once, in their order. A permission
// that names a lock holder is never for a rule.
func Convert(entries []string, entitlements Entitlements) (granted []Grant, dropped []Dropped) {
	seen, scopes := make(map[string]bool, len(entries)), make(map[string]bool, len(entries))
	for _, entry := range entries {
		if seen[entry] {
			continue
		}
		seen[entry] = true
		grant, reason := convert(entry, entitlements)
		if reason != "" {
			dropped = append(dropped, Dropped{Permission: entry, Reason: reason})
			continue
		}
		if !scopes[grant.Scope] { // two permissions may give one scope
			granted = append(granted, grant)
		}
		scopes[grant.Scope] = true
	}
	return granted, dropped
}

func convert(entry string, entitlements Entitlements) (Grant, string) {
	if !strings.HasPrefix(entry, LockHolderPrefix) {
		scope, ok := entitlements.Scope(entry)
		switch {
		case !ok:
			return Grant{}, DroppedNoRule
		case !grantable(scope): // whatever the port gives
			return Grant{}, DroppedMalformed
		}
		return Grant{Scope: scope}, ""
	}
	identifier, err := ParseIdentifier(entry)
	if err != nil {
		return Grant{}, DroppedMalformed
	}
	id, managed, known := entitlements.LockHolder(identifier)
	switch {
	case !known:
		return Grant{}, DroppedUnknownLockHolder
	case !managed:
		return Grant{}, DroppedNotEntitled
	}
	return Grant{Scope: identifier.String(), LockHolderID: id}, ""
}

// without says what a scope that cannot be granted lacks.
func without(granted []Grant, allowed []string, scope string) string {
	if slices.ContainsFunc(granted, func(g Grant) bool { return g.Scope == scope }) {
		return "a scope of this client's, which are " + grants.Shown(strings.Join(allowed, " "))
	}
	return "a scope that the permissions of the subject token give this integrator"
}

// Limit cuts granted down. allowed and requested are limits only when they are
// not nil; a requested scope that cannot be granted refuses the request, never
// narrows it silently.
func Limit(granted []Grant, allowed, requested []string) ([]Grant, *grants.Refusal) {
	limited := slices.DeleteFunc(slices.Clone(granted), func(g Grant) bool {
		return allowed != nil && !slices.Contains(allowed, g.Scope)
	})
	if requested == nil {
		return limited, nil
	}
	for _, scope := range requested {
		if !slices.ContainsFunc(limited, func(g Grant) bool { return g.Scope == scope }) {
			return nil, grants.Refuse(grants.InvalidScope, "a requested scope cannot be granted: the permissions of the subject token, the integrator's entitlements and the client's scope do not all hold it").
				Expecting(without(granted, allowed, scope), grants.Shown(scope))
		}
	}
	return slices.DeleteFunc(limited, func(g Grant) bool { return !slices.Contains(requested, g.Scope) }), nil
}
