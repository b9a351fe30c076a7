package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// R25: what a row of garbage would allow nobody can say, so whoever needs it is
// told to come again; all others go on.
func TestOneRowOfGarbage(t *testing.T) {
	for name, c := range map[string]struct{ begin, end string }{
		"a key URL's list":   {"UPDATE key_urls SET algorithms = 'ES256' WHERE id = 'KEYURL'", `UPDATE key_urls SET algorithms = '["RS256"]' WHERE id = 'KEYURL'`},
		"a key URL's claims": {"UPDATE key_urls SET required_claims = '{}' WHERE id = 'KEYURL'", "UPDATE key_urls SET required_claims = '[]' WHERE id = 'KEYURL'"},
		"a client's list":    {"UPDATE clients SET grant_types = '' WHERE client_id = 'CLIENT'", `UPDATE clients SET grant_types = '["` + grants.TokenExchange + `"]' WHERE client_id = 'CLIENT'`},
		"a client's scope":   {"UPDATE clients SET scopes = '7' WHERE client_id = 'CLIENT'", "UPDATE clients SET scopes = NULL WHERE client_id = 'CLIENT'"},
	} {
		t.Run(name, func(t *testing.T) {
			storagetest.Each(t, func(t *testing.T, databaseURL string) {
				s := startServer(t, databaseURL, nil)
				acme, bob, carl := s.newParty("Acme"), s.newParty("Bob"), s.newParty("Carl")
				holder := acme.manage("919424508", "east")
				bob.share(holder)
				carl.share(holder)
				change := func(statement string) {
					t.Helper()
					execute(t, sideDoor(t, databaseURL), strings.NewReplacer("KEYURL", bob.keyURL, "CLIENT", bob.clientID).Replace(statement)+"; UPDATE changes SET seq = seq + 1")
					s.p.changed(t.Context())
				}
				change(c.begin)
				for _, p := range []*party{acme, carl} {
					p.exchange(p.idp.token(nil)).mustBe(t, http.StatusOK)
				}
				bob.exchange(bob.idp.token(nil)).mustRefuse(t, http.StatusServiceUnavailable, grants.TemporarilyUnavailable, "")
				if n := s.gauge("cambio_unreadable_objects"); n != 1 {
					t.Errorf("%v objects are unreadable", n)
				}
				whose := "a key URL of " + bob.id
				if strings.Contains(c.begin, "CLIENT") {
					whose = "client " + bob.clientID
				}
				if !strings.Contains(s.log.String(), whose+" ") {
					t.Errorf("the log does not name %s:\n%s", whose, s.log.String())
				}
				change(c.end)
				bob.exchange(bob.idp.token(nil)).mustBe(t, http.StatusOK)
			})
		})
	}
}
