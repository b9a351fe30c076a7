package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

var ourRequestID = regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`)

// lines gives the lines of the log that were written for a request.
func (b *logBuffer) lines(t *testing.T, requestID string) (found []map[string]any) {
	t.Helper()
	for scanner := bufio.NewScanner(strings.NewReader(b.String())); scanner.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", scanner.Text(), err)
		}
		if line["request_id"] == requestID {
			found = append(found, line)
		}
	}
	return found
}

// Every answer of every door names its request, and no two the same.
func TestEveryAnswerHasARequestID(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	seen := map[string]string{}
	for name, do := range map[string]func() answer{
		"token":             func() answer { return s.post(tokenEndpoint, basic("x", "y"), url.Values{}) },
		"token by GET":      func() answer { return s.do("GET", tokenEndpoint, "") },
		"preflight":         func() answer { return s.do("OPTIONS", tokenEndpoint, "") },
		"dialect":           func() answer { return s.post(dialectEndpoint, anonymous, url.Values{}) },
		"introspection":     func() answer { return s.introspect("x") },
		"revocation":        func() answer { return s.post(revokeEndpoint, anonymous, url.Values{"token": {"x"}}) },
		"metadata":          func() answer { return s.do("GET", "/.well-known/openid-configuration", "") },
		"keys":              func() answer { return s.do("GET", "/.well-known/jwks.json", "") },
		"admin":             func() answer { return s.admin("GET", "/integrators", nil) },
		"admin, nobody":     func() answer { return s.do("GET", "/admin/v1/integrators", "") },
		"admin, no object":  func() answer { return s.admin("GET", "/integrators/x", nil) },
		"admin, no path":    func() answer { return s.admin("GET", "/nothing", nil) },
		"admin, its method": func() answer { return s.admin("PUT", "/integrators", nil) },
		"OpenAPI":           func() answer { return s.do("GET", "/admin/v1/openapi.yaml", "") },
		"no such path":      func() answer { return s.do("GET", "/nothing", "") },
	} {
		for range 2 {
			ids := do().header.Values(requestIDHeader)
			if len(ids) != 1 || !ourRequestID.MatchString(ids[0]) {
				t.Fatalf("%s: X-Request-Id %q", name, ids)
			}
			if other, taken := seen[ids[0]]; taken {
				t.Errorf("%s has the id of %s", name, other)
			}
			seen[ids[0]] = name
		}
	}
}

// What is logged for a request names it: its own line, and what failed in it.
func TestTheLogNamesTheRequest(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	a := acme.exchange(acme.idp.token(object{"aud": "https://elsewhere.example"})).mustBe(t, http.StatusBadRequest)
	lines := s.log.lines(t, a.header.Get(requestIDHeader))
	if len(lines) != 1 || lines[0]["msg"] != "request" || lines[0]["reason"] != "audience_mismatch" || lines[0]["endpoint"] != "token" ||
		lines[0]["integrator_id"] != acme.id {
		t.Errorf("a refusal is logged as %v", lines)
	}
	if err := s.p.store.Close(); err != nil {
		t.Fatal(err)
	}
	a = s.introspect(s.token).mustBe(t, http.StatusServiceUnavailable)
	if lines := s.log.lines(t, a.header.Get(requestIDHeader)); len(lines) != 2 || lines[0]["msg"] != "request failed" {
		t.Errorf("a failure is logged as %v", lines)
	}
	a = s.admin("GET", "/integrators", nil).mustBe(t, http.StatusServiceUnavailable)
	if lines := s.log.lines(t, a.header.Get(requestIDHeader)); len(lines) != 1 || lines[0]["msg"] != "admin request failed" {
		t.Errorf("a failure of the admin API is logged as %v", lines)
	}
}

// An id that comes along is a trusted proxy's, and of a form that no log and no
// header can misread; or it is ours.
func TestWhoseRequestIDIsTaken(t *testing.T) {
	for _, c := range []struct {
		rule, trusted string
		brought       []string
		taken         bool
	}{
		{"a stranger's", "", []string{"abc"}, false},
		{"of a proxy that others trust", "10.0.0.0/8", []string{"abc"}, false},
		{"a trusted proxy's", "127.0.0.0/8", []string{"Aa0._-"}, true},
		{"of 64 characters", "127.0.0.0/8", []string{strings.Repeat("a", 64)}, true},
		{"of 65 characters", "127.0.0.0/8", []string{strings.Repeat("a", 65)}, false},
		{"empty", "127.0.0.0/8", []string{""}, false},
		{"with a space", "127.0.0.0/8", []string{"a b"}, false},
		{"with a quote", "127.0.0.0/8", []string{`a"b`}, false},
		{"with a letter beyond ASCII", "127.0.0.0/8", []string{"\u00e4"}, false},
		{"two of them", "127.0.0.0/8", []string{"abc", "abd"}, false},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s := startServer(t, storagetest.SQLite(t), map[string]string{"trusted_proxies": c.trusted})
			var brought []option
			for _, id := range c.brought {
				brought = append(brought, header(requestIDHeader, id))
			}
			a := s.post(tokenEndpoint, anonymous, url.Values{}, brought...)
			id := a.header.Get(requestIDHeader)
			if taken := id == c.brought[0]; taken != c.taken || !taken && !ourRequestID.MatchString(id) {
				t.Errorf("brought %q, answered %q", c.brought, id)
			}
			if lines := s.log.lines(t, id); len(lines) != 1 {
				t.Errorf("%d lines have the id of the answer", len(lines))
			}
		})
	}
}

// A page of another origin can read the id where it can read the answer.
func TestRequestIDCanBeReadInABrowser(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	origin := header("Origin", "https://any.example")
	for name, a := range map[string]answer{
		"metadata": s.do("GET", "/.well-known/oauth-authorization-server", "", origin),
		"keys":     s.do("GET", "/.well-known/jwks.json", "", origin),
		"token":    s.post(tokenEndpoint, anonymous, url.Values{}, origin),
	} {
		if exposed := a.header.Get("Access-Control-Expose-Headers"); !strings.Contains(exposed, requestIDHeader) {
			t.Errorf("%s exposes %q", name, exposed)
		}
	}
}
