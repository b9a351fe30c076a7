package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// BenchmarkHandler measures each operation without the network: what is left is
// ours, fosite's and the arithmetic's. Tokens are distinct.
func BenchmarkHandler(b *testing.B) {
	s := startServer(b, storagetest.SQLite(b), map[string]string{"exchange_log": "off", "ops_listen": "", "log_level": "warn"})
	acme := s.newParty("Acme")
	permissions := []string{}
	for _, suffix := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		acme.manage("919424508", suffix)
		permissions = append(permissions, "lockHolder.identifier:NO.919424508."+suffix)
	}
	var exchanges []string
	for i := range 2000 {
		token := acme.idp.token(object{"sub": fmt.Sprint("user|", i), "permissions": permissions})
		exchanges = append(exchanges, exchangeForm(token).Encode())
	}
	issued := acme.exchange(acme.idp.token(object{"permissions": permissions})).mustBe(b, http.StatusOK).text("access_token")
	router := s.p.servers[0].Handler
	run := func(b *testing.B, path string, who option, bodies []string) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(bodies[i%len(bodies)]))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			who(r)
			w := httptest.NewRecorder()
			router.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				b.Fatal(w.Body.String())
			}
			i++
		}
	}
	b.Run("exchange", func(b *testing.B) { run(b, tokenEndpoint, acme.authenticated(), exchanges) })
	b.Run("client credentials", func(b *testing.B) {
		run(b, tokenEndpoint, basic(testOperator, testOperatorSecret), []string{url.Values{"grant_type": {grants.ClientCredentials}, "scope": {"admin"}}.Encode()})
	})
	b.Run("introspection", func(b *testing.B) {
		run(b, introspectEndpoint, basic(testOperator, testOperatorSecret), []string{url.Values{"token": {issued}}.Encode()})
	})
}
