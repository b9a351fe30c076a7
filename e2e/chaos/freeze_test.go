//go:build linux

package chaos

import (
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"
)

// R17: a replica stands still for a while and wakes up with what it knew
// before. What it is asked in the moment of waking must be judged by what is
// true then.
func TestR17Freeze(t *testing.T) {
	beside(t)
	r := onPostgres(t, 3)
	other := r.create("/integrators/"+r.integrator+"/clients", object{"client_name": "to be disabled"})
	disabled := party{r.integrator, other["client_id"].(string), other["client_secret"].(string)}
	r.client.Timeout = 2 * time.Second // a client that waits for the frozen replica gives up
	l := r.startLoad(4, 5*time.Millisecond)
	time.Sleep(500 * time.Millisecond)
	live, dead := r.mustExchange(), r.mustExchange()
	frozen := r.replicas[1]
	frozen.process.signal(syscall.SIGSTOP)
	if status, _, err := r.revoke(r.replicas[0].url(), dead); err != nil || status != http.StatusOK {
		t.Fatalf("revoke: %d %v", status, err)
	}
	r.admin(http.MethodPatch, "/integrators/"+r.integrator+"/clients/"+disabled.clientID, object{"status": "disabled"}, http.StatusOK)
	asleep := size(6*time.Second, time.Minute)
	time.Sleep(asleep)

	var questions sync.WaitGroup
	for range 20 { // they wait in its listener
		questions.Go(func() { r.mustNotBe(frozen, dead, true) })
		questions.Go(func() { r.mustNotBe(frozen, live, false) })
		questions.Go(func() { r.mustNotMint(frozen, disabled) })
	}
	time.Sleep(300 * time.Millisecond)
	frozen.process.signal(syscall.SIGCONT)
	questions.Wait()
	awake := frozen.waitReady(30 * time.Second)
	time.Sleep(500 * time.Millisecond)
	all := l.finish()
	v := r.replay(l.ledger)
	figure(t, "no revoked token active, no stale configuration used", "asleep %s, 60 questions at waking, ready after %s; longest time without any success %s; %s; %s",
		asleep, awake.Round(time.Millisecond), all.gap(), v, all)
}

// mustNotBe introspects: 503 is no answer, the wrong one is a failure.
func (r *rig) mustNotBe(replica *replica, token string, active bool) {
	status, answer, err := r.introspect(replica.url(), token)
	switch {
	case err != nil:
		r.t.Errorf("introspect: %v", err)
	case status == http.StatusOK && answer["active"] == active:
		r.t.Errorf("a replica that has just woken up says active: %v", active)
	case status != http.StatusOK && status != http.StatusServiceUnavailable:
		r.t.Errorf("a replica that has just woken up answers %d %v", status, answer)
	}
}

// mustNotMint asks for a token as a client that is disabled. One that is minted
// all the same has to be dead.
func (r *rig) mustNotMint(replica *replica, disabled party) {
	status, answer, err := r.exchangeAs(disabled, replica.url(), r.subjectToken("somebody"))
	if err != nil {
		r.t.Errorf("exchange: %v", err)
	}
	if status == http.StatusOK {
		r.mustNotBe(r.replicas[0], answer["access_token"].(string), true)
	}
}
