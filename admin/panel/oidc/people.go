package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/cambio-oauth/cambio/admin"
	"github.com/cambio-oauth/cambio/admin/panel"
	"github.com/cambio-oauth/cambio/grants/strictjson"
	"github.com/cambio-oauth/cambio/registry"
)

const (
	// prefix marks who signed in here wherever it is said who did something. No
	// client_id holds a colon (RFC 7617).
	prefix       = "oidc:"
	maxWhoBytes  = 255
	maxNameRunes = 100
)

// person tells by verified claims who somebody is.
func (p *Provider) person(ctx context.Context, claims strictjson.Members) (*panel.Person, error) {
	sub, _ := claims.Text("sub")
	who := prefix + sub
	if !registry.ValidName(sub) || len(who) > maxWhoBytes { // it goes into audit events
		return nil, refuse(nil, "The identity provider names you by a sub that is empty, longer than %d bytes or no printable text.", maxWhoBytes-len(prefix))
	}
	caller, err := p.caller(ctx, claims, who)
	if err != nil {
		return nil, err
	}
	role := panel.RoleIntegrator
	if p.config.Operators.holds(claims) {
		role = panel.RoleOperator
	}
	return &panel.Person{Name: name(claims, sub), Role: role, Caller: caller}, nil
}

// caller is where roles are given. An empty IntegratorID makes an operator, so
// there is one way to it: the operators' rule.
func (p *Provider) caller(ctx context.Context, claims strictjson.Members, who string) (admin.Caller, error) {
	if p.config.Operators.holds(claims) {
		return admin.Caller{ClientID: who}, nil
	}
	values := p.config.IntegratorClaim.values(claims)
	if len(values) == 0 {
		return admin.Caller{}, p.unknown()
	}
	var id string
	if len(values) > 1 || json.Unmarshal(values[0], &id) != nil {
		return admin.Caller{}, refuse(nil, "The claim %s has to be the id of one integrator, and of you it is something else. Ask whoever administers your account at the identity provider.", p.config.IntegratorClaim)
	}
	if parsed, err := uuid.Parse(id); err != nil || parsed.String() != id {
		return admin.Caller{}, refuse(nil, "The claim %s has to be the id of an integrator, and of you it is something else. Ask whoever administers your account at the identity provider.", p.config.IntegratorClaim)
	}
	if err := p.active(ctx, id); err != nil {
		return admin.Caller{}, err
	}
	return admin.Caller{ClientID: who, IntegratorID: id}, nil
}

// unknown says which claims count, and never which values: those are for whoever
// grants them to know.
func (p *Provider) unknown() error {
	var looked []string
	if p.config.Operators.Claim != "" {
		looked = append(looked, fmt.Sprintf("%s (operators)", p.config.Operators.Claim))
	}
	if p.config.IntegratorClaim != "" {
		looked = append(looked, fmt.Sprintf("%s (an integrator's people)", p.config.IntegratorClaim))
	}
	return refuse(nil, "You are signed in at the identity provider, but nothing it says of you lets you in here. What counts is %s. Whoever administers your account there has to grant it.", strings.Join(looked, " and "))
}

// active refuses the people of an integrator that is disabled or not there.
func (p *Provider) active(ctx context.Context, id string) error {
	active, err := p.config.Integrator(ctx, id)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return refuse(nil, "The integrator whose people you are does not exist here. Ask an operator of this platform.")
	case err != nil:
		return err
	case !active:
		return refuse(nil, "Your integrator is disabled. Ask an operator of this platform.")
	}
	return nil
}

// Holds implements panel.Provider.
func (p *Provider) Holds(ctx context.Context, person *panel.Person) error {
	switch caller := person.Caller; {
	case !strings.HasPrefix(caller.ClientID, prefix):
		return refuse(nil, "Somebody else signed you in. Sign in again.")
	case caller.Operator():
		return nil
	default:
		return p.active(ctx, caller.IntegratorID)
	}
}

// name is how somebody is called. An address counts unless the provider says
// that it is not theirs.
func name(claims strictjson.Members, sub string) string {
	names := []string{"preferred_username", "email", "name"}
	if slices.Contains([]string{`false`, `"false"`}, string(claims["email_verified"])) {
		names = []string{"preferred_username", "name"}
	}
	for _, claim := range names {
		text, _ := claims.Text(claim)
		if text = shown(text, maxNameRunes); registry.ValidName(text) {
			return text
		}
	}
	return shown(sub, maxNameRunes)
}
