package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	east = "lockHolder.identifier:NO.919424508.east"
	west = "lockHolder.identifier:NO.919424508.west"

	subjectAudience = "https://cambio.test"
	api             = "https://api.test" // the resource server's audience
	otherAPI        = "https://other.test"
)

// stage is one running Cambio with all that other people's clients need.
type stage struct {
	*cambio
	integrator string
	idp        *provider
	subject    string // a token of idp, good for east and west
	id, secret string // a client of the integrator
	api        object // a resource server
}

// as is the same Cambio for another test to fail on.
func (s *stage) as(t *testing.T) *stage {
	c, mine := *s.cambio, *s
	c.t, mine.cambio = t, &c
	return &mine
}

func newStage(t *testing.T) *stage {
	s := &stage{cambio: serve(t, "CAMBIO_SUBJECT_AUDIENCES="+subjectAudience, "CAMBIO_DEFAULT_AUDIENCE="+api)}
	s.integrator = s.admin("POST", "/integrators", object{"name": "Acme"}, 201)["id"].(string)
	for _, suffix := range []string{"east", "west"} {
		holder := s.admin("POST", "/lock-holders", object{
			"name": suffix, "country_iso": "NO", "organization_id": "919424508", "organization_id_suffix": suffix,
		}, 201)
		s.admin("PUT", "/integrators/"+s.integrator+"/lock-holders/"+holder["id"].(string), nil, 204)
	}
	s.idp = startProvider(t, subjectAudience, east, west)
	s.trust(object{"issuer": s.idp.Issuer, "url": s.idp.JWKSURI, "clientless": true})
	s.subject = s.idp.mint(t)
	s.id, s.secret = s.client(object{"client_name": "backend"})
	s.api = s.admin("POST", "/resource-servers", object{"name": "API", "audience": api}, 201)
	s.admin("POST", "/resource-servers", object{"name": "other API", "audience": otherAPI}, 201)
	return s
}

func (s *stage) trust(keyURL object) (id string) {
	s.t.Helper()
	return s.admin("POST", "/integrators/"+s.integrator+"/key-urls", keyURL, 201)["id"].(string)
}

// client makes a client; the scope is for its client credentials.
func (s *stage) client(members object) (id, secret string) {
	s.t.Helper()
	members["scope"] = east + " " + west
	client := s.admin("POST", "/integrators/"+s.integrator+"/clients", members, 201)
	secret, _ = client["client_secret"].(string)
	return client["client_id"].(string), secret
}

// exchange gets a token that no library had a hand in.
func (s *stage) exchange(scope, audience string) string {
	s.t.Helper()
	return s.form("/oauth2/token", s.id, s.secret, url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token":      {s.subject},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		"scope":              {scope},
		"audience":           {audience},
	}, http.StatusOK)["access_token"].(string)
}

// introspect asks for the resource server.
func (s *stage) introspect(token string) object {
	s.t.Helper()
	return s.form("/oauth2/introspect", s.api["client_id"].(string), s.api["client_secret"].(string), url.Values{"token": {token}}, http.StatusOK)
}

// alter changes who a token is about and keeps its signature.
func alter(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims object
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	claims["sub"] = "somebody else"
	if payload, err = json.Marshal(claims); err != nil {
		t.Fatal(err)
	}
	parts[1] = base64.RawURLEncoding.EncodeToString(payload)
	return strings.Join(parts, ".")
}

// goClients builds the module of other people's Go libraries, once.
var goClients = sync.OnceValues(func() (string, error) {
	program := filepath.Join(filepath.Dir(binary), "clients")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "clients"
	build.Stderr = os.Stderr
	return program, build.Run()
})

// program is one of other people's: a script of interop/, or a name of clients/.
func program(ctx context.Context, t *testing.T, name string) *exec.Cmd {
	t.Helper()
	if strings.HasSuffix(name, ".mjs") {
		return node(ctx, t, name)
	}
	built, err := goClients()
	if err != nil {
		t.Fatalf("e2e/clients does not build: %v", err)
	}
	return exec.CommandContext(ctx, built, name)
}

func environment(variables ...string) []string {
	// A proxy of the machine is none for loopback.
	return append(append(os.Environ(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1"), variables...)
}

// answers runs a program and gives its line for each token.
func answers(t *testing.T, name string, environ []string, tokens ...string) []object {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := program(ctx, t, name)
	command.WaitDelay = time.Second
	command.Env = environment(environ...)
	command.Stdin = strings.NewReader(strings.Join(tokens, "\n") + "\n")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, stderr.String())
	}
	lines := json.NewDecoder(&stdout)
	list := make([]object, len(tokens))
	for i := range list {
		if err := lines.Decode(&list[i]); err != nil {
			t.Fatalf("%s, line %d: %v: %s", name, i+1, err, stderr.String())
		}
	}
	return list
}

// startProgram runs a program that says where it is and serves until the test
// is over.
func startProgram(t *testing.T, name string, said any, environ ...string) {
	t.Helper()
	// It ends with its standard input and so can take its own children along.
	command := program(context.WithoutCancel(t.Context()), t, name)
	command.WaitDelay = 10 * time.Second
	command.Env = environment(environ...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = command.Wait()
	})
	if err := json.NewDecoder(stdout).Decode(said); err != nil {
		_ = stdin.Close()
		_ = command.Wait()
		t.Fatalf("%s did not start: %v: %s", name, err, stderr.String())
	}
}

// refusedWith demands that the error which a library gave its caller says all
// of this.
func refusedWith(t *testing.T, answer object, words ...string) {
	t.Helper()
	if answer["error"] == nil {
		t.Errorf("accepted: %v", answer)
		return
	}
	data, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range words {
		if !strings.Contains(string(data), word) {
			t.Errorf("the caller is not told %q: %s", word, data)
		}
	}
}

// Clients, resource servers and identity providers that other people wrote, each
// as its users use it, beside one `cambio serve`.
func TestOtherPeoplesPrograms(t *testing.T) {
	s := newStage(t)
	t.Run("at once", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *stage){
			"identity providers":   testIdentityProviders,
			"clients with secrets": testExchangeClients,
			"clients with keys":    testKeyClients,
			"resource servers":     testResourceServers,
			"nginx":                testNginx,
			"browser":              testBrowser,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, s.as(t))
			})
		}
	})
	s.stop()
}
