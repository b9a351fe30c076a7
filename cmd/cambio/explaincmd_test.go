package main

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// runExplainCommand runs `cambio explain` with a token on standard input.
func runExplainCommand(t *testing.T, token string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := command()
	cmd.SetArgs(append([]string{"explain"}, args...))
	cmd.SetIn(strings.NewReader(token))
	cmd.SetOut(&out)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestExplainCommand(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme+ %")
	acme.manage("919424508", "east")
	secretFile := filepath.Join(t.TempDir(), "secret")
	write := func(secret string) {
		t.Helper()
		if err := os.WriteFile(secretFile, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	id, secret := acme.newClient(object{"client_name": "administrator", "grant_types": []string{grants.ClientCredentials}, "scope": grants.ScopeIntegratorAdmin})
	write(secret)
	login := []string{"--server", s.url, "--login-client-id", id, "--login-client-secret-file", secretFile}

	out, err := runExplainCommand(t, acme.idp.token(nil)+"\n", append(login, "--client", acme.clientID)...)
	if err != nil || !strings.Contains(out, "granted; the token would hold") || !strings.Contains(out, `"scope": "`+lockScope+`"`) || !strings.Contains(out, "dropped  "+otherLockScope+": unknown_lock_holder") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = runExplainCommand(t, acme.idp.token(object{"aud": "x\u009b"}), login...)
	if !errors.Is(err, errRefused) || !strings.Contains(out, "FAILED   audience") || !strings.Contains(out, `found: aud: x`) || strings.Contains(out, "\u009b") {
		t.Errorf("%v\n%s", err, out)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(acme.idp.token(nil)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err = runExplainCommand(t, "", append(login, "--json", "--scope", "x", file)...)
	if !errors.Is(err, errRefused) || !strings.HasPrefix(out, `{"result":"refused","error":"invalid_scope"`) {
		t.Errorf("%v\n%s", err, out)
	}
	for name, c := range map[string]struct {
		token, says string
		args        []string
	}{
		"no token":                   {" ", "no token", login},
		"a token for an argument":    {"", "never as an argument", append(login, "eyJ.e30.x")},
		"another integrator":         {"x", "404", append(login, "--integrator", "01a20cf0-0b92-7313-8298-62c02e2f9cb1")},
		"nobody to ask as":           {"x", "CAMBIO_OPERATOR_CLIENT_ID", []string{"--server", s.url}},
		"an operator's me":           {"x", "has to name one", []string{"--server", s.url, "--operator-client-id", testOperator, "--operator-client-secret", testOperatorSecret}},
		"a server that is not there": {"x", "log in", append(login, "--server", "http://127.0.0.1:1")},
	} {
		out, err := runExplainCommand(t, c.token, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(out+err.Error(), secret) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	write("wrong")
	if _, err := runExplainCommand(t, "x", login...); err == nil || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("a wrong secret: %v", err)
	}
}

// Credentials and the token go to the server that was named, and nowhere else.
func TestExplainCommandFollowsNoRedirect(t *testing.T) {
	var asked bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	if _, err := runExplainCommand(t, "x", "--server", server.URL, "--login-client-id", "a"); err == nil || asked {
		t.Errorf("%v, asked %v", err, asked)
	}
}
