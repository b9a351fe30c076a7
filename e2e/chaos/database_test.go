//go:build linux

package chaos

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// R3: PostgreSQL is restarted under load.
func TestR03PostgresRestart(t *testing.T) {
	r := onPostgres(t, 3)
	l := r.startLoad(size(4, 8), 2*time.Millisecond)
	restarts := size(2, 20)
	slowest := time.Duration(0)
	for i := range restarts {
		time.Sleep(300 * time.Millisecond)
		r.postgres.stop([]syscall.Signal{syscall.SIGINT, syscall.SIGQUIT}[i%2])
		time.Sleep(100*time.Millisecond + rand.N(size(200*time.Millisecond, time.Second)))
		r.postgres.start()
		slowest = max(slowest, r.success(startTimeout))
	}
	all := l.finish()
	v := r.replay(l.ledger)
	target(t, slowest <= 5*time.Second, "the first success came %s after PostgreSQL was ready", slowest)
	target(t, len(all.with(0)) == 0, "%d requests were not answered", len(all.with(0)))
	figure(t, "only 503 in between; first success ≤ 5 s after PostgreSQL is ready; nothing lost",
		"%d restarts, fast and immediate in turn, %s; slowest first success %s; %s", restarts, v, slowest.Round(time.Millisecond), all)
}

// success waits until an exchange succeeds on every replica.
func (r *rig) success(within time.Duration) time.Duration {
	r.t.Helper()
	token := r.subjectToken("somebody")
	return eventually(r.t, within, "every replica exchanges again", func() bool {
		for _, replica := range r.replicas {
			if status, _, err := r.exchange(replica.url(), token); err != nil || status != http.StatusOK {
				return false
			}
		}
		return true
	})
}

// R5: packets to the database vanish; nothing is refused.
func TestR05BlackHole(t *testing.T) {
	beside(t)
	r := onPostgres(t, 2)
	before := r.goroutines()
	l := r.startLoad(size(4, 16), 2*time.Millisecond)
	time.Sleep(time.Second)
	began := time.Now()
	r.wire.blackHole(true)
	unready := eventually(t, 20*time.Second, "no replica is ready", func() bool {
		return !r.replicas[0].ready(time.Second) && !r.replicas[1].ready(time.Second)
	})
	time.Sleep(time.Until(began.Add(size(7*time.Second, 30*time.Second))))
	r.wire.blackHole(false)
	healed := time.Now()
	recovered := r.success(30 * time.Second)
	time.Sleep(500 * time.Millisecond)
	all := l.finish()
	v := r.replay(l.ledger)
	r.closeIdle()
	settled := eventually(t, time.Minute, "goroutines are back to what they were", func() bool { return r.goroutines() <= before+20*len(r.replicas) })
	slowest := all.during(began, healed).percentile(1)
	target(t, slowest <= 3*time.Second, "an answer took %s", slowest)
	target(t, unready <= 5*time.Second, "ready for another %s", unready)
	if slowest > 12*time.Second {
		t.Errorf("an answer took %s", slowest)
	}
	figure(t, "503 ≤ 3 s; not ready ≤ 5 s; goroutines back ≤ 30 s; recovers by itself",
		"%s of nothing: slowest answer %s, not ready after %s, recovered %s and goroutines %s after the end; %s; %s",
		healed.Sub(began).Round(time.Second), slowest, unready.Round(time.Millisecond), recovered.Round(time.Millisecond), settled.Round(time.Millisecond), v, all)
}

// closeIdle closes the connections that are kept for later: a replica holds a
// goroutine for each.
func (r *rig) closeIdle() {
	r.client.CloseIdleConnections()
	for _, backend := range r.balancer.backends {
		backend.transport.CloseIdleConnections()
	}
}

// goroutines of all replicas.
func (r *rig) goroutines() int {
	sum := 0
	for _, replica := range r.replicas {
		n, err := replica.metric("go_goroutines")
		if err != nil {
			r.t.Fatal(err)
		}
		sum += int(n)
	}
	return sum
}

// R6: every statement takes longer, by a little and by a lot.
func TestR06SlowDatabase(t *testing.T) {
	beside(t)
	r := onPostgres(t, 2)
	l := r.startLoad(size(4, 32), 2*time.Millisecond)
	delays := []time.Duration{200 * time.Millisecond, 2 * time.Second}
	var from, to [2]time.Time
	for i, delay := range delays {
		time.Sleep(500 * time.Millisecond)
		r.wire.slow(delay)
		from[i] = time.Now()
		time.Sleep(size(4*time.Second, 10*time.Second))
		to[i] = time.Now()
		r.wire.slow(0)
		r.success(30 * time.Second)
	}
	all := l.finish()
	v := r.replay(l.ledger)
	text := ""
	for i, delay := range delays {
		slow := all.during(from[i], to[i])
		slowest := slow.with(http.StatusOK).percentile(0.99)
		target(t, slowest <= 1500*time.Millisecond, "%s a statement: p99 of what was admitted is %s", delay, slowest)
		text += fmt.Sprintf("%s a statement: p99 of 200 %s, %s; ", delay, slowest, slow)
	}
	figure(t, "p99 of 200 ≤ 1.5 s, or shed", "%s%s", text, v)
}
