//go:build linux

package chaos

import (
	"math/rand/v2"
	"testing"
	"time"
)

const killTarget = "0 lost, 0 undone, 0 without a record; start ≤ 2 s; integrity_check ok"

// R1 on SQLite: kill −9 under load, again and again.
func TestR01KillSQLite(t *testing.T) {
	r := onSQLite(t)
	testKills(t, r, func() { checkFile(t, r.file) })
}

// R1 on PostgreSQL: three replicas, one of which is killed.
func TestR01KillPostgres(t *testing.T) { testKills(t, onPostgres(t, 3), func() {}) }

func testKills(t *testing.T, r *rig, check func()) {
	kills := size(3, 100)
	l := r.startLoad(size(4, 8), size(5*time.Millisecond, 3*time.Millisecond))
	slowest := time.Duration(0)
	for range kills {
		time.Sleep(200*time.Millisecond + rand.N(size(400*time.Millisecond, time.Second)))
		victim := r.replicas[rand.IntN(len(r.replicas))]
		victim.process.kill()
		slowest = max(slowest, victim.startAndWait())
		check()
	}
	time.Sleep(300 * time.Millisecond)
	all := l.finish()
	v := r.replay(l.ledger)
	target(t, slowest <= 2*time.Second, "start took %s", slowest)
	if full && (v.tokens < 50_000 || v.revocations < 10_000) {
		t.Logf("fewer than the 50,000 tokens and 10,000 revocations that were wanted: %s", v)
	}
	figure(t, killTarget, "%d kills, %s; slowest start %s; %s", kills, v, slowest.Round(time.Millisecond), all)
}
