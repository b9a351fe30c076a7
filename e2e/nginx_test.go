package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nginx before an API that knows nothing of tokens.
func testNginx(t *testing.T, s *stage) {
	reached := make(chan http.Header, 1)
	behind := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.Header }))
	t.Cleanup(behind.Close)
	gateway := s.startNginx(behind.URL)

	good := s.exchange(east, api)
	for name, request := range map[string]struct {
		token     string
		status    int
		challenge string
	}{
		"a token for it":        {good, 200, ""},
		"none":                  {"", 401, "Bearer"},
		"another API's":         {s.exchange(east, otherAPI), 401, `Bearer error="invalid_token"`},
		"one that was changed":  {alter(t, good), 401, `Bearer error="invalid_token"`},
		"the provider's own":    {s.subject, 401, `Bearer error="invalid_token"`},
		"one without the scope": {s.exchange(west, api), 403, `Bearer error="insufficient_scope"`},
	} {
		response := gateway(request.token)
		if response.StatusCode != request.status || response.Header.Get("WWW-Authenticate") != request.challenge {
			t.Errorf("%s: %s, %v", name, response.Status, response.Header)
		}
		select {
		case header := <-reached:
			if request.status != 200 || header.Get("Token-Scope") != east || header.Get("Token-Subject") != s.idp.Issuer+"#auth0|5934aafe4e52d93452b1c90" {
				t.Errorf("%s reached the API: %v", name, header)
			}
		default:
			if request.status == 200 {
				t.Errorf("%s did not reach the API", name)
			}
		}
	}

	s.form("/oauth2/revoke", s.id, s.secret, url.Values{"token": {good}}, 200)
	if response := gateway(good); response.StatusCode != 401 {
		t.Errorf("a revoked token: %s", response.Status)
	}
}

// startNginx gives what asks it for something with a token.
func (s *stage) startNginx(behind string) func(token string) *http.Response {
	s.t.Helper()
	const install = "install it (Debian: apt-get install nginx-light libnginx-mod-http-js), or run `make interop`"
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx" // not in every user's PATH
	}
	modules := "/usr/lib/nginx/modules"
	if _, err := os.Stat(program); err != nil {
		s.t.Fatal("no nginx for the interop tests: " + install)
	}
	if _, err := os.Stat(modules + "/ngx_http_js_module.so"); err != nil {
		s.t.Fatal("no njs for nginx in " + modules + ": " + install)
	}

	folder, err := os.MkdirTemp("", "cambio-nginx-") // a socket's path must be short
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = os.RemoveAll(folder) })
	scripts, err := filepath.Abs("interop/nginx")
	if err != nil {
		s.t.Fatal(err)
	}
	config, err := os.ReadFile("interop/nginx/nginx.conf")
	if err != nil {
		s.t.Fatal(err)
	}
	socket := filepath.Join(folder, "socket")
	filled := strings.NewReplacer("{MODULES}", modules, "{SCRIPTS}", scripts, "{SOCKET}", socket, "{API}", behind, "{SCOPE}", east, "{ISSUER}", s.url,
		"{CREDENTIALS}", base64.StdEncoding.EncodeToString([]byte(s.api["client_id"].(string)+":"+s.api["client_secret"].(string)))).Replace(string(config))
	if err := os.WriteFile(filepath.Join(folder, "nginx.conf"), []byte(filled), 0o600); err != nil {
		s.t.Fatal(err)
	}

	var stderr bytes.Buffer
	command := exec.Command(program, "-p", folder, "-c", "nginx.conf", "-e", "stderr")
	command.Stderr = &stderr
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if s.t.Failed() {
			s.t.Log(stderr.String())
		}
	})

	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	s.t.Cleanup(transport.CloseIdleConnections)
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if connection, err := net.Dial("unix", socket); err == nil {
			_ = connection.Close()
			break
		} else if time.Now().After(until) {
			s.t.Fatalf("nginx did not start: %v", err)
		}
	}
	return func(token string) *http.Response {
		request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://api/", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		request.Header.Set("Token-Scope", "whatever the caller likes")
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			s.t.Fatal(err)
		}
		_ = response.Body.Close()
		return response
	}
}
