package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

const otherSecretKey = "dnV0c3JxcG9ubWxramloZ2ZlZGNiYTk4NzY1NDMyMTA="

// A new CAMBIO_SECRET_KEY, with the one of before beside it: tokens verify, and
// clients log in, then and after the old one is gone.
func TestAnotherSecretKey(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		with := func(key, previous string) map[string]string {
			return map[string]string{"issuer": "https://cambio.example", "secret_key": key, "secret_key_previous": previous}
		}
		first := startServer(t, databaseURL, with(testSecretKey, ""))
		acme := first.newParty("Acme")
		acme.manage("919424508", "east")
		idle, idleSecret := acme.newClient(object{"client_name": "idle"})
		token := acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token")
		if err := first.p.shutdown(); err != nil {
			t.Fatal(err)
		}

		form := exchangeForm(acme.idp.token(nil))
		exchange := func(s *server) answer { return s.post(tokenEndpoint, acme.authenticated(), form) }
		both := startServer(t, databaseURL, with(otherSecretKey, testSecretKey))
		both.mustBeActive(token, true)
		both.mustBeActive(first.token, true) // the operator's: the secret is the same
		exchange(both).mustBe(t, http.StatusOK)
		both.post(tokenEndpoint, basic(acme.clientID, "wrong"), form).mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
		if err := both.p.directory.rehash(t.Context()); err != nil {
			t.Fatal(err)
		}
		exchange(both).mustBe(t, http.StatusOK)
		both.p.directory.rehashing.Range(func(clientID, _ any) bool {
			t.Errorf("the secret of %v is still hashed under the old key", clientID)
			return true
		})
		if err := both.p.shutdown(); err != nil {
			t.Fatal(err)
		}

		alone := startServer(t, databaseURL, with(otherSecretKey, ""))
		alone.mustBeActive(token, true)
		exchange(alone).mustBe(t, http.StatusOK)
		// Who did not log in meanwhile needs a new secret.
		alone.post(tokenEndpoint, basic(idle, idleSecret), form).mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
		for _, s := range []*server{both, alone} {
			if log := s.log.String(); strings.Contains(log, acme.secret) || strings.Contains(log, otherSecretKey) || strings.Contains(log, testSecretKey) {
				t.Error("a secret is in the log")
			}
		}
	})
}
