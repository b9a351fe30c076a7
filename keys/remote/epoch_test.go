package remote

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cambio-oauth/cambio/grants/assertion"
)

// Forget makes the next question of a test the first one.
func (s *Source) Forget(ref assertion.KeyRef) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, ref)
}

func of(query assertion.KeyQuery, epoch int64) assertion.KeyQuery {
	query.Epoch = epoch
	return query
}

// KEY-09.
func TestANewEpochDropsTheKeysAtOnce(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		u.find(of(q("a"), 1), "a", 1)
		u.publish(named("b"))
		u.find(of(q("a"), 2), "", 2) // within the pause between two fetches
		u.find(of(q("b"), 2), "b", 2)
		u.find(of(q("b"), 1), "b", 2) // a question that has not heard of it
		u.breakDown()
		u.find(of(q("b"), 3), "!unreachable", 3) // never what was there before
		u.find(of(q("b"), 3), "!unreachable", 3)
		u.find(of(q("b"), 2), "b", 3)
		time.Sleep(RefetchAfter)
		u.publish(named("b"))
		u.find(of(q("b"), 3), "b", 4)
	})
}

func TestAFetchOfAnOlderEpochAnswersNobodyOfTheNewer(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		resume := u.delay()
		old := make(chan string)
		go func() { old <- ids(must(u.Find(t.Context(), of(q(""), 1)))) }()
		synctest.Wait()
		fresh := make(chan string)
		go func() { fresh <- ids(must(u.Find(t.Context(), of(q(""), 2)))) }()
		synctest.Wait()
		u.set(named("b"), nil, u.hold) // the running fetch has "a" already
		resume()
		if got := <-old; got != "a" && got != "b" { // either was true while it asked
			t.Errorf("the older question got %q", got)
		}
		if got := <-fresh; got != "b" || u.fetches.Load() != 2 {
			t.Errorf("the newer question got %q after %d fetches", got, u.fetches.Load())
		}
	})
}
