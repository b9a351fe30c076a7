package main

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// runs runs a command of the program against a server, as the operator.
func (s *server) runs(stdin string, args ...string) (out string, err error) {
	s.t.Helper()
	return s.runsAs(testOperator, testOperatorSecret, stdin, args...)
}

func (s *server) runsAs(id, secret, stdin string, args ...string) (out string, err error) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		s.t.Fatal(err)
	}
	var text bytes.Buffer
	cmd := command()
	cmd.SetArgs(append(args, "--server", s.url, "--login-client-id", id, "--login-client-secret-file", file))
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&text)
	cmd.SetErr(&text)
	err = cmd.ExecuteContext(s.t.Context())
	return text.String(), err
}

// applies runs apply and gives the lines of its plan.
func (s *server) applies(text string, args ...string) (lines []string) {
	s.t.Helper()
	out, err := s.runs(text, append([]string{"apply", "-f", "-"}, args...)...)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	return strings.Split(strings.TrimSpace(out), "\n")
}

const wholeDocument = `
integrators:
  - name: Ærlig & Co
    lock_holders: [NO.919424508.east, NO.0123.]
    scope_rules:
      - {permission: "tenant:*", scope: tenant.$1}
      - {permission: reader, scope: read}
    clients:
      - client_name: backend
        scope: lockHolder.identifier:NO.919424508.east  read
        access_token_ttl: 900
      - client_name: app
        token_endpoint_auth_method: none
        allowed_origins: [https://app.example]
    key_urls:
      - issuer: https://acme.example/
        url: https://acme.example/jwks.json
        audiences: [api, 123]
        permissions_claim: [roles]
        required_claims:
          - claim: tid
          - {claim: azp, values: [a, b]}
        condition: claims.email_verified == true
        mode: audit
        change: {max_lifetime: 60, required_claims: [{claim: x}]}
  - name: Other
    status: disabled
lock_holders:
  - {name: East, country_iso: NO, organization_id: 919424508, organization_id_suffix: east}
  - {name: Whole, country_iso: NO, organization_id: 0123}
resource_servers:
  - {name: Locks, audience: https://locks.example}
`

// A document is applied once, and then there is nothing to do; what was exported
// says the same.
func TestApply(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		secrets := filepath.Join(t.TempDir(), "secrets")
		if out, err := s.runs(wholeDocument, "apply", "-f", "-"); err == nil || !strings.Contains(err.Error(), "--secrets-file") || s.changed() > 0 {
			t.Fatalf("without a place for secrets: %v\n%s", err, out)
		}
		dry := s.applies(wholeDocument, "--dry-run", "--secrets-file", secrets)
		if _, err := os.Stat(secrets); err == nil || s.changed() > 0 {
			t.Fatalf("a dry run left something: %v", err)
		}
		made := s.applies(wholeDocument, "--secrets-file", secrets)
		want := []string{
			`+ create lock holder NO.919424508.east`, `+ create lock holder NO.0123.`, `+ create resource server "https://locks.example"`,
			`+ create integrator "Ærlig & Co"`, `+ create integrator "Other"`,
			`+ create link "Ærlig & Co" NO.919424508.east`, `+ create link "Ærlig & Co" NO.0123.`,
			`+ create scope rule "Ærlig & Co" "tenant:*"`, `+ create scope rule "Ærlig & Co" "reader"`,
			`+ create client "Ærlig & Co" "backend"`, `+ create client "Ærlig & Co" "app"`,
			`+ create key URL "Ærlig & Co" "https://acme.example/ https://acme.example/jwks.json"`, `= 0 unchanged`,
		}
		if !slices.Equal(dry, want) || !slices.Equal(made, append(want, "done: 12")) {
			t.Errorf("planned\n%s\ndone\n%s", strings.Join(dry, "\n"), strings.Join(made, "\n"))
		}
		s.secretsWork(t, secrets)
		events := s.changed()
		if again := s.applies(wholeDocument, "--prune"); !slices.Equal(again, []string{"= 12 unchanged"}) || s.changed() != events {
			t.Errorf("again:\n%s", strings.Join(again, "\n"))
		}
		exported, err := s.runs("", "export")
		if err != nil || strings.Contains(exported, "cbs_") || strings.Contains(exported, "client_secret:") {
			t.Fatalf("%v\n%s", err, exported)
		}
		if again := s.applies(exported, "--prune", "--dry-run"); !slices.Equal(again, []string{"= 12 unchanged"}) {
			t.Errorf("exported:\n%s\nit would do\n%s", exported, strings.Join(again, "\n"))
		}
		if twice, err := s.runs("", "export"); err != nil || twice != exported {
			t.Errorf("exported differently: %v\n%s", err, twice)
		}
		// A server that has nothing becomes the same one.
		empty := startServer(t, storagetest.SQLite(t), nil)
		empty.applies(exported, "--show-secrets")
		if copied, err := empty.runs("", "export"); err != nil || copied != exported {
			t.Errorf("the copy: %v\n%s\nof\n%s", err, copied, exported)
		}
	})
}

// secretsWork asserts that a file holds the secrets that were made.
func (s *server) secretsWork(t *testing.T, file string) {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]string
	if err := yaml.Unmarshal(text, &list); err != nil || len(list) != 2 {
		t.Fatalf("%v\n%s", err, text)
	}
	if list[0]["audience"] != "https://locks.example" || list[1]["client_name"] != "backend" || list[1]["integrator"] != "Ærlig & Co" {
		t.Errorf("%v", list)
	}
	for _, one := range list {
		a := s.post(introspectEndpoint, basic(one["client_id"], one["client_secret"]), map[string][]string{"token": {"x"}})
		if a.status != http.StatusOK {
			t.Errorf("%s: %d %s", one["client_id"], a.status, a.body)
		}
	}
}

// What is to change is changed and nothing else; what the file does not name
// goes with --prune alone, and only in sections that the file has.
func TestApplyChangesAndPrunes(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		s.applies(wholeDocument, "--show-secrets")
		edited := strings.NewReplacer(
			"[NO.919424508.east, NO.0123.]", "[NO.0123.]", "access_token_ttl: 900", "access_token_ttl: 600", "lockHolder.identifier:NO.919424508.east  read", "read all",
			"scope: read}", "scope: all}", `      - {permission: "tenant:*", scope: tenant.$1}`+"\n", "",
			"acme.example/jwks.json", "acme.example/new.json", "  - name: Other\n    status: disabled\n", "", "name: Whole", "name: All",
		).Replace(wholeDocument)
		edited = edited[:strings.Index(edited, "resource_servers:")]
		changes := []string{
			`~ change lock holder NO.0123.: name "Whole" → "All"`,
			`~ change scope rule "Ærlig & Co" "reader": scope "read" → "all"`,
			`~ change client "Ærlig & Co" "backend": scope "lockHolder.identifier:NO.919424508.east read" → "read all", access_token_ttl 900 → 600`,
		}
		create := `+ create key URL "Ærlig & Co" "https://acme.example/ https://acme.example/new.json"`
		deletes := []string{
			`- delete key URL "Ærlig & Co" "https://acme.example/ https://acme.example/jwks.json"`,
			`- delete scope rule "Ærlig & Co" "tenant:*"`, `- delete link "Ærlig & Co" NO.919424508.east`, `- delete integrator "Other"`,
		}
		// The new key URL is on trial as the old one was, of which there may be
		// one: it comes when the old one is gone.
		want := append(append(slices.Clone(changes), create), deletes...)
		got := s.applies(edited, "--prune")
		if !slices.Equal(got, append(want, "= 4 unchanged", "done: 8")) {
			t.Errorf("got\n%s", strings.Join(got, "\n"))
		}
		if again := s.applies(edited, "--prune"); !slices.Equal(again, []string{"= 8 unchanged"}) {
			t.Errorf("again\n%s", strings.Join(again, "\n"))
		}
		exported, err := s.runs("", "export")
		if err != nil || !strings.Contains(exported, "https://locks.example") || strings.Contains(exported, "Other") || !strings.Contains(exported, "scope: read all") {
			t.Errorf("%v\n%s", err, exported)
		}
		if left := s.applies("integrators: []\nlock_holders: []\n"); !slices.Equal(left, []string{"= 0 unchanged"}) {
			t.Errorf("without --prune: %v", left)
		}
		s.applies("integrators: []\nlock_holders: []\nresource_servers:\n", "--prune")
		if exported, err := s.runs("", "export"); err != nil || exported != "{}\n" {
			t.Errorf("%v %s", err, exported)
		}
	})
}

// What the server undoes on the way is done again: a clientless key URL moves
// from one integrator to another, and a client keeps the scope that the file
// gives it although the rule behind it goes.
func TestApplyOfWhatIsInTheWay(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	const keyURL = "\n  key_urls: [{issuer: https://x.example/, url: https://x.example/jwks, clientless: true, audiences: [x]}]"
	s.applies("integrators:\n- name: One" + keyURL + "\n  scope_rules: [{permission: a, scope: a}, {permission: b, scope: b}]\n  clients: [{client_name: c, token_endpoint_auth_method: none, scope: a b}]\n- name: Two\n")
	text := "integrators:\n- name: One\n  key_urls: []\n  scope_rules: [{permission: b, scope: c}]\n  clients: [{client_name: c, token_endpoint_auth_method: none, scope: a b}]\n- name: Two" + keyURL
	if got := s.applies(text, "--prune"); got[len(got)-1] != "done: 4" {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	if again := s.applies(text, "--prune"); !slices.Equal(again, []string{"= 5 unchanged"}) {
		t.Errorf("again: %s", strings.Join(again, "\n"))
	}
	if got := s.applies("integrators:\n- name: One\n  scope_rules: [{permission: z, scope: z}, {permission: b, scope: c}]\n", "--dry-run"); !strings.HasPrefix(got[0], `! the scope rules of "One"`) {
		t.Errorf("another order: %v", got)
	}
}

// An integrator's client does its own, and never deletes itself.
func TestApplyAsAnIntegrator(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, _ := s.newParty("Acme"), s.newParty("Other")
	acme.manage("919424508", "east")
	id, secret := acme.newClient(object{"client_name": "console", "scope": "integrator.admin"})
	run := func(text string, args ...string) (string, error) {
		return s.runsAs(id, secret, text, append([]string{"apply", "-f", "-"}, args...)...)
	}
	exported, err := s.runsAs(id, secret, "", "export")
	if err != nil || strings.Contains(exported, "Other") || !strings.Contains(exported, "NO.919424508.east") {
		t.Fatalf("%v\n%s", err, exported)
	}
	if out, err := run(exported, "--prune"); err != nil || !strings.HasPrefix(out, "= 5 unchanged") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := run("integrators:\n- name: Acme\n  clients:\n  - client_name: new\n    token_endpoint_auth_method: none\n", "--prune")
	if err != nil || !strings.Contains(out, `! kept client "Acme" "console", which signed in`) || !strings.Contains(out, `- delete client "Acme" "backend"`) {
		t.Errorf("%v\n%s", err, out)
	}
	for rule, text := range map[string]string{
		"another integrator": "integrators:\n- name: Third\n",
		"its status":         "integrators:\n- name: Acme\n  status: disabled\n",
		"a scope rule":       "integrators:\n- name: Acme\n  scope_rules: [{permission: a, scope: b}]\n",
		"lock holders":       "lock_holders: []\n",
	} {
		before := s.changed()
		if out, err := run(text); err == nil || !strings.Contains(err.Error(), "operator's") || s.changed() != before {
			t.Errorf("%s: %v\n%s", rule, err, out)
		}
	}
}

// An error in the middle says what was done; the same again does the rest.
func TestApplyGoesOnAfterAnError(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	broken := strings.Replace(wholeDocument, "token_endpoint_auth_method: none", "token_endpoint_auth_method: magic", 1)
	out, err := s.runs(broken, "apply", "-f", "-", "--show-secrets")
	if err == nil || !strings.Contains(err.Error(), `create client "Ærlig & Co" "app": status 422`) ||
		!strings.Contains(out, "done      + create client \"Ærlig & Co\" \"backend\"\nnot done  + create client \"Ærlig & Co\" \"app\"\nnot done  + create key URL") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = s.runs("integrators:\n- name: New\n  clients: [{client_name: a, scope: x x}]\n", "apply", "-f", "-", "--secrets-file", filepath.Join(t.TempDir(), "s"))
	if err == nil || !strings.Contains(out, "not done  + create client") {
		t.Errorf("%v\n%s", err, out)
	}
	if lines := s.applies(wholeDocument); lines[len(lines)-1] != "done: 2" || lines[len(lines)-2] != "= 10 unchanged" {
		t.Errorf("%v", lines)
	}
}

// An answer that is lost on its way is asked for again: everything is made once,
// and no secret is lost with it.
func TestApplyOverALineThatLosesAnswers(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	var lost sync.Map
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(r *http.Response) error {
		if _, again := lost.LoadOrStore(r.Request.URL.String(), true); r.Request.Method == http.MethodPut && !again {
			return errors.New("lost")
		}
		return nil
	}
	times := 0
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
		if times++; times%2 == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusBadGateway)
	}
	line := httptest.NewServer(proxy)
	defer line.Close()
	secrets := filepath.Join(t.TempDir(), "secrets")
	over := &server{t: t, url: line.URL}
	const text = "resource_servers: [{name: Locks, audience: https://locks.example}]\nintegrators: [{name: Ærlig & Co, clients: [{client_name: backend}]}]"
	if lines := over.applies(text, "--secrets-file", secrets); lines[len(lines)-1] != "done: 3" || times != 3 {
		t.Errorf("%d lost\n%v", times, lines)
	}
	s.secretsWork(t, secrets)
	if n := s.changed(); n != 3 {
		t.Errorf("%d changes", n)
	}
}
