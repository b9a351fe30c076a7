//go:build linux && chaos

package chaos

import (
	"testing"
	"time"
)

// R4, the aftermath: the old primary comes back by itself, a primary still, and
// a replica that is restarted finds it first. It fails: whoever comes first in
// the URL and can be written to is believed (docs/reliability.md).
func TestR04OldPrimaryReturns(t *testing.T) {
	r, primary, standby := onPair(t)
	l := r.startLoad(4, 5*time.Millisecond)
	time.Sleep(time.Second)
	primary.process.kill()
	standby.mustExec("SELECT pg_promote()")
	r.success(startTimeout)
	time.Sleep(time.Second)
	primary.start()
	before := primary.number("SELECT count(*) FROM exchanges")
	r.replicas[2].stop()
	r.replicas[2].startAndWait()
	time.Sleep(5 * time.Second)
	split := primary.number("SELECT count(*) FROM exchanges") - before
	all := l.finish()
	v := r.replay(l.ledger)
	if split > 0 {
		t.Errorf("%d records were written to the old primary", split)
	}
	figure(t, "no write to the old primary, nothing lost or undone", "%d records written to the old primary; %s; %s", split, v, all)
}
