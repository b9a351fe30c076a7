package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// keyed sends a request of the operator with an idempotency key.
func (s *server) keyed(key, path, body string, options ...option) answer {
	s.t.Helper()
	return s.keyedTo("POST", key, path, body, options...)
}

func (s *server) keyedTo(method, key, path, body string, options ...option) answer {
	s.t.Helper()
	options = append(options, header("Authorization", "Bearer "+s.token), header("Idempotency-Key", key))
	if body != "" {
		options = append(options, header("Content-Type", "application/json"))
	}
	return s.do(method, "/admin/v1"+path, body, options...)
}

// changed counts the changes there were.
func (s *server) changed() (n int) {
	s.t.Helper()
	for cursor := ""; ; {
		page := s.admin("GET", "/audit-events?limit=200&cursor="+cursor, nil).mustBe(s.t, http.StatusOK)
		n += len(page.json["items"].([]any))
		if cursor = page.text("next_cursor"); cursor == "" {
			return n
		}
	}
}

func replayed(a answer) bool { return a.header.Get("Idempotency-Replayed") == "true" }

// sameAnswer asserts that an answer was given again.
func sameAnswer(t *testing.T, first, again answer) {
	t.Helper()
	if replayed(first) || !replayed(again) {
		t.Errorf("replayed: %v, then %v", replayed(first), replayed(again))
	}
	for _, name := range []string{"Location", "ETag", "Content-Type"} {
		if first.header.Get(name) != again.header.Get(name) {
			t.Errorf("%s: %q, then %q", name, first.header.Get(name), again.header.Get(name))
		}
	}
	if first.status != again.status || first.body != again.body {
		t.Errorf("%d %s\nthen %d %s", first.status, first.body, again.status, again.body)
	}
}

// Every operation that takes a key happens once, and is answered alike however
// often it is sent; what takes none reads.
func TestIdempotencyKeyOfEveryOperation(t *testing.T) {
	operations := operationsOf(t)
	reads := []string{"check", "from-token", "explain"}
	table := permits()
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		ahead := &clock{}
		s := startServerAt(t, ahead.now, databaseURL, nil)
		ahead.advance(10 * time.Second) // the next signing key is published by then
		for _, operation := range slices.Sorted(maps.Keys(operations)) {
			method, path, _ := strings.Cut(operation, " ")
			if method != "POST" && (method != "PUT" || strings.HasSuffix(path, "/{lock_holder}")) {
				continue
			}
			taken := operations[operation].Parameters.GetByInAndName("header", "Idempotency-Key") != nil
			if read := slices.ContainsFunc(reads, func(name string) bool { return strings.HasSuffix(path, "/"+name) }); read == taken {
				t.Errorf("%s: takes a key: %v, only reads: %v", operation, taken, read)
			}
			if !taken {
				continue
			}
			t.Run(operation, func(t *testing.T) {
				acme := s.newParty(operation)
				body := strings.ReplaceAll(table[operation].body, "{integrator}", acme.id)
				query := "?x=y"
				if key, rest, ok := strings.Cut(body, " "); ok && method == "PUT" {
					path, body, query = path+key, rest, "&x=y"
				}
				path := strings.NewReplacer("{integrator}", acme.id, "{key_url}", acme.keyURL, "{client_id}", acme.clientID).Replace(path)
				before := s.changed()
				first := s.keyedTo(method, operation, path, body).mustBe(t, table[operation].operator)
				sameAnswer(t, first, s.keyedTo(method, `"`+operation+`"`, path, body)) // the quotation marks are no part of it
				if n := s.changed() - before; n != 1 {
					t.Errorf("it happened %d times", n)
				}
				s.keyedTo(method, operation, path+query, body).mustBeProblem(t, 422, "idempotency_key_reused")
				s.keyedTo(method, operation, path, `{"x":1}`).mustBeProblem(t, 422, "idempotency_key_reused")
			})
		}
	})
}

// Of any number at once, on two replicas, one makes the change and all get its
// answer, also where a second change would be a conflict.
func TestIdempotencyKeysAtOnce(t *testing.T) {
	databaseURL := storagetest.Postgres(t)
	one := startServer(t, databaseURL, map[string]string{"issuer": "https://cambio.example"})
	two := startServer(t, databaseURL, map[string]string{"issuer": "https://cambio.example"})
	alone := startServer(t, storagetest.SQLite(t), nil)
	for name, replicas := range map[string][]*server{"PostgreSQL": {one, two}, "SQLite": {alone, alone}} {
		acme := replicas[0].newParty("Acme")
		for what, c := range map[string]struct{ method, path, body string }{
			"what is to be":       {"PUT", "/integrators/" + acme.id + "/clients?client_name=put", `{}`},
			"a secret":            {"POST", "/integrators/" + acme.id + "/clients/" + acme.clientID + "/secret?overlap=600", ""},
			"a client":            {"POST", "/integrators/" + acme.id + "/clients", `{"client_name":"x"}`},
			"what can clash":      {"POST", "/lock-holders", `{"name":"x","country_iso":"NO","organization_id":"919424508"}`},
			"the end of a user":   {"POST", "/integrators/" + acme.id + "/tokens/revoke", `{"subject":"jane"}`},
			"an integrator's end": {"POST", "/integrators/" + acme.id + "/tokens/revoke", ``},
		} {
			t.Run(name+": "+what, func(t *testing.T) {
				before := replicas[0].changed()
				answers := make([]answer, 12)
				var all sync.WaitGroup
				for i := range answers {
					all.Go(func() { answers[i] = replicas[i%2].keyedTo(c.method, what, c.path, c.body) })
				}
				all.Wait()
				first := slices.IndexFunc(answers, func(a answer) bool { return !replayed(a) })
				for i, a := range answers {
					if i != first {
						sameAnswer(t, answers[max(first, 0)], a)
					}
				}
				if n := replicas[0].changed() - before; n != 1 {
					t.Errorf("it happened %d times", n)
				}
			})
		}
	}
}

func TestIdempotencyKeyRules(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	for rule, c := range map[string]struct {
		key string
		ok  bool
	}{
		"a UUID":                               {"8e03978e-40d5-43dd-bc93-6894a57f9324", true},
		"a string of RFC 8941":                 {`"with \"marks\" and \\"`, true},
		"255 characters":                       {strings.Repeat("x", 255), true},
		"256 characters":                       {strings.Repeat("x", 256), false},
		"nothing":                              {"", false},
		"nothing, in marks":                    {`""`, false},
		"marks that do not end":                {`"x`, false},
		"marks that end too soon":              {`"x"y`, false},
		"an escape of what needs none":         {`"\x"`, false},
		"a letter that is not ASCII":           {"\xc3\xa6", false},
		"a control character":                  {"a\tb", false},
		"parameters, which nobody has defined": {`"x";a=1`, false},
	} {
		t.Run(rule, func(t *testing.T) {
			a := s.keyed(c.key, "/integrators", `{"name":"x"}`)
			if !c.ok {
				a.mustBeProblem(t, 400, "invalid_idempotency_key")
			} else if a.status != http.StatusCreated {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	s.keyed("a", "/integrators", `{"name":"x"}`, header("Idempotency-Key", "b")).mustBeProblem(t, 400, "invalid_idempotency_key")
	s.keyed("large", "/integrators", strings.Repeat(" ", 65<<10)).mustBeProblem(t, 413, "too_large")
}

// A key is its caller's own, what was refused is not kept, and after a day the
// key is free, also before the janitor has come.
func TestIdempotencyKeysEnd(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		age := func(by time.Duration) {
			execute(t, sideDoor(t, databaseURL), fmt.Sprintf("UPDATE answers SET created_at = created_at - %d", by.Microseconds()))
		}
		acme, bob := s.newParty("Acme"), s.newParty("Bob")
		asks := func(token, body string) answer {
			return s.do("POST", "/admin/v1/integrators/me/clients", body, header("Authorization", "Bearer "+token), header("Idempotency-Key", "k"), header("Content-Type", "application/json"))
		}
		first := asks(acme.adminToken("integrator.admin"), `{"client_name":"x"}`).mustBe(t, http.StatusCreated)
		if other := asks(bob.adminToken("integrator.admin"), `{"client_name":"x"}`).mustBe(t, http.StatusCreated); replayed(other) || other.text("client_secret") == first.text("client_secret") {
			t.Errorf("another's answer: %s", other.body)
		}
		s.keyed("refused", "/integrators", `{"name":""}`).mustBeProblem(t, 422, "invalid")
		s.keyed("refused", "/integrators", `{"name":"x"}`).mustBe(t, http.StatusCreated)

		rows := func() []string { return texts(t, sideDoor(t, databaseURL), "SELECT idempotency_key FROM answers") }
		if n := len(rows()); n != 3 {
			t.Fatalf("%d answers are kept", n)
		}
		path, body := "/integrators/"+acme.id+"/clients/"+acme.clientID+"/secret", ""
		second := s.keyed("secret", path, body).mustBe(t, http.StatusCreated)
		age(23 * time.Hour)
		sameAnswer(t, second, s.keyed("secret", path, body))
		age(time.Hour)
		if third := s.keyed("secret", path, body).mustBe(t, http.StatusCreated); replayed(third) || third.text("client_secret") == second.text("client_secret") {
			t.Errorf("after a day: %s", third.body)
		}
		if err := s.p.clean(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := rows(); fmt.Sprint(left) != "[secret]" {
			t.Errorf("after a day there are %v", left)
		}
	})
}

// An answer outlives a change of the secret key, as long as the server knows
// the one before; then the caller is told, and nothing happens twice.
func TestIdempotencyKeyUnderAnotherSecretKey(t *testing.T) {
	databaseURL := storagetest.SQLite(t)
	var first answer
	body := `{"name":"x","audience":"https://x.example"}`
	for _, c := range []struct {
		key, previous string
		opens         bool
	}{{testSecretKey, "", true}, {otherSecretKey, testSecretKey, true}, {otherSecretKey, "", false}} {
		s := startServer(t, databaseURL, map[string]string{"secret_key": c.key, "secret_key_previous": c.previous})
		a := s.keyed("k", "/resource-servers", body)
		switch {
		case c.previous == "" && c.opens:
			first = a.mustBe(t, http.StatusCreated)
			mustHoldNone(t, "answers", fmt.Sprint(dump(t, sideDoor(t, databaseURL), databaseURL)), []string{first.text("client_secret")})
		case c.opens:
			sameAnswer(t, first, a)
		default:
			a.mustBeProblem(t, 409, "conflict")
			if n := len(s.admin("GET", "/resource-servers", nil).json["items"].([]any)); n != 1 {
				t.Errorf("%d resource servers", n)
			}
		}
		if err := s.p.shutdown(); err != nil {
			t.Fatal(err)
		}
		s.p = nil
	}
}
