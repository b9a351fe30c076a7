//go:build linux

package chaos

import (
	"testing"
	"time"
)

// R16: the schema is expanded, as the next version will do it, while this one
// serves; then a replica is restarted on the expanded schema. Nobody may
// notice.
func TestR16MigrationWhileServing(t *testing.T) {
	r := onPostgres(t, 2)
	l := r.startLoad(size(4, 16), 5*time.Millisecond)
	time.Sleep(500 * time.Millisecond)
	tables := []string{"integrators", "key_urls", "clients", "client_secrets", "lock_holders", "lock_holder_links", "resource_servers",
		"scope_rules", "signing_keys", "revoked_tokens", "subject_epochs", "exchanges", "key_documents", "key_uses", "consumed_tokens"}
	slowest := time.Duration(0)
	for _, table := range tables {
		began := time.Now()
		r.postgres.mustExec("SET lock_timeout = '2s'; ALTER TABLE "+table+" ADD COLUMN of_the_next_version TEXT NOT NULL DEFAULT ''", "UPDATE changes SET seq = seq + 1")
		slowest = max(slowest, time.Since(began))
		time.Sleep(size(100*time.Millisecond, 2*time.Second))
	}
	r.newParty("of the new schema")
	r.replicas[1].stop()
	r.replicas[1].startAndWait()
	time.Sleep(size(time.Second, 5*time.Second))
	all := l.finish()
	v := r.replay(l.ledger)
	if failed := len(all) - len(all.with(200)); failed > 0 {
		t.Errorf("%d requests failed", failed)
	}
	target(t, slowest <= 2*time.Second, "a step took %s", slowest)
	figure(t, "0 failed; step ≤ 2 s; the version before goes on", "%d tables with a new column: slowest step %s; %s; %s", len(tables), slowest.Round(time.Millisecond), v, all)
}
