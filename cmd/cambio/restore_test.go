package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// copyOf copies a database that nobody uses: a backup, or a restore from one.
func copyOf(t *testing.T, databaseURL string) string {
	t.Helper()
	db := sideDoor(t, databaseURL)
	if _, ok := storage.Path(databaseURL); ok {
		copied := filepath.Join(t.TempDir(), "cambio.db")
		execute(t, db, "VACUUM INTO '"+copied+"'")
		return "sqlite://" + copied
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	target := storagetest.Postgres(t) // one of its own, for a name and its end
	from, _ := url.Parse(databaseURL)
	to, _ := url.Parse(target)
	server := *to
	server.Path = "/postgres"
	name := func(u *url.URL) string { return strings.TrimPrefix(u.Path, "/") }
	execute(t, sideDoor(t, server.String()), fmt.Sprintf("DROP DATABASE %s;;CREATE DATABASE %s TEMPLATE %s", name(to), name(to), name(from)))
	return target
}

// restart starts a server on another database, as the same issuer, with the
// party on it.
func restart(t *testing.T, databaseURL string, acme *party) *server {
	t.Helper()
	s := startServer(t, databaseURL, map[string]string{"issuer": "https://cambio.example"})
	if acme != nil {
		acme.s = s
	}
	return s
}

func stop(t *testing.T, s *server) {
	t.Helper()
	if err := s.p.shutdown(); err != nil {
		t.Fatal(err)
	}
	s.p = nil
}

func revokeAllTokens(t *testing.T, databaseURL string) {
	t.Helper()
	var out bytes.Buffer
	cmd := command()
	cmd.SetArgs([]string{"tokens", "revoke-all", "--database-url", databaseURL})
	cmd.SetOut(&out)
	if err := cmd.ExecuteContext(t.Context()); err != nil || !strings.Contains(out.String(), "dead") {
		t.Fatalf("%s (%v)", out.String(), err)
	}
}

// revokeEverywhere issues tokens of every kind and revokes them, in every way
// there is.
func revokeEverywhere(t *testing.T, s *server, acme *party) (revoked []string) {
	t.Helper()
	exchange := func(subject string) string {
		return acme.exchange(acme.idp.token(object{"sub": subject})).mustBe(t, http.StatusOK).text("access_token")
	}
	byOne := func(token string, who option) {
		s.post(revokeEndpoint, who, url.Values{"token": {token}}).mustBe(t, http.StatusOK)
		revoked = append(revoked, token)
	}
	byOne(exchange("one"), acme.authenticated())
	operators := startServerToken(s)
	byOne(operators, basic(testOperator, testOperatorSecret))
	revoked = append(revoked, exchange("two"))
	s.admin("POST", "/integrators/"+acme.id+"/tokens/revoke", object{"subject": "two"}).mustBe(t, http.StatusNoContent)
	// Generations go up one by one, and a token of each is revoked: whoever
	// raises the backup's by one, or by a few, meets one of them.
	for range 3 {
		revoked = append(revoked, exchange("three"))
		s.admin("POST", "/integrators/"+acme.id+"/tokens/revoke", nil).mustBe(t, http.StatusNoContent)
		byOne(exchange("four"), acme.authenticated())
	}
	for _, token := range revoked {
		s.mustBeActive(token, false)
	}
	return revoked
}

// R19: nothing that was revoked after the backup revives with it, however often
// the same backup is restored. Older tokens are dead too, and new ones live.
func TestRestoreRevivesNothing(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := restart(t, databaseURL, nil)
		acme := s.newParty("Acme")
		acme.manage("919424508", "east")
		old := acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token")
		stop(t, s)
		backup := copyOf(t, databaseURL)

		s = restart(t, databaseURL, acme)
		dead := revokeEverywhere(t, s, acme)
		stop(t, s)

		for restore := range 2 {
			restored := copyOf(t, backup)
			if restore == 0 {
				unfenced := restart(t, copyOf(t, backup), acme)
				if unfenced.introspect(dead[0]).json["active"] != true {
					t.Error("the restore revived nothing: this proves nothing")
				}
			}
			revokeAllTokens(t, restored)
			s = restart(t, restored, acme)
			for i, token := range append(dead, old) {
				if a := s.introspect(token).mustBe(t, http.StatusOK); a.body != `{"active":false}` {
					t.Errorf("restore %d: token %d is alive: %s", restore, i, a.body)
				}
			}
			fresh := acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token")
			s.mustBeActive(fresh, true)
			revokeAllTokens(t, restored) // once more, beside a server
			s.mustBeActive(fresh, false)
			eventually(t, "the server knows, and its tokens live again", func() bool {
				s.token = startServerToken(s)
				return s.introspect(s.token).json["active"] == true
			})
			dead = append(dead, fresh)
			dead = append(dead, revokeEverywhere(t, s, acme)...)
			stop(t, s)
		}
	})
}

// The client_id of an operator is chosen, so that it can come again: a backup
// from before it does not let its first generation come again too.
func TestRestoreToBeforeTheOperator(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		const secret = "the secret of an operator from before, long enough"
		values, err := load("", map[string]string{"listen": "127.0.0.1:0", "ops_listen": "", "database_url": databaseURL, "secret_key": testSecretKey,
			"operator_client_id": "before", "operator_client_secret": secret, "issuer": "https://cambio.example"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := newConfig(values)
		if err != nil {
			t.Fatal(err)
		}
		p, err := start(t.Context(), c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.shutdown(); err != nil {
			t.Fatal(err)
		}
		restored := copyOf(t, databaseURL)
		s := restart(t, databaseURL, nil)
		token := startServerToken(s)
		s.post(revokeEndpoint, basic(testOperator, testOperatorSecret), url.Values{"token": {token}}).mustBe(t, http.StatusOK)
		stop(t, s)
		revokeAllTokens(t, restored)
		restart(t, restored, nil).mustBeActive(token, false)
	})
}

// Keys that were taken out since the backup are not in it any more.
func TestRestoreForgetsKeys(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		acme.manage("919424508", "east")
		acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK)
		db := sideDoor(t, databaseURL)
		eventually(t, "the keys are kept", func() bool { return countOf(t, db, "SELECT COUNT(*) FROM key_documents") == 1 })
		revokeAllTokens(t, databaseURL)
		if n := countOf(t, db, "SELECT COUNT(*) FROM key_documents"); n != 0 {
			t.Errorf("%d key documents are left", n)
		}
		if n := countOf(t, db, "SELECT COUNT(*) FROM key_urls WHERE keys_epoch = (SELECT seq FROM changes)"); n != 1 {
			t.Error("replicas go on with the keys that they have")
		}
		acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK)
	})
}

func countOf(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// docs/operations.md: a signing key that was stolen is rotated away and deleted.
// What it signed is dead, and the server goes on.
func TestAStolenSigningKeyIsDeleted(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		stolen := s.token
		cmd := command()
		cmd.SetArgs([]string{"keys", "rotate", "--database-url", databaseURL})
		cmd.SetOut(&bytes.Buffer{})
		t.Setenv("CAMBIO_SECRET_KEY", testSecretKey)
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.mustBeActive(stolen, true)
		execute(t, sideDoor(t, databaseURL), "DELETE FROM signing_keys WHERE state = 'retired'")
		if err := s.p.ring.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.mustBeActive(stolen, false)
		s.mustBeActive(startServerToken(s), true)
		s.atOps("/readyz").mustBe(t, http.StatusOK)
	})
}

// docs/operations.md: after the secret key is lost or known, a new one.
func TestANewSecretKey(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := restart(t, databaseURL, nil)
		acme := s.newParty("Acme")
		acme.manage("919424508", "east")
		old := acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token")
		stop(t, s)
		execute(t, sideDoor(t, databaseURL), "DELETE FROM signing_keys")
		s = startServer(t, databaseURL, map[string]string{"issuer": "https://cambio.example", "secret_key": "rV7CIFbpIrtyBy4nHyLdgjNzJmmqxs7nYim8LI46IFc="})
		acme.s = s
		s.mustBeActive(old, false)
		acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusUnauthorized)
		acme.secret = s.admin("POST", "/integrators/"+acme.id+"/clients/"+acme.clientID+"/secret", nil).mustBe(t, http.StatusCreated).text("client_secret")
		s.mustBeActive(acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token"), true)
	})
}
