package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// Every statement of every endpoint is lost once on its way to the database,
// and once on its way back. The answer is what it would have been, or 503: no
// good credential is wrong for it, no live token inactive, and nothing is half
// done.
func TestEveryStatementFailing(t *testing.T) {
	target, err := url.Parse(storagetest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, target.Host)
	target.Host = w.listener.Addr().String()
	s := startServer(t, target.String(), nil)
	s.document = nil // 503 is documented; which of them come here is not the point
	acme := s.newParty("Acme")
	holder := acme.manage("919424508", "east")
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"single_use": true}).mustBe(t, http.StatusOK)
	of := "/integrators/" + acme.id
	jti, servers := 0, 0
	fresh := func() string { jti++; return acme.idp.token(object{"jti": fmt.Sprint(jti)}) }
	live := acme.exchange(fresh()).mustBe(t, http.StatusOK).text("access_token")
	var issued []string // to be revoked
	revoked := ""
	for range 20 {
		issued = append(issued, acme.exchange(fresh()).mustBe(t, http.StatusOK).text("access_token"))
	}
	client := url.Values{"grant_type": {grants.ClientCredentials}, "scope": {"admin"}}
	dialect, err := json.Marshal(object{"grant": "token_exchange", "subjectToken": "x"})
	if err != nil {
		t.Fatal(err)
	}
	requests := []struct {
		name string
		send func() answer
		good int
	}{
		{"exchange", func() answer { return acme.exchange(fresh()) }, 200},
		{"client credentials", func() answer { return s.post(tokenEndpoint, basic(testOperator, testOperatorSecret), client) }, 200},
		{"the dialect", func() answer {
			return s.do("POST", dialectEndpoint, strings.Replace(string(dialect), `"x"`, `"`+fresh()+`"`, 1), acme.authenticated(), header("Content-Type", "application/json"))
		}, 200},
		{"introspection", func() answer { return s.introspect(live) }, 200},
		{"revocation", func() answer {
			revoked, issued = issued[0], issued[1:]
			return s.post(revokeEndpoint, acme.authenticated(), url.Values{"token": {revoked}})
		}, 200},
		{"a list", func() answer { return s.admin("GET", of+"/key-urls", nil) }, 200},
		{"the record", func() answer { return s.admin("GET", of+"/exchanges?limit=1", nil) }, 200},
		{"a change", func() answer { return s.admin("PATCH", of, object{"name": "Acme"}) }, 200},
		{"a new object", func() answer { return s.admin("POST", of+"/clients", object{"client_name": "new"}) }, 201},
		{"a new object, once", func() answer {
			// Again and again with one key until it is answered: if it had
			// happened and was not kept, the next would be a conflict.
			a := s.keyed(fmt.Sprint(servers), "/resource-servers", fmt.Sprintf(`{"name":"x","audience":"https://%d.example"}`, servers))
			if a.status == http.StatusCreated {
				servers++
			}
			return a
		}, 201},
		{"a link", func() answer { return s.admin("PUT", of+"/lock-holders/"+holder, nil) }, 204},
		{"explain", func() answer { return acme.explain(object{"subject_token": fresh()}) }, 200},
	}
	for _, r := range requests {
		t.Run(r.name, func(t *testing.T) {
			before, refused := w.happened.Load(), 0
			for n := int64(1); n <= 8; n++ {
				for _, when := range []interface{ Store(int64) }{&w.cut, &w.muteAt} {
					when.Store(n)
					a := r.send()
					when.Store(0)
					if a.status == http.StatusServiceUnavailable {
						refused++
					}
					if a.status != r.good && a.status != http.StatusServiceUnavailable || strings.Contains(a.body, `"active":false`) {
						t.Errorf("message %d: %d %s", n, a.status, a.body)
					}
					eventually(t, "the database is back", func() bool { return s.introspect(live).status == http.StatusOK })
					s.mustBeActive(live, true)
					if revoked != "" && a.status == http.StatusOK {
						s.mustBeActive(revoked, false)
					}
				}
			}
			if w.happened.Load() == before || refused == 0 {
				t.Errorf("%d messages were lost, and %d requests refused: this proves nothing", w.happened.Load()-before, refused)
			}
			revoked = ""
			if a := r.send(); a.status != r.good {
				t.Errorf("afterwards: %d %s", a.status, a.body)
			}
		})
	}
}
