package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// A revocation that renews an old epoch while the janitor is about to delete it
// is not deleted with it: PostgreSQL looks again only at the outer condition of
// a statement that waited for a row.
func TestTheJanitorLeavesARenewedEpochAlone(t *testing.T) {
	databaseURL := storagetest.Postgres(t)
	s := startServer(t, databaseURL, nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	token := acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token")
	_, claims := decodeToken(t, token)
	s.admin("POST", "/integrators/"+acme.id+"/tokens/revoke", object{"subject": claims["sub"]}).mustBe(t, http.StatusNoContent)
	s.mustBeActive(token, false)
	db := sideDoor(t, databaseURL)
	execute(t, db, "UPDATE subject_epochs SET not_before = 1, expires_at = 1") // of long ago
	revocation, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if _, err := revocation.Exec("UPDATE subject_epochs SET not_before = $1, expires_at = $2", now.UnixMicro(), now.Add(26*time.Hour).UnixMicro()); err != nil {
		t.Fatal(err)
	}
	purged := make(chan int64, 1)
	go func() {
		n, err := s.p.store.PurgeSubjectEpochs(t.Context(), now.Add(-25*time.Hour))
		if err != nil {
			t.Error(err)
		}
		purged <- n
	}()
	eventually(t, "the janitor waits for the row", func() bool {
		var waiting int
		err := db.QueryRow("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting)
		return err == nil && waiting > 0
	})
	if err := revocation.Commit(); err != nil {
		t.Fatal(err)
	}
	if n := <-purged; n != 0 {
		t.Errorf("%d epochs were deleted", n)
	}
	s.mustBeActive(token, false)
}
