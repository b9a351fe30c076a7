package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/cambio-oauth/cambio/admin/panel"
	"github.com/cambio-oauth/cambio/admin/panel/oidc"
	"github.com/cambio-oauth/cambio/registry"
)

const defaultPanelScopes = "openid profile email"

// peopleSettings are about people who sign in at the panel.
func peopleSettings() []setting {
	return []setting{
		{"panel_oidc_issuer", "", false, "issuer of the identity provider at which people sign in to the panel; empty: clients only"},
		{"panel_oidc_client_id", "", false, "client_id of this server there"},
		{"panel_oidc_client_secret", "", true, "its secret; empty: a public client"},
		{"panel_oidc_scopes", defaultPanelScopes, false, "space-separated scopes that are requested there"},
		{"panel_operators", "", false, "claim=value: who is an operator"},
		{"panel_integrator_claim", "", false, "claim with the id of the integrator whose people they are"},
	}
}

// peopleChecks reads them. Half of them is an error: somebody meant to let
// people in, or to keep them out.
func (c *config) peopleChecks(values map[string]string) []check {
	people := &c.people
	people.Issuer, people.ClientID, people.ClientSecret = values["panel_oidc_issuer"], values["panel_oidc_client_id"], values["panel_oidc_client_secret"]
	return []check{
		{"panel_oidc_issuer", func(v string) error {
			for _, s := range peopleSettings() {
				if v == "" && values[s.key] != s.initial {
					return fmt.Errorf("required with %s", envName(s.key))
				}
			}
			return checkProvider(v)
		}},
		{"panel_oidc_client_id", func(v string) error {
			switch {
			case people.Issuer != "" && v == "":
				return errors.New("required with CAMBIO_PANEL_OIDC_ISSUER")
			case v != "" && !registry.ValidName(v):
				return errors.New("want the client_id that the identity provider gave")
			}
			return nil
		}},
		{"panel_oidc_client_secret", func(v string) error {
			if v != "" && (v == values["secret_key"] || v == values["operator_client_secret"]) {
				return errors.New("this secret is another setting's, too: one secret for two purposes is two ways to lose it")
			}
			return nil
		}},
		{"panel_oidc_scopes", func(v string) (err error) { people.Scopes, err = readScopes(v); return err }},
		{"panel_operators", func(v string) (err error) {
			if v != "" {
				people.Operators, err = oidc.ParseRule(v)
			} else if people.Issuer != "" && values["panel_integrator_claim"] == "" {
				err = errors.New("set this or CAMBIO_PANEL_INTEGRATOR_CLAIM: with neither nobody who signs in may do anything")
			}
			return err
		}},
		{"panel_integrator_claim", func(v string) (err error) {
			if v != "" {
				people.IntegratorClaim, err = oidc.ParseClaim(v)
			}
			return err
		}},
	}
}

// checkProvider: Discovery §3 wants https; http is for an identity provider on
// this machine.
func checkProvider(v string) error {
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || !oidc.ValidURL(v) || u.RawQuery != "" || u.ForceQuery {
		return errors.New("want an https URL without query, fragment and password (http on loopback only)")
	}
	return nil
}

func readScopes(v string) ([]string, error) {
	scopes := strings.Fields(v)
	if !slices.Contains(scopes, "openid") {
		return nil, errors.New("want openid among them: without it there is no ID token (OpenID Connect Core §3.1.2.1)")
	}
	for _, scope := range scopes {
		if strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return nil, fmt.Errorf("%q is no scope (RFC 6749 §3.3)", scope)
		}
	}
	return scopes, nil
}

// signInOfPeople makes the panel's identity provider; nil when none is
// configured.
func (p *program) signInOfPeople() (panel.Provider, error) {
	people := p.config.people
	if people.Issuer == "" {
		return nil, nil
	}
	people.RedirectURL, people.Now = strings.TrimSuffix(p.config.issuer, "/")+oidc.CallbackPath, p.config.now
	people.Integrator = func(ctx context.Context, id string) (bool, error) {
		integrator, err := p.store.Integrator(ctx, id)
		return err == nil && integrator.Status == registry.Active, err
	}
	return oidc.New(people)
}
