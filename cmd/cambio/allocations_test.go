package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// How often a request allocates does not depend on the machine's mood. These are
// budgets, with the arithmetic's and httptest's own: whoever needs more says why
// here. (The target of 250 for an exchange leaves the arithmetic out, which has
// about 80; the race detector adds a tenth.)
func TestAllocationsOfARequest(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), map[string]string{"exchange_log": "off"})
	acme := s.newParty("Acme")
	var permissions []string
	for _, suffix := range strings.Split("abcdefghij", "") {
		acme.manage("919424508", suffix)
		permissions = append(permissions, "lockHolder.identifier:NO.919424508."+suffix)
	}
	subject := acme.idp.token(object{"permissions": permissions})
	issued := acme.exchange(subject).mustBe(t, http.StatusOK).text("access_token")
	handler := s.p.servers[0].Handler
	for name, row := range map[string]struct {
		path, body string
		who        option
		budget     float64
	}{
		"an exchange of 10 permissions": {tokenEndpoint, exchangeForm(subject).Encode(), acme.authenticated(), 365},
		"client credentials":            {tokenEndpoint, url.Values{"grant_type": {grants.ClientCredentials}, "scope": {"admin"}}.Encode(), basic(testOperator, testOperatorSecret), 230},
		"introspection":                 {introspectEndpoint, url.Values{"token": {issued}}.Encode(), basic(testOperator, testOperatorSecret), 190},
	} {
		t.Run(name, func(t *testing.T) {
			got := testing.AllocsPerRun(200, func() {
				r := httptest.NewRequest(http.MethodPost, row.path, strings.NewReader(row.body))
				r.Header.Set("Content-Type", formType)
				row.who(r)
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					t.Fatal(w.Body)
				}
			})
			t.Logf("%.0f of %.0f", got, row.budget)
			if got > row.budget {
				t.Errorf("%.0f allocations, the budget is %.0f", got, row.budget)
			}
		})
	}
}
