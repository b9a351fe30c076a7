package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// people are settings of an identity provider for the panel, and more.
func people(more ...string) []string {
	return append([]string{"CAMBIO_PANEL_OIDC_ISSUER=https://idp.example", "CAMBIO_PANEL_OIDC_CLIENT_ID=cambio"}, more...)
}

// Half of an identity provider, or a wrong one, stops the start with one line
// that names the key, and tells no secret.
func TestWrongConfigurationOfPeople(t *testing.T) {
	secretFile := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte("the panel's secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rule    string
		environ []string
		names   string // empty: it is right
	}{
		{"an identity provider and who is an operator", people("CAMBIO_PANEL_OPERATORS=groups=ops"), ""},
		{"an identity provider and whose people they are", people("CAMBIO_PANEL_INTEGRATOR_CLAIM=/cambio/integrator"), ""},
		{"an identity provider on this machine by http", people("CAMBIO_PANEL_OIDC_ISSUER=http://[::1]:8080", "CAMBIO_PANEL_OPERATORS=groups=ops"), ""},
		{"an identity provider elsewhere by http", people("CAMBIO_PANEL_OIDC_ISSUER=http://idp.example", "CAMBIO_PANEL_OPERATORS=groups=ops"), "CAMBIO_PANEL_OIDC_ISSUER"},
		{"an identity provider with a query", people("CAMBIO_PANEL_OIDC_ISSUER=https://idp.example/?x", "CAMBIO_PANEL_OPERATORS=groups=ops"), "CAMBIO_PANEL_OIDC_ISSUER"},
		{"an identity provider with a password", people("CAMBIO_PANEL_OIDC_ISSUER=https://u:hunter2@idp.example", "CAMBIO_PANEL_OPERATORS=groups=ops"), "CAMBIO_PANEL_OIDC_ISSUER"},
		{"an identity provider that lets nobody do anything", people(), "CAMBIO_PANEL_OPERATORS"},
		{"an identity provider without a client", []string{"CAMBIO_PANEL_OIDC_ISSUER=https://idp.example", "CAMBIO_PANEL_OPERATORS=groups=ops"}, "CAMBIO_PANEL_OIDC_CLIENT_ID"},
		{"operators of no identity provider", []string{"CAMBIO_PANEL_OPERATORS=groups=ops"}, "CAMBIO_PANEL_OIDC_ISSUER"},
		{"a client of no identity provider", []string{"CAMBIO_PANEL_OIDC_CLIENT_ID=x"}, "CAMBIO_PANEL_OIDC_ISSUER"},
		{"scopes of no identity provider", []string{"CAMBIO_PANEL_OIDC_SCOPES=openid"}, "CAMBIO_PANEL_OIDC_ISSUER"},
		{"scopes without openid", people("CAMBIO_PANEL_OIDC_SCOPES=profile", "CAMBIO_PANEL_OPERATORS=groups=ops"), "CAMBIO_PANEL_OIDC_SCOPES"},
		{"a scope that is none", people("CAMBIO_PANEL_OIDC_SCOPES=openid \"", "CAMBIO_PANEL_OPERATORS=groups=ops"), "CAMBIO_PANEL_OIDC_SCOPES"},
		{"operators of any value", people("CAMBIO_PANEL_OPERATORS=groups="), "CAMBIO_PANEL_OPERATORS"},
		{"operators of no claim", people("CAMBIO_PANEL_OPERATORS=ops"), "CAMBIO_PANEL_OPERATORS"},
		{"operators by a pointer that is none", people("CAMBIO_PANEL_OPERATORS=/a~2=ops"), "CAMBIO_PANEL_OPERATORS"},
		{"an integrator's claim that is none", people("CAMBIO_PANEL_INTEGRATOR_CLAIM=a\tb"), "CAMBIO_PANEL_INTEGRATOR_CLAIM"},
		{"the identity provider's secret is the secret key", people("CAMBIO_SECRET_KEY="+testSecretKey, "CAMBIO_PANEL_OPERATORS=groups=ops", "CAMBIO_PANEL_OIDC_CLIENT_SECRET="+testSecretKey), "CAMBIO_PANEL_OIDC_CLIENT_SECRET"},
		{"the identity provider's secret from a file", people("CAMBIO_PANEL_OPERATORS=groups=ops", "CAMBIO_PANEL_OIDC_CLIENT_SECRET_FILE="+secretFile), ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			_, err := readAll(t, "", nil, c.environ...)
			switch {
			case (err == nil) != (c.names == ""):
				t.Errorf("%v, want an error of %q", err, c.names)
			case err != nil && (!strings.HasPrefix(err.Error(), c.names+": ") || strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), testSecretKey)):
				t.Errorf("does not name %s in one line, or tells the secret: %v", c.names, err)
			}
		})
	}
}
