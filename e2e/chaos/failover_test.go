//go:build linux

package chaos

import (
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// onPair is three replicas on a primary with a standby that follows it
// synchronously: a commit is acknowledged when both have it.
func onPair(t *testing.T) (r *rig, primary, standby *postgres) {
	t.Helper()
	primary, standby = newPostgres(t), emptyPostgres(t)
	primary.start()
	standby.run("pg_basebackup", "-D", standby.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(primary.port), "-U", "cambio", "-R", "-X", "stream", "-c", "fast")
	standby.start()
	primary.mustExec("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
	eventually(t, startTimeout, "the standby is synchronous", func() bool {
		return primary.number("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == 1
	})
	url := fmt.Sprintf("postgres://cambio@%s,%s/postgres?sslmode=disable&target_session_attrs=read-write", address(primary.port), address(standby.port))
	r = &rig{t: t, postgres: primary}
	for i := range 3 {
		r.add(newReplica(t, fmt.Sprintf("replica %d", i+1), url))
	}
	r.begin()
	return r, primary, standby
}

// R4: the primary is killed and the standby promoted.
func TestR04FailOver(t *testing.T) {
	r, primary, standby := onPair(t)
	l := r.startLoad(size(4, 16), 2*time.Millisecond)
	time.Sleep(size(time.Second, 5*time.Second))
	began := time.Now()
	primary.process.kill()
	time.Sleep(time.Second) // until somebody notices
	standby.mustExec("SELECT pg_promote()")
	r.success(startTimeout)
	outage := time.Since(began)
	time.Sleep(size(time.Second, 5*time.Second))
	all := l.finish()
	v := r.replay(l.ledger)
	target(t, outage <= 15*time.Second, "the outage took %s", outage)
	figure(t, "outage ≤ 15 s; nothing lost", "outage %s, of which 1 s until the promotion; longest time without any success %s; %s; %s",
		outage.Round(time.Millisecond), all.gap(), v, all)
}

// R4, the other half: what waits for a standby that does not answer is not
// acknowledged, or a fail-over to that standby would lose it.
func TestR04StandbyFrozen(t *testing.T) {
	beside(t)
	r, primary, standby := onPair(t)
	l := r.startLoad(4, 2*time.Millisecond)
	time.Sleep(500 * time.Millisecond)
	receiver := append(standby.process.children(), standby.process.command.Process.Pid)
	for _, pid := range receiver {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
	time.Sleep(size(8*time.Second, 20*time.Second)) // longer than a statement may take
	primary.process.kill()
	for _, pid := range receiver {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	time.Sleep(500 * time.Millisecond)
	standby.mustExec("SELECT pg_promote()")
	r.success(startTimeout)
	all := l.finish()
	v := r.replay(l.ledger)
	figure(t, "nothing lost", "%s; %s", v, all)
}
