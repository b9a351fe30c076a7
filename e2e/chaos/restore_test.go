//go:build linux

package chaos

import (
	"database/sql"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

const restoreTarget = "0 formerly revoked tokens active; drill ≤ 5 min"

// R19 on SQLite: a copy from before revocations takes the place of the file.
func TestR19RestoreSQLite(t *testing.T) {
	r := onSQLite(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	testRestore(t, r, func() {
		db, err := sql.Open("sqlite", "file:"+r.file)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec("VACUUM INTO ?", backup); err != nil {
			t.Fatal(err)
		}
	}, func() {
		for _, rest := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(r.file + rest); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		if err := os.Rename(backup, r.file); err != nil {
			t.Fatal(err)
		}
	})
}

// R19 on PostgreSQL: a dump from before revocations is read back.
func TestR19RestorePostgres(t *testing.T) {
	r := onPostgres(t, 2)
	dump := filepath.Join(r.postgres.folder, "dump.sql")
	server := []string{"-h", "127.0.0.1", "-p", strconv.Itoa(r.postgres.port), "-U", "cambio"}
	testRestore(t, r, func() {
		r.postgres.run("pg_dump", append(server, "-f", dump, "postgres")...)
	}, func() {
		r.postgres.mustExec("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
		r.postgres.run("psql", append(server, "-q", "-v", "ON_ERROR_STOP=1", "-f", dump, "postgres")...)
	})
}

// testRestore takes a backup under load, and after more load puts it in the
// place of the database as README.md says.
func testRestore(t *testing.T, r *rig, backUp, restore func()) {
	l := r.startLoad(4, 5*time.Millisecond)
	time.Sleep(size(500*time.Millisecond, 5*time.Second))
	backUp()
	time.Sleep(size(time.Second, 10*time.Second))
	l.finish()
	began := time.Now()
	for _, replica := range r.replicas {
		replica.stop()
	}
	restore()
	if out, err := r.replicas[0].command("tokens", "revoke-all").CombinedOutput(); err != nil {
		t.Fatalf("revoke-all: %v: %s", err, out)
	}
	for _, replica := range r.replicas {
		replica.startAndWait()
	}
	r.success(startTimeout)
	drill := time.Since(began)
	tokens, ended, active := 0, 0, 0
	for jti, a := range l.ledger.accounts() {
		tokens++
		if a.ended {
			ended++
		}
		replica := r.replicas[tokens%len(r.replicas)]
		status, answer, err := r.introspect(replica.url(), a.token)
		if err != nil || status != http.StatusOK || answer["active"] != false {
			if active++; active <= maxShown {
				t.Errorf("%s, revoked %v: %d %v %v", jti, a.ended, status, answer, err)
			}
		}
	}
	target(t, drill <= 5*time.Minute, "the drill took %s", drill)
	figure(t, restoreTarget, "restored and running after %s; of %d tokens, %d of them revoked, %d active", drill.Round(time.Millisecond), tokens, ended, active)
}
