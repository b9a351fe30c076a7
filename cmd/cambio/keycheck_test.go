package main

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

func TestCheckOfAKeyURL(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	path := "/integrators/" + acme.id + "/key-urls/check"
	check := func(body object) object {
		t.Helper()
		return s.admin("POST", path, body).mustBe(t, http.StatusOK).json
	}
	good := check(object{"url": acme.idp.url("/jwks.json")})
	key := good["keys"].([]any)[0].(object)
	if good["ok"] != true || good["format"] != "jwks" || key["kid"] != "key-1" || key["status"] != "usable" || key["first_seen_at"] != nil || good["failure"] != nil {
		t.Errorf("got %v", good)
	}
	if pem := check(object{"url": acme.idp.url("/certificate.pem"), "format": "pem"}); pem["ok"] != true || pem["format"] != "pem" {
		t.Errorf("got %v", pem)
	}
	for want, document := range map[string]string{
		"content":            "<html>sign in, secret-of-the-page</html>",
		"discovery_document": `{"issuer":"https://idp.example/","jwks_uri":"https://idp.example/keys","note":"secret-of-the-page"}`,
		"private_key":        `{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"secret-of-the-page"}]}`,
	} {
		acme.idp.publish.Store(document)
		a := s.admin("POST", path, object{"url": acme.idp.url("/jwks.json")}).mustBe(t, http.StatusOK)
		if a.json["ok"] != false || a.json["failure"].(object)["code"] != want || a.json["failure"].(object)["detail"] == "" {
			t.Errorf("%s: got %s", want, a.body)
		}
		if (a.json["jwks_uri"] == "https://idp.example/keys") != (want == "discovery_document") {
			t.Errorf("%s: jwks_uri is %v", want, a.json["jwks_uri"])
		}
		if strings.Contains(a.body, "secret-of-the-page") { // SSRF-11
			t.Errorf("%s: the document is in the answer: %s", want, a.body)
		}
	}
	acme.idp.publish.Store(`{"issuer":"x","jwks_uri":"javascript:alert(1)"}`)
	if a := check(object{"url": acme.idp.url("/jwks.json")}); a["jwks_uri"] != nil {
		t.Errorf("got %v", a)
	}
	acme.idp.publish.Store(`{"keys":[]}`)
	if a := check(object{"url": acme.idp.url("/jwks.json")}); a["ok"] != false || a["failure"] != nil || len(a["warnings"].([]any)) == 0 {
		t.Errorf("an empty key set: %v", a)
	}
	if list := s.admin("GET", "/integrators/"+acme.id+"/key-urls", nil).json["items"].([]any); len(list) != 1 || list[0].(object)["health"].(object)["status"] != "unknown" {
		t.Errorf("a check saved something: %v", list)
	}
}

func TestWhatACheckTakes(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	path := "/integrators/" + acme.id + "/key-urls/check"
	for pointer, body := range map[string]object{
		"/url":        {"url": "http://10.0.0.1/"},
		"/issuer":     {"url": acme.idp.url("/jwks.json"), "issuer": s.url},
		"/format":     {"url": acme.idp.url("/jwks.json"), "format": "xml"},
		"/algorithms": {"url": acme.idp.url("/jwks.json"), "algorithms": []string{"HS256"}},
		"/nmae":       {"url": acme.idp.url("/jwks.json"), "nmae": "x"},
	} {
		a := s.admin("POST", path, body).mustBeProblem(t, http.StatusUnprocessableEntity, "invalid")
		if faults := a.json["errors"].([]any); len(faults) != 1 || faults[0].(object)["pointer"] != pointer {
			t.Errorf("%s: got %s", pointer, a.body)
		}
	}
	s.admin("POST", path, object{}).mustBeProblem(t, http.StatusUnprocessableEntity, "invalid")
	if n := acme.idp.fetches.Load(); n != 0 {
		t.Errorf("%d fetches for what was refused", n)
	}
	s.admin("GET", path, nil).mustBeProblem(t, http.StatusMethodNotAllowed, "method_not_allowed")
}

// SSRF-12: an integrator tries its own key URLs, a few times a minute, and
// nobody else's.
func TestChecksAreLimited(t *testing.T) {
	clock := &clock{}
	s := startServerAt(t, clock.now, storagetest.SQLite(t), nil)
	acme, other := s.newParty("Acme"), s.newParty("Other")
	mine := acme.adminToken("integrator.admin")
	refresh := "/integrators/me/key-urls/" + acme.keyURL + "/refresh"
	for range 6 {
		s.adminAs(mine, "POST", refresh, nil).mustBe(t, http.StatusOK)
	}
	for path, body := range map[string]any{refresh: nil, "/integrators/me/key-urls/check": object{"url": "https://idp.example/jwks.json"}} {
		a := s.adminAs(mine, "POST", path, body).mustBeProblem(t, http.StatusTooManyRequests, "too_many_requests")
		if wait, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || wait < 1 || wait > 60 || !strings.Contains(a.text("detail"), "6 a minute") {
			t.Errorf("Retry-After %q: %s", a.header.Get("Retry-After"), a.body)
		}
	}
	if n := acme.idp.fetches.Load(); n != 6 {
		t.Errorf("%d fetches", n)
	}
	s.admin("POST", "/integrators/"+acme.id+"/key-urls/check", object{"url": acme.idp.url("/jwks.json")}).mustBe(t, http.StatusOK) // the operator's own
	theirs := other.adminToken("integrator.admin")
	s.adminAs(theirs, "POST", "/integrators/me/key-urls/"+other.keyURL+"/refresh", object{"force": true}).mustBeProblem(t, http.StatusBadRequest, "malformed")
	s.adminAs(theirs, "POST", "/integrators/me/key-urls/"+other.keyURL+"/refresh", nil).mustBe(t, http.StatusOK)
	for _, path := range []string{"/integrators/" + acme.id + "/key-urls/check", refresh} {
		s.adminAs(theirs, "POST", path, object{"url": "https://idp.example/"}).mustBeProblem(t, http.StatusNotFound, "not_found")
	}
	s.admin("POST", "/integrators/nobody/key-urls/check", object{"url": "https://idp.example/"}).mustBeProblem(t, http.StatusNotFound, "not_found")
	clock.advance(10 * time.Second)
	s.adminAs(mine, "POST", refresh, nil).mustBe(t, http.StatusOK)
}

// SSRF-14: networks that the operator allows are for key URLs that an operator
// registers. What is there already may be kept and refreshed.
func TestAllowedNetworksAreTheOperators(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	mine := acme.adminToken("integrator.admin")
	private := acme.idp.url("/spki.pem")
	for path, body := range map[string]object{
		"/integrators/me/key-urls":       {"issuer": "https://new.example/", "url": private},
		"/integrators/me/key-urls/check": {"url": private},
		"/integrators/me/clients":        {"client_name": "x", "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": private},
	} {
		s.adminAs(mine, "POST", path, body).mustBeProblem(t, http.StatusUnprocessableEntity, "invalid")
	}
	path := "/integrators/me/key-urls/" + acme.keyURL
	s.adminAs(mine, "PATCH", path, object{"url": private}).mustBeProblem(t, http.StatusUnprocessableEntity, "invalid")
	if n := acme.idp.fetches.Load(); n != 0 {
		t.Errorf("%d fetches", n)
	}
	s.adminAs(mine, "PATCH", path, object{"max_lifetime": 3600}).mustBe(t, http.StatusOK)
	s.adminAs(mine, "POST", path+"/refresh", nil).mustBe(t, http.StatusOK)
}

// SSRF-01 to -04, -09, -14, -16: what may not be fetched cannot be registered,
// nor come in by an edit, and nothing is fetched to find out.
func TestKeyURLsThatCannotBeRegistered(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	mine := acme.adminToken("integrator.admin")
	for _, url := range []string{
		"", "/jwks.json", "//idp.example/", "https:idp.example", "https:///x", "file:///etc/passwd", "gopher://idp.example/", "ftp://idp.example/",
		"data:application/json,{}", "javascript:alert(1)", "jar:https://idp.example/!/", "unix:/run/x.sock",
		"https://user:password@idp.example/", "https://good@evil.example/", `https://good\@evil.example/`, "https://idp.example/#keys",
		"https://idp.example/a b", "https://idp.example/\r\nHost: x", "https://idp.example/" + strings.Repeat("a", 2049),
		"http://10.0.0.1/", "https://10.1.2.3/", "https://169.254.169.254/latest", "https://168.63.129.16/", "https://100.64.0.1/", "https://0.0.0.0/",
		"https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://[fd00:ec2::254]/", "https://[64:ff9b::a9fe:a9fe]/", "https://[2002:a00:1::]/", "https://[fe80::1%25lo]/",
		"https://0x7f.1/", "https://2130706433/", "https://idp.example:0/", "https://idp.example:65536/",
		s.url + "/.well-known/jwks.json", strings.ToUpper(s.url[:4]) + s.url[4:] + "/keys?x", "https" + s.url[4:] + "/",
	} {
		for method, path := range map[string]string{"POST": "/integrators/me/key-urls", "PATCH": "/integrators/me/key-urls/" + acme.keyURL} {
			body := object{"url": url}
			if method == "POST" {
				body["issuer"] = "https://new.example/"
			}
			a := s.adminAs(mine, method, path, body).mustBeProblem(t, http.StatusUnprocessableEntity, "invalid")
			if faults := a.json["errors"].([]any); faults[0].(object)["pointer"] != "/url" {
				t.Errorf("%s %q: got %s", method, url, a.body)
			}
		}
	}
	if n := acme.idp.fetches.Load(); n != 0 {
		t.Errorf("%d fetches", n)
	}
	acme.exchange(acme.idp.token(nil)).mustRefuse(t, http.StatusBadRequest, "invalid_scope", "") // the key URL is as it was
}
