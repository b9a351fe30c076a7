package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// wanted is an object as a program wants it to be.
type wanted struct {
	collection string
	key        url.Values
	body       object // with all that is needed
	other      object // of the same key
	byDefault  string // a member of body that a second PUT leaves out, if there is one
	secret     bool
}

func wants(integrator string) map[string]wanted {
	of := "/integrators/" + integrator
	return map[string]wanted{
		"an integrator": {"/integrators", url.Values{"name": {"Ærlig & Co + %"}}, object{"status": "disabled"}, object{"status": "active"}, "status", false},
		"a key URL": {of + "/key-urls", url.Values{"issuer": {"https://put.example/?a=b"}, "url": {"https://put.example/jwks?x=y&z"}},
			object{"max_lifetime": 60}, object{"max_lifetime": 61}, "max_lifetime", false},
		"a client":     {of + "/clients", url.Values{"client_name": {"put"}}, object{"scope": "integrator.admin"}, object{"scope": nil}, "scope", true},
		"a scope rule": {of + "/scope-rules", url.Values{"permission": {"put:*"}}, object{"scope": "put.$1"}, object{"scope": "x"}, "", false},
		"a lock holder": {"/lock-holders", url.Values{"country_iso": {"NO"}, "organization_id": {"put-1"}, "organization_id_suffix": {""}},
			object{"name": "a"}, object{"name": "b"}, "", false},
		"a resource server": {"/resource-servers", url.Values{"audience": {"https://put.example"}}, object{"name": "a"}, object{"name": "b"}, "", true},
	}
}

// put sends one as the operator.
func (s *server) put(c wanted, body object, options ...option) answer {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	options = append(options, header("Authorization", "Bearer "+s.token), header("Content-Type", "application/json"))
	return s.do("PUT", "/admin/v1"+c.collection+"?"+c.key.Encode(), string(text), options...)
}

// PUT by natural key creates, changes or leaves alone, as what is there needs.
func TestPutByNaturalKey(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		for name, c := range wants(acme.id) {
			t.Run(name, func(t *testing.T) {
				before := s.changed()
				s.put(c, c.body, header("If-Match", "*")).mustBeProblem(t, 412, "stale")
				created := s.put(c, c.body, header("If-None-Match", "*")).mustBe(t, http.StatusCreated)
				at := strings.TrimPrefix(created.header.Get("Location"), "/admin/v1")
				if (created.text("client_secret") != "") != c.secret || created.header.Get("ETag") != `"1"` {
					t.Errorf("%s %v", created.body, created.header)
				}
				read := s.admin("GET", at, nil).mustBe(t, http.StatusOK)
				for member, values := range c.key {
					if read.text(member) != values[0] {
						t.Errorf("%s is %q", member, read.text(member))
					}
				}
				s.put(c, c.body, header("If-None-Match", "*")).mustBeProblem(t, 412, "exists")

				whole := maps.Clone(c.body)
				for member, values := range c.key {
					whole[member] = values[0]
				}
				again := s.put(c, whole).mustBe(t, http.StatusNoContent)
				if now := s.admin("GET", at, nil); now.body != read.body || again.header.Get("ETag") != `"1"` || again.header.Get("Location") != created.header.Get("Location") {
					t.Errorf("it was as it was to be, and became %s %v", now.body, again.header)
				}
				if n := s.changed() - before; n != 1 {
					t.Errorf("%d events of one creation", n)
				}
				s.put(c, c.other, header("If-Match", `"7"`)).mustBeProblem(t, 412, "stale")
				changed := s.put(c, c.other, header("If-Match", `"1"`)).mustBe(t, http.StatusNoContent)
				now := s.admin("GET", at, nil).mustBe(t, http.StatusOK)
				for member, value := range c.other {
					if fmt.Sprint(now.json[member]) != fmt.Sprint(value) {
						t.Errorf("%s is %v, want %v", member, now.json[member], value)
					}
				}
				if changed.header.Get("ETag") != `"2"` || now.header.Get("ETag") != `"2"` || s.changed()-before != 2 {
					t.Errorf("%v, %d events", changed.header, s.changed()-before)
				}
				s.refusesPut(t, c)
				if left := s.admin("GET", at, nil); left.body != now.body || s.changed()-before != 2 {
					t.Errorf("refused, and it became %s", left.body)
				}
				if c.byDefault != "" {
					s.put(c, c.body).mustBe(t, http.StatusNoContent)
					s.put(c, object{}).mustBe(t, http.StatusNoContent)
					if left := s.admin("GET", at, nil); fmt.Sprint(left.json[c.byDefault]) == fmt.Sprint(c.body[c.byDefault]) {
						t.Errorf("what was left out stayed: %s", left.body)
					}
				}
			})
		}
	})
}

// refusesPut: a key must be whole, and the body must not say otherwise.
func (s *server) refusesPut(t *testing.T, c wanted) {
	t.Helper()
	for member := range c.key {
		with := func(change func(url.Values)) wanted {
			key := url.Values{}
			for name, values := range c.key {
				key[name] = append([]string{}, values...)
			}
			change(key)
			return wanted{collection: c.collection, key: key}
		}
		s.put(with(func(k url.Values) { k.Del(member) }), c.body).mustBeProblem(t, 400, "invalid_key")
		s.put(with(func(k url.Values) { k.Add(member, "x") }), c.body).mustBeProblem(t, 400, "invalid_key")
		s.put(with(func(k url.Values) { k.Set("x", "y") }), c.body).mustBeProblem(t, 400, "invalid_key")
		s.put(with(func(k url.Values) { k.Set(member, "a\x00") }), c.body).mustBeProblem(t, 400, "invalid_key")
		s.put(with(func(k url.Values) { k.Set(member, "\xff") }), c.body).mustBeProblem(t, 400, "invalid_key")
		s.put(with(func(k url.Values) { k.Set(member, "a\nb") }), c.body).mustBeProblem(t, 422, "invalid")
		for _, other := range []any{"other", nil, 1} {
			s.put(c, object{member: other}).mustBeProblem(t, 422, "invalid")
		}
	}
	s.put(c, object{"id": "x"}).mustBeProblem(t, 422, "invalid")
	s.put(c, object{"x": "y"}).mustBeProblem(t, 422, "invalid")
}

// A name that several have is nobody's: nothing is guessed.
func TestPutOfANameThatSeveralHave(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	for range 2 {
		s.admin("POST", "/integrators", object{"name": "Twice"}).mustBe(t, http.StatusCreated)
		acme.newClient(object{"client_name": "twice"})
	}
	for _, c := range []wanted{
		{collection: "/integrators", key: url.Values{"name": {"Twice"}}},
		{collection: "/integrators/" + acme.id + "/clients", key: url.Values{"client_name": {"twice"}}},
	} {
		a := s.put(c, object{}).mustBeProblem(t, 409, "ambiguous")
		if !strings.HasPrefix(a.text("detail"), "2 objects") {
			t.Errorf("%s", a.body)
		}
	}
}

// However many want it at once, on two replicas, there is one of it.
func TestPutAtOnce(t *testing.T) {
	databaseURL := storagetest.Postgres(t)
	one := startServer(t, databaseURL, map[string]string{"issuer": "https://cambio.example"})
	two := startServer(t, databaseURL, map[string]string{"issuer": "https://cambio.example"})
	alone := startServer(t, storagetest.SQLite(t), nil)
	for database, replicas := range map[string][]*server{"PostgreSQL": {one, two}, "SQLite": {alone, alone}} {
		for name, c := range wants(replicas[0].newParty("Acme").id) {
			t.Run(database+": "+name, func(t *testing.T) {
				before := one.changed() + alone.changed()
				answers := make([]answer, 12)
				var all sync.WaitGroup
				for i := range answers {
					all.Go(func() { answers[i] = replicas[i%2].put(c, c.body) })
				}
				all.Wait()
				seen, places := map[int]int{}, map[string]bool{}
				for _, a := range answers {
					seen[a.status]++
					places[a.header.Get("Location")] = true
				}
				if seen[201] != 1 || seen[204] != 11 || len(places) != 1 || one.changed()+alone.changed()-before != 1 {
					t.Errorf("%v at %v", seen, places)
				}
			})
		}
	}
}

// A trial is part of how a key URL is to be: PUT begins one, keeps it and ends
// it, and never puts the change into force.
func TestPutOfAKeyURLOnTrial(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	c := wants(s.newParty("Acme").id)["a key URL"]
	trial := object{"mode": "audit", "change": object{"max_lifetime": 60}}
	at := strings.TrimPrefix(s.put(c, trial).mustBe(t, http.StatusCreated).header.Get("Location"), "/admin/v1")
	if again := s.put(c, trial).mustBe(t, http.StatusNoContent); again.header.Get("ETag") != `"1"` {
		t.Errorf("%v", again.header)
	}
	s.put(c, object{"change": object{"max_lifetime": 60}}).mustBeProblem(t, 422, "invalid")
	s.put(c, object{}).mustBe(t, http.StatusNoContent)
	if now := s.admin("GET", at, nil); now.text("mode") != "enforce" || now.json["change"] != nil || now.json["max_lifetime"] != 86400.0 {
		t.Errorf("%s", now.body)
	}
}
