//go:build linux

package chaos

import (
	"fmt"
	"testing"
	"time"
)

// R4, the aftermath: the old primary comes back by itself, a primary still, and
// a replica that is restarted finds it first in its URL.
func TestR04OldPrimaryReturns(t *testing.T) {
	beside(t)
	r, primary, standby := onPair(t)
	l := r.startLoad(4, 5*time.Millisecond)
	time.Sleep(time.Second)
	primary.process.kill()
	standby.mustExec("SELECT pg_promote()")
	r.success(startTimeout)
	time.Sleep(size(500*time.Millisecond, time.Second))
	primary.start()
	before := primary.number("SELECT count(*) FROM exchanges")
	r.replicas[2].stop()
	r.replicas[2].startAndWait()
	time.Sleep(size(2*time.Second, 5*time.Second))
	split := primary.number("SELECT count(*) FROM exchanges") - before
	all := l.finish()
	v := r.replay(l.ledger)
	if split > 0 {
		t.Errorf("%d records were written to the old primary", split)
	}
	figure(t, "no write to the old primary, nothing lost or undone", "%d records written to the old primary; %s; %s", split, v, all)
}

// R4 without a crash: the standby is promoted beside a primary that goes on, and
// that every replica is connected to. Nobody fences it.
func TestR04TwoPrimaries(t *testing.T) {
	beside(t)
	r, primary, standby := onPair(t)
	l := r.startLoad(4, 5*time.Millisecond)
	time.Sleep(time.Second)
	began := time.Now()
	standby.mustExec("SELECT pg_promote()")
	records := func(p *postgres) int { return p.number("SELECT count(*) FROM exchanges") }
	eventually(t, startTimeout, "only the new primary is written to", func() bool {
		old, young := records(primary), records(standby)
		time.Sleep(time.Second)
		return records(primary) == old && records(standby) > young
	})
	moved := time.Since(began)
	// What was sent before and waits for a standby may still appear there; it was
	// never acknowledged.
	known := time.Now().UnixMicro()
	time.Sleep(size(time.Second, 5*time.Second))
	split := primary.number(fmt.Sprintf("SELECT count(*) FROM exchanges WHERE at > %d", known))
	all := l.finish()
	v := r.replay(l.ledger)
	if split > 0 {
		t.Errorf("%d records were written to the old primary", split)
	}
	figure(t, "nothing lost or undone, no write to the old primary once it is known", "all moved %s after the promotion; %d records written to the old primary afterwards; %s; %s",
		moved.Round(10*time.Millisecond), split, v, all)
}
