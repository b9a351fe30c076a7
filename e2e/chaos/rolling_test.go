//go:build linux

package chaos

import (
	"testing"
	"time"
)

// R13: one replica after the other is restarted, as a deployment does. Nobody
// may notice.
func TestR13RollingRestart(t *testing.T) {
	r := onPostgres(t, 3)
	l := r.startLoad(size(4, 16), size(10*time.Millisecond, time.Duration(0)))
	time.Sleep(size(time.Second, 5*time.Second))
	began := time.Now()
	rounds := size(1, 10)
	slowest := time.Duration(0)
	for range rounds {
		for _, replica := range r.replicas {
			stopping := time.Now()
			replica.stop()
			slowest = max(slowest, time.Since(stopping))
			replica.startAndWait()
			time.Sleep(3 * checkInterval) // until the balancer has seen it
		}
	}
	for full && len(l.soFar()) < 100_000 && time.Since(began) < 5*time.Minute {
		time.Sleep(time.Second)
	}
	all := l.finish()
	v := r.replay(l.ledger)
	failed := len(all) - len(all.with(200))
	steady, rolling := all.during(time.Time{}, began).percentile(.99), all.during(began, time.Now()).percentile(.99)
	if failed > 0 {
		t.Errorf("%d requests failed", failed)
	}
	target(t, rolling <= max(2*steady, 20*time.Millisecond), "p99 %s while restarting, %s before", rolling, steady)
	figure(t, "0 failed of 100,000; p99 ≤ 2 × steady", "%d rounds of 3 restarts: %d failed; slowest stop %s; p99 %s, before %s; %s; %s",
		rounds, failed, slowest.Round(time.Millisecond), rolling, steady, v, all)
}
