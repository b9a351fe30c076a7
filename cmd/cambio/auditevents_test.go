package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// Every change says who made it, what was and what is; what changed nothing
// says nothing, and no secret is ever told.
func TestAuditEvents(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		ahead := &clock{}
		s := startServerAt(t, ahead.now, databaseURL, nil)
		acme, bob := s.newParty("Acme"), s.newParty("Bob")
		holder := acme.manage("919424508", "east")
		of := "/integrators/" + acme.id
		console := acme.adminToken("integrator.admin")
		events := func(token string) (list []object) {
			t.Helper()
			for cursor := ""; ; {
				a := s.adminAs(token, "GET", "/audit-events?limit=3&cursor="+cursor, nil).mustBe(t, http.StatusOK)
				for _, item := range a.json["items"].([]any) {
					list = append(list, item.(object))
				}
				if cursor = a.text("next_cursor"); cursor == "" {
					return list
				}
			}
		}
		before := len(events(s.token))
		keyURL := of + "/key-urls/" + acme.keyURL
		s.adminAs(console, "PATCH", keyURL, object{"max_lifetime": 60}).mustBe(t, http.StatusOK)
		s.adminAs(console, "PATCH", keyURL, object{"max_lifetime": 0}).mustBe(t, http.StatusUnprocessableEntity)
		s.admin("POST", keyURL+"/refresh", nil).mustBe(t, http.StatusOK)
		secret := s.admin("POST", of+"/clients/"+acme.clientID+"/secret?overlap=60", nil).mustBe(t, http.StatusCreated).text("client_secret")
		s.admin("DELETE", of+"/lock-holders/"+holder, nil).mustBe(t, http.StatusNoContent)
		s.admin("PUT", of+"/lock-holders/"+holder, nil).mustBe(t, http.StatusNoContent)
		s.admin("POST", of+"/tokens/revoke", object{"subject": "jane"}).mustBe(t, http.StatusNoContent)
		ahead.advance(10 * time.Second) // the next key is published by then
		s.admin("POST", "/signing-keys/rotate", nil).mustBe(t, http.StatusOK)
		rule := acme.rule("a", "b")
		s.admin("DELETE", of+"/scope-rules/"+rule, nil).mustBe(t, http.StatusNoContent)
		s.admin("DELETE", of+"/scope-rules/"+rule, nil).mustBe(t, http.StatusNotFound)
		s.admin("DELETE", "/integrators/"+bob.id, nil).mustBe(t, http.StatusNoContent)

		all := events(s.token)
		var got []string
		for _, e := range all[:len(all)-before] {
			got = append(got, fmt.Sprint(e["action"], " ", e["object"]))
		}
		want := "delete integrators, delete scope-rules, create scope-rules, rotate signing-keys, revoke_tokens integrators, link lock-holders, unlink lock-holders, add_secret clients, refresh key-urls, update key-urls"
		if strings.Join(got, ", ") != want {
			t.Errorf("got %s", strings.Join(got, ", "))
		}
		update := all[len(all)-before-1]
		if update["client_id"] == testOperator || update["integrator_id"] != acme.id || update["object_id"] != acme.keyURL ||
			update["before"].(object)["max_lifetime"] != 86400.0 || update["after"].(object)["max_lifetime"] != 60.0 {
			t.Errorf("update: %v", update)
		}
		if deleted := all[0]; deleted["integrator_id"] != bob.id || deleted["before"].(object)["name"] != "Bob" || deleted["after"] != nil {
			t.Errorf("delete: %v", deleted)
		}
		if created := all[2]; created["object_id"] != rule || created["before"] != nil || created["after"].(object)["scope"] != "b" {
			t.Errorf("create: %v", created)
		}
		text := fmt.Sprint(all)
		if strings.Contains(text, secret) || strings.Contains(text, acme.secret) || strings.Contains(text, "cbs_") {
			t.Error("a secret is in the events")
		}
		for _, e := range events(acme.adminToken("integrator.admin")) { // the other was revoked with the rest
			if e["integrator_id"] != acme.id {
				t.Errorf("another's: %v", e)
			}
		}
		if n := len(events(acme.adminToken("integrator.admin"))); n < 10 {
			t.Errorf("%d events of its own", n)
		}
	})
}

func TestSigningKeysOverHTTP(t *testing.T) {
	ahead := &clock{}
	s := startServerAt(t, ahead.now, storagetest.SQLite(t), nil)
	ahead.advance(10 * time.Second) // the next key is published by then
	states := func(a answer) (list []string) {
		for _, item := range a.mustBe(t, http.StatusOK).json["items"].([]any) {
			list = append(list, fmt.Sprint(item.(object)["kid"], " ", item.(object)["state"]))
		}
		return list
	}
	before := states(s.admin("GET", "/signing-keys", nil))
	after := states(s.admin("POST", "/signing-keys/rotate", nil))
	if len(before) != 2 || len(after) != 3 {
		t.Fatalf("%v, %v", before, after)
	}
	for _, key := range before {
		kid, state, _ := strings.Cut(key, " ")
		want := map[string]string{"active": "retired", "next": "active"}[state]
		if !strings.Contains(strings.Join(after, ","), kid+" "+want) {
			t.Errorf("%s was %s, and now %v", kid, state, after)
		}
	}
	if body := s.admin("GET", "/signing-keys", nil).body; strings.Contains(body, "sealed") || strings.Contains(body, `"d"`) {
		t.Errorf("private halves: %s", body)
	}
	header, _ := decodeToken(t, s.post(tokenEndpoint, basic(testOperator, testOperatorSecret), map[string][]string{"grant_type": {"client_credentials"}}).mustBe(t, http.StatusOK).text("access_token"))
	if !strings.Contains(strings.Join(after, ","), fmt.Sprint(header["kid"], " active")) {
		t.Errorf("%v signs", header["kid"])
	}
}

// What somebody asks for narrows what they may see, and never widens it.
func TestAuditEventsOfOneObject(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, other := s.newParty("Acme"), s.newParty("Other")
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"single_use": true}).mustBe(t, http.StatusOK)
	id, secret := acme.newClient(object{"client_name": "people", "scope": grants.ScopeIntegratorAdmin})
	person := s.post(tokenEndpoint, basic(id, secret), url.Values{"grant_type": {grants.ClientCredentials}}).mustBe(t, http.StatusOK).text("access_token")
	count := func(token, query string) int {
		t.Helper()
		return len(s.adminAs(token, "GET", "/audit-events"+query, nil).mustBe(t, http.StatusOK).json["items"].([]any))
	}
	for _, row := range []struct {
		token, query string
		want         int
	}{
		{s.token, "?object_id=" + acme.keyURL, 2}, {s.token, "?integrator=" + other.id, 3}, {s.token, "?integrator=" + other.id + "&object_id=" + acme.keyURL, 0},
		{person, "?object_id=" + acme.keyURL, 2}, {person, "?object_id=" + other.keyURL, 0}, {person, "?integrator=" + other.id + "&object_id=" + other.keyURL, 0},
		{person, "?integrator=" + other.id, count(person, "")},
	} {
		if got := count(row.token, row.query); got != row.want {
			t.Errorf("%s: %d events, want %d", row.query, got, row.want)
		}
	}
	s.admin("GET", "/audit-events?object_id=%00", nil).mustBeProblem(t, http.StatusBadRequest, "invalid_search")
}
