package main

import (
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// dump reads every column of every table, as texts.
func dump(t *testing.T, db *sql.DB, databaseURL string) map[string][]string {
	t.Helper()
	query := "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
	if _, ok := storage.Path(databaseURL); ok {
		query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
	}
	contents := map[string][]string{}
	for _, table := range texts(t, db, query) {
		contents[table] = texts(t, db, "SELECT * FROM "+table)
	}
	return contents
}

// texts gives the values of all columns of all rows.
func texts(t *testing.T, db *sql.DB, query string) (values []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		row := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for _, value := range row {
			if data, ok := value.([]byte); ok {
				value = string(data)
			}
			if value != nil {
				values = append(values, fmt.Sprint(value))
			}
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

// triedAs are the forms in which a value of a dump could be tried: as it is,
// the usual codes of bytes, and what JSON holds.
func triedAs(value string) []string {
	all := []string{value, hex.EncodeToString([]byte(value)), base64.StdEncoding.EncodeToString([]byte(value)), base64.RawURLEncoding.EncodeToString([]byte(value)), "cbs_" + value}
	var parsed any
	if json.Unmarshal([]byte(value), &parsed) == nil {
		all = append(all, leaves(parsed)...)
	}
	return all
}

func leaves(value any) (all []string) {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		for _, item := range v {
			all = append(all, leaves(item)...)
		}
	case map[string]any:
		for _, item := range v {
			all = append(all, leaves(item)...)
		}
	}
	return all
}

// session is what a server was told and what it gave out.
type session struct {
	s       *server
	acme    *party
	clients []string
	secrets []string // of clients
	tokens  []string // access tokens that are alive
	given   []string // subject tokens and assertions
	asked   int
	clock   *clock
}

// fullSession makes one of everything.
func fullSession(t *testing.T, s *server) *session {
	t.Helper()
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	x := &session{s: s, acme: acme, clients: []string{testOperator, acme.clientID}, secrets: []string{testOperatorSecret, acme.secret}, tokens: []string{s.token}}
	api := s.admin("POST", "/resource-servers", object{"name": "locks", "audience": apiAudience}).mustBe(t, http.StatusCreated)
	x.clients, x.secrets = append(x.clients, api.text("client_id")), append(x.secrets, api.text("client_secret"))
	second := s.keyed("second", "/integrators/"+acme.id+"/clients/"+acme.clientID+"/secret?overlap=600", "").mustBe(t, http.StatusCreated)
	x.secrets = append(x.secrets, second.text("client_secret"))
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"single_use": true}).mustBe(t, http.StatusOK)
	keyed := acme.newKeyed("ES256", object{})
	assertion := keyed.assertion(nil, nil)
	subject, keyedSubject := acme.idp.token(object{"jti": "one"}), acme.idp.token(object{"jti": "two"})
	x.tokens = append(x.tokens, acme.exchange(subject, "audience", apiAudience).mustBe(t, http.StatusOK).text("access_token"),
		acme.adminToken("integrator.admin"),
		s.post(tokenEndpoint, anonymous, withAssertion(exchangeForm(keyedSubject), assertion)).mustBe(t, http.StatusOK).text("access_token"))
	x.given = append(x.given, subject, keyedSubject, assertion)
	refused := acme.idp.token(object{"aud": "https://elsewhere.example"})
	acme.exchange(refused).mustBe(t, http.StatusBadRequest)
	x.given = append(x.given, refused)
	revoked := acme.exchange(acme.idp.token(object{"jti": "three"})).mustBe(t, http.StatusOK).text("access_token")
	s.post(revokeEndpoint, acme.authenticated(), url.Values{"token": {revoked}}).mustBe(t, http.StatusOK)
	x.given = append(x.given, revoked)
	return x
}

// opens tells which door a value opens, trying it as everything that a
// credential can be.
func (x *session) opens(value string) (door string) {
	x.asked++
	x.clock.advance(50 * time.Millisecond)                                                                      // of the client's own limit
	from := header("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", x.asked>>16&255, x.asked>>8&255, x.asked&255)) // of addresses
	tried := func(name string, a answer, opened bool) {
		switch {
		case a.status == http.StatusTooManyRequests || a.status >= 500:
			x.s.t.Errorf("%s answers %d: nothing was tried", name, a.status)
		case opened:
			door = name
		}
	}
	if !strings.ContainsAny(value, "\r\n\x00") && strings.ToValidUTF8(value, "") == value {
		a := x.s.do("GET", "/admin/v1/integrators/"+x.acme.id, "", header("Authorization", "Bearer "+value), from)
		tried("the admin API", a, a.status == http.StatusOK)
	}
	a := x.s.post(introspectEndpoint, basic(testOperator, testOperatorSecret), url.Values{"token": {value}}, from)
	tried("introspection", a, a.json["active"] == true)
	for _, client := range x.clients {
		form := url.Values{"grant_type": {grants.ClientCredentials}, "client_id": {client}, "client_secret": {value}}
		a := x.s.post(tokenEndpoint, anonymous, form, from)
		tried("the token endpoint, as the secret of "+client, a, a.text("error") != string(grants.InvalidClient) && a.text("error") != string(grants.InvalidRequest))
	}
	a = x.s.post(tokenEndpoint, anonymous, withAssertion(url.Values{"grant_type": {grants.ClientCredentials}}, value), from)
	tried("the token endpoint, as an assertion", a, a.status == http.StatusOK)
	a = x.s.post(tokenEndpoint, x.acme.authenticated(), exchangeForm(value), from)
	tried("the token endpoint, as a subject token", a, a.status == http.StatusOK)
	return door
}

// STO-05: whoever has the whole database has no token, no secret and no key.
func TestADumpOpensNoDoor(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		ahead := &clock{}
		s := startServerAt(t, ahead.now, databaseURL, map[string]string{"trusted_proxies": "127.0.0.0/8"})
		x := fullSession(t, s)
		x.clock = ahead
		for _, secret := range append(x.secrets[:3:3], x.tokens...) {
			if x.opens(secret) == "" {
				t.Errorf("%.12s... opens no door: this proves nothing", secret)
			}
		}
		contents := dump(t, sideDoor(t, databaseURL), databaseURL)
		for _, table := range []string{"clients", "client_secrets", "signing_keys", "key_documents", "exchanges", "revoked_tokens", "consumed_tokens", "answers"} {
			if len(contents[table]) == 0 {
				t.Errorf("%s is empty: nothing is tried of it", table)
			}
		}
		known := append(append(append([]string{testSecretKey}, x.secrets...), x.tokens...), x.given...)
		seen := map[string]bool{}
		for table, values := range contents {
			for _, value := range values {
				for _, spelling := range triedAs(value) {
					if seen[spelling] || spelling == "" {
						continue
					}
					seen[spelling] = true
					if door := x.opens(spelling); door != "" {
						t.Errorf("a value of %s opens %s", table, door)
					}
				}
				mustHoldNone(t, table, value, known)
			}
		}
		if len(seen) < 200 {
			t.Errorf("only %d values were tried", len(seen))
		}
		if path, ok := storage.Path(databaseURL); ok {
			for _, file := range []string{path, path + "-wal"} { // what was deleted stands there too
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				mustHoldNone(t, file[len(path)-9:], string(data), known)
			}
		}
	})
}

// mustHoldNone looks for secrets in a value, and for private halves of keys.
func mustHoldNone(t *testing.T, where, value string, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		parts := []string{secret}
		if compact := strings.Split(secret, "."); len(compact) == 3 && len(compact[2]) > 20 {
			parts = append(parts, compact[2]) // a signature makes a token of what can be rebuilt
		}
		for _, part := range parts {
			for _, spelling := range []string{part, hex.EncodeToString([]byte(part)), base64.StdEncoding.EncodeToString([]byte(part))} {
				if strings.Contains(value, spelling) {
					t.Errorf("%s holds a secret that begins with %.8q", where, secret)
				}
			}
		}
	}
	for _, private := range []string{"PRIVATE KEY", `"d":`, `"k":`, `"p":`} {
		if strings.Contains(value, private) {
			t.Errorf("%s holds %s", where, private)
		}
	}
}
