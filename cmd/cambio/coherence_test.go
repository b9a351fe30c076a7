package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Each change is known to each of three replicas within two seconds: NOTIFY
// says so at once, and who does not hear it looks every second.
func TestThreeReplicasHearOfEveryChange(t *testing.T) {
	f := newFleet(t)
	replicas := []*server{f.first, f.second, f.third()}
	first := f.first
	path := "/integrators/" + f.acme.id
	keyURL := path + "/key-urls/" + f.acme.keyURL
	holder := f.acme.lockHolder()
	rule := f.acme.rule("read:*", "$1.read")
	client, secret := f.acme.newClient(object{"client_name": "second"})
	idp := f.idp
	second := jose.JSONWebKey{Key: &newTestIDP(t, first.url).key.PublicKey, KeyID: "key-2", Algorithm: "RS256", Use: "sig"}
	exchange := func(s *server, permissions ...string) answer {
		return s.post(tokenEndpoint, f.acme.authenticated(), exchangeForm(idp.token(object{"permissions": permissions})))
	}
	granted := func(want bool, permission string) func(*server) bool {
		return func(s *server) bool { return (exchange(s, permission).status == http.StatusOK) == want }
	}
	patch := func(path string, members object) func() {
		return func() { first.admin("PATCH", path, members).mustBe(t, http.StatusOK) }
	}
	steps := []struct {
		change string
		do     func()
		known  func(s *server) bool
	}{
		{"a lock holder is unlinked", func() { first.admin("DELETE", path+"/lock-holders/"+holder, nil).mustBe(t, http.StatusNoContent) }, granted(false, lockScope)},
		{"a lock holder is linked", func() { first.admin("PUT", path+"/lock-holders/"+holder, nil).mustBe(t, http.StatusNoContent) }, granted(true, lockScope)},
		{"a scope rule is another", patch(path+"/scope-rules/"+rule, object{"scope": "$1.other"}), func(s *server) bool { return exchange(s, "read:orders").text("scope") == "orders.other" }},
		{"a condition is set", patch(keyURL, object{"condition": "has(claims.tid)"}), granted(false, lockScope)},
		{"a condition is taken away", patch(keyURL, object{"condition": nil}), granted(true, lockScope)},
		{"a secret ends", func() { first.admin("POST", path+"/clients/"+client+"/secret", nil).mustBe(t, http.StatusCreated) }, func(s *server) bool {
			return s.post(tokenEndpoint, basic(client, secret), exchangeForm(idp.token(nil))).status == http.StatusUnauthorized
		}},
		{"keys are refreshed", func() {
			idp.publishKeys(second)
			first.admin("POST", keyURL+"/refresh", nil).mustBe(t, http.StatusOK)
		}, granted(false, lockScope)},
		{"a key URL is disabled", patch(keyURL, object{"status": "disabled"}), func(s *server) bool { return exchange(s, lockScope).text("reason") == "issuer_unknown" }},
		{"an integrator is disabled", patch(path, object{"status": "disabled"}), func(s *server) bool { return exchange(s, lockScope).text("reason") == "integrator_disabled" }},
		{"an integrator is deleted", func() { first.admin("DELETE", path, nil).mustBe(t, http.StatusNoContent) }, func(s *server) bool { return exchange(s, lockScope).status == http.StatusUnauthorized }},
	}
	for _, s := range replicas {
		exchange(s, lockScope).mustBe(t, http.StatusOK)
	}
	for _, step := range steps {
		t.Run(step.change, func(t *testing.T) {
			step.do()
			began := time.Now()
			var took []string
			for _, s := range replicas {
				eventually(t, step.change, func() bool { return step.known(s) })
				took = append(took, time.Since(began).Round(time.Millisecond).String())
			}
			t.Log(strings.Join(took, " "))
			if late := time.Since(began); late > 5*time.Second {
				t.Errorf("the last replica knew after %s", late)
			}
		})
	}
	// A revocation is known at the next introspection, everywhere.
	form := url.Values{"grant_type": {"client_credentials"}}
	token := first.post(tokenEndpoint, basic(testOperator, testOperatorSecret), form).mustBe(t, http.StatusOK).text("access_token")
	first.post(revokeEndpoint, basic(testOperator, testOperatorSecret), url.Values{"token": {token}}).mustBe(t, http.StatusOK)
	for n, s := range slices.Backward(replicas) {
		if a := s.introspect(token).mustBe(t, http.StatusOK); a.body != `{"active":false}` {
			t.Error(fmt.Sprint("replica ", n, ": ", a.body))
		}
	}
}
