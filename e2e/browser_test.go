package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"testing"
)

func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no Chromium for the interop tests: install it (Debian: apt-get install chromium), or run `make interop`")
	return ""
}

// Pages of two origins, of which one client lists one, in a real browser.
func testBrowser(t *testing.T, s *stage) {
	browser := chromium(t)
	html := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>an application</title>"))
	})
	listed, other := httptest.NewServer(html), httptest.NewServer(html)
	t.Cleanup(listed.Close)
	t.Cleanup(other.Close)
	origins := []string{listed.URL}
	public, _ := s.client(object{"client_name": "page", "token_endpoint_auth_method": "none", "allowed_origins": origins})
	id, secret := s.client(object{"client_name": "page with a secret", "allowed_origins": origins})

	exchange := func(subjectToken, clientID string) string {
		form := url.Values{
			"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
			"subject_token":      {subjectToken},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
			"scope":              {east},
		}
		if clientID != "" {
			form.Set("client_id", clientID)
		}
		return form.Encode()
	}
	form := object{"Content-Type": "application/x-www-form-urlencoded"}
	// Basic makes the browser ask first, by a preflight.
	basic := func(secret string) object {
		return object{"Content-Type": form["Content-Type"], "Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}
	}
	bad := alter(t, s.subject)
	guide, err := json.Marshal(object{"grant": "token_exchange", "subjectToken": s.subject, "scope": []string{east}})
	if err != nil {
		t.Fatal(err)
	}

	const unreadable = 0 // the browser keeps the answer from the page
	cases := []struct {
		name, page, method, path string
		headers                  object
		body                     string
		credentials              string
		status                   int
	}{
		{"without a client, from anywhere", other.URL, "POST", "/oauth2/token", form, exchange(s.subject, ""), "omit", 200},
		{"without a client, refused", other.URL, "POST", "/oauth2/token", form, exchange(bad, ""), "omit", 400},
		{"without a client, with cookies", other.URL, "POST", "/oauth2/token", form, exchange(s.subject, ""), "include", unreadable},
		{"a public client", listed.URL, "POST", "/oauth2/token", form, exchange(s.subject, public), "omit", 200},
		{"a public client, refused", listed.URL, "POST", "/oauth2/token", form, exchange(bad, public), "omit", 400},
		{"a public client, with cookies", listed.URL, "POST", "/oauth2/token", form, exchange(s.subject, public), "include", unreadable},
		{"a public client, from another page", other.URL, "POST", "/oauth2/token", form, exchange(s.subject, public), "omit", unreadable},
		{"Basic", listed.URL, "POST", "/oauth2/token", basic(secret), exchange(s.subject, ""), "omit", 200},
		{"Basic, refused", listed.URL, "POST", "/oauth2/token", basic(secret), exchange(bad, ""), "omit", 400},
		{"Basic, a wrong secret", listed.URL, "POST", "/oauth2/token", basic("wrong"), exchange(s.subject, ""), "omit", 401},
		{"Basic, from another page", other.URL, "POST", "/oauth2/token", basic(secret), exchange(s.subject, ""), "omit", unreadable},
		{"the guide's JSON", other.URL, "POST", "/auth/v1/token", object{"Content-Type": "application/json"}, string(guide), "omit", 200},
		{"revocation", listed.URL, "POST", "/oauth2/revoke", form, url.Values{"token": {"unknown"}, "client_id": {public}}.Encode(), "omit", 200},
		{"metadata", other.URL, "GET", "/.well-known/oauth-authorization-server", nil, "", "omit", 200},
		{"keys", other.URL, "GET", "/.well-known/jwks.json", nil, "", "omit", 200},
		{"introspection is no page's", listed.URL, "POST", "/oauth2/introspect", basic(secret), "token=unknown", "omit", unreadable},
		{"nor is the admin API", listed.URL, "GET", "/admin/v1/integrators", object{"Authorization": "Bearer " + s.token}, "", "omit", unreadable},
	}
	requests := make([]string, len(cases))
	for i, c := range cases {
		init := object{"method": c.method, "credentials": c.credentials}
		if c.headers != nil {
			init["headers"] = c.headers
		}
		if c.body != "" {
			init["body"] = c.body
		}
		line, err := json.Marshal(object{"page": c.page, "url": s.url + c.path, "init": init})
		if err != nil {
			t.Fatal(err)
		}
		requests[i] = string(line)
	}
	for i, got := range answers(t, "chromium.mjs", []string{"CHROMIUM=" + browser}, requests...) {
		c := cases[i]
		if c.status == unreadable {
			if got["error"] != "TypeError: Failed to fetch" {
				t.Errorf("%s: the page reads %v", c.name, got)
			}
			continue
		}
		if got["status"] != float64(c.status) {
			t.Errorf("%s: the page reads %v, want status %d", c.name, got, c.status)
			continue
		}
		body, _ := got["body"].(object)
		if want := map[int]any{400: "invalid_request", 401: "invalid_client"}[c.status]; body["error"] != want {
			t.Errorf("%s: the page reads %v", c.name, body)
		}
		if token, ok := body["access_token"].(string); ok {
			if about := s.introspect(token); about["active"] != true || about["scope"] != east {
				t.Errorf("%s: introspection %v", c.name, about)
			}
		}
	}
}
