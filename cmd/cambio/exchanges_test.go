package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// exchanges gives one page of an integrator's record.
func (p *party) exchanges(query string) []any {
	p.s.t.Helper()
	return p.s.admin("GET", "/integrators/"+p.id+"/exchanges"+query, nil).mustBe(p.s.t, http.StatusOK).json["items"].([]any)
}

// Every attempt is on record, with what an engineer asks about at night.
func TestExchangesAreOnRecord(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme, other := s.newParty("Acme"), s.newParty("Other")
		acme.manage("919424508", "east")
		token := acme.idp.token(nil)
		issued := acme.exchange(token).mustBe(t, http.StatusOK)
		acme.exchange(acme.idp.token(object{"aud": "https://other.example"})).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.AudienceMismatch)
		acme.exchange(token, "scope", "not.granted").mustRefuse(t, http.StatusBadRequest, grants.InvalidScope, "")
		_, claims := decodeToken(t, issued.text("access_token"))

		list := acme.exchanges("")
		if len(list) != 3 {
			t.Fatalf("%d records: %v", len(list), list)
		}
		scope, audience, granted := list[0].(object), list[1].(object), list[2].(object) // the newest first
		if granted["result"] != "granted" || granted["jti"] != claims["jti"] || granted["client_id"] != acme.clientID || granted["kid"] != "key-1" ||
			granted["issuer"] != acme.idp.issuer || granted["subject"] != "auth0|5934aafe4e52d93452b1c90" || granted["granted"].([]any)[0] != lockScope ||
			granted["dropped"].([]any)[0].(object)["reason"] != "unknown_lock_holder" || granted["grant_type"] != grants.TokenExchange || granted["error"] != nil {
			t.Errorf("granted: %v", granted)
		}
		if audience["result"] != "refused" || audience["reason"] != "audience_mismatch" || audience["error"] != "invalid_request" || audience["jti"] != nil || len(audience["granted"].([]any)) != 0 {
			t.Errorf("refused: %v", audience)
		}
		if scope["error"] != "invalid_scope" || scope["reason"] != nil {
			t.Errorf("refused: %v", scope)
		}
		if text := s.admin("GET", "/integrators/"+acme.id+"/exchanges", nil).body; strings.Contains(text, token) || strings.Contains(text, issued.text("access_token")) {
			t.Error("a token is on record")
		}
		if list := other.exchanges(""); len(list) != 0 {
			t.Errorf("another integrator sees %v", list)
		}
	})
}

func TestFiltersOfTheRecord(t *testing.T) { storagetest.Each(t, testFilters) }

func testFilters(t *testing.T, databaseURL string) {
	s := startServer(t, databaseURL, nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	for range 3 {
		acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK)
	}
	acme.exchange(acme.idp.token(object{"sub": "somebody else"})).mustBe(t, http.StatusOK)
	acme.exchange(acme.idp.token(object{"exp": 1, "iat": 1})).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.TokenExpired)
	now := time.Now().UTC()
	for query, want := range map[string]int{
		"": 5, "?result=granted": 4, "?result=refused": 1, "?reason=token_expired": 1, "?reason=replayed": 0, "?client_id=" + acme.clientID: 5, "?client_id=x": 0,
		"?issuer=" + url.QueryEscape(acme.idp.issuer): 5, "?subject=somebody+else": 1, "?kid=key-1": 5, "?jti=x": 0,
		"?result=granted&subject=somebody+else": 1, "?result=refused&subject=somebody+else": 0,
		"?from=" + now.Add(-time.Hour).Format(time.RFC3339): 5, "?from=" + now.Add(time.Hour).Format(time.RFC3339): 0,
		"?to=" + now.Add(-time.Hour).Format(time.RFC3339): 0, "?to=" + now.Add(time.Hour).Format(time.RFC3339Nano): 5, "?limit=2": 2,
		"?subject=" + url.QueryEscape("' OR 1=1 --"): 0,
	} {
		if got := len(acme.exchanges(query)); got != want {
			t.Errorf("%s: %d records, want %d", query, got, want)
		}
	}
	path := "/integrators/" + acme.id + "/exchanges"
	for _, query := range []string{"?resutl=granted", "?result=all", "?result=", "?result=granted&result=refused", "?from=yesterday", "?from=2026-11-24", "?subject=%00", "?subject=%ff"} {
		s.admin("GET", path+query, nil).mustBeProblem(t, http.StatusBadRequest, "invalid_filter")
	}
	first := s.admin("GET", path+"?result=granted&limit=3", nil).mustBe(t, http.StatusOK)
	cursor := url.QueryEscape(first.text("next_cursor"))
	if rest := acme.exchanges("?result=granted&limit=3&cursor=" + cursor); len(rest) != 1 {
		t.Errorf("the second page has %d records", len(rest))
	}
	s.admin("GET", path+"?limit=3&cursor="+cursor, nil).mustBeProblem(t, http.StatusBadRequest, "invalid_cursor") // of another filter
}

// An export is the same records, one a line.
func TestExportOfTheRecord(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	for range 5 {
		acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK)
	}
	mine := acme.adminToken("integrator.admin")
	a := s.do("GET", "/admin/v1/integrators/me/exchanges?result=granted", "", header("Authorization", "Bearer "+mine), header("Accept", "application/x-ndjson")).mustBe(t, http.StatusOK)
	lines := strings.Split(strings.TrimSuffix(a.body, "\n"), "\n")
	list := acme.exchanges("?result=granted")
	if a.header.Get("Content-Type") != "application/x-ndjson" || len(lines) != len(list) {
		t.Fatalf("%s, %d lines of %d", a.header.Get("Content-Type"), len(lines), len(list))
	}
	for i, line := range lines {
		var record object
		if err := json.Unmarshal([]byte(line), &record); err != nil || record["id"] != list[i].(object)["id"] {
			t.Errorf("line %d: %s", i, line)
		}
	}
	s.do("GET", "/admin/v1/integrators/nobody/exchanges", "", header("Authorization", "Bearer "+mine), header("Accept", "application/x-ndjson")).mustBeProblem(t, http.StatusNotFound, "not_found")
	s.do("GET", "/admin/v1/integrators/me/exchanges", "", header("Accept", "application/x-ndjson")).mustBeProblem(t, http.StatusUnauthorized, "invalid_token")
}

// An export that fails in the middle breaks off: it would pass for all there is.
func TestAnExportThatFailsBreaksOff(t *testing.T) {
	databaseURL := storagetest.SQLite(t)
	s := startServer(t, databaseURL, nil)
	acme := s.newParty("Acme")
	db, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(databaseURL, "sqlite://"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for i := range 2 * registry.MaxPage {
		dropped := "[]"
		if i < 50 {
			dropped = "x" // the second page cannot be read
		}
		_, err := db.ExecContext(t.Context(), `INSERT INTO exchanges (id, at, grant_type, result, code, reason, integrator_id, client_id, issuer, subject, key_id, granted, dropped, token_id, expires_at)
			VALUES (?, 1, 'g', 'granted', '', '', ?, 'c', 'i', 's', 'k', '[]', ?, 'j', 1)`, fmt.Sprintf("%036d", i), acme.id, dropped)
		if err != nil {
			t.Fatal(err)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/admin/v1/integrators/"+acme.id+"/exchanges", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Accept", "application/x-ndjson")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d: %d bytes and %v", response.StatusCode, len(body), err)
	}
}

// What is refused past the quota is not recorded, and counted: for all
// integrators together, so that no name becomes a label.
func TestRecordsThatAreDroppedAreCounted(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	const burst, most = 100, 499 // what the log takes at once; one less than fails at once of a client
	ops := &server{t: t, url: "http://" + s.p.ops.Addr().String()}
	dropped := func(n int) bool {
		return strings.Contains(ops.do("GET", "/metrics", "").mustBe(t, http.StatusOK).body, fmt.Sprintf("cambio_exchange_records_dropped_total{cause=\"quota\"} %d\n", n))
	}
	if !dropped(0) {
		t.Error("nothing was dropped yet, and the metric does not say so")
	}
	sent := 0
	for sent <= burst || dropped(0) && sent < most { // a slow machine gets more into the quota
		acme.exchange("x").mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.Malformed)
		sent++
	}
	export := s.do("GET", "/admin/v1/integrators/"+acme.id+"/exchanges", "", header("Authorization", "Bearer "+s.token), header("Accept", "application/x-ndjson")).mustBe(t, http.StatusOK)
	recorded := strings.Count(export.body, "\n")
	if recorded >= sent || !dropped(sent-recorded) {
		t.Errorf("%d sent, %d recorded, and the metric does not say the rest", sent, recorded)
	}
	acme.manage("919424508", "east")
	token := acme.idp.token(nil)
	acme.exchange(token).mustBe(t, http.StatusOK)
	if list := acme.exchanges("?subject_token_sha256=" + hashOf(token)); len(list) != 1 {
		t.Errorf("a token left with %d records", len(list))
	}
}
