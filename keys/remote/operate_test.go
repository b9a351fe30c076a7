package remote

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/registry"
)

func (u *keyURL) renewAll() {
	u.t.Helper()
	if err := u.Renew(u.t.Context(), func(registry.KeySource) bool { return !u.unwanted }); err != nil {
		u.t.Fatal(err)
	}
	synctest.Wait()
}

// KEY-08: what is removed stops within ten minutes, and no token waits.
func TestRenewKeepsKeysFresh(t *testing.T) {
	inBubble(t, named("a", "b"), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "a", 1)
		u.publish(named("b"))
		for range FreshFor / RenewInterval {
			u.renewAll()
			time.Sleep(RenewInterval)
		}
		u.find(q("b"), "b", 2)
		u.find(q("a"), "", 3)
	})
}

// KEY-14, KEY-15: through an outage no question waits, and the key URL is
// asked once in 30 seconds.
func TestRenewRetriesThroughAnOutage(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "a", 1)
		u.breakDown()
		resume := u.delay()
		resume()
		for range time.Hour / RenewInterval {
			u.renewAll()
			if _, wait := u.entries[q("").Ref].decide(q("a"), time.Now()); wait {
				t.Fatal("a question would wait")
			}
			time.Sleep(RenewInterval)
		}
		if n := u.fetches.Load(); n < 100 || n > 121 {
			t.Errorf("%d fetches in an hour", n)
		}
		u.publish(named("b"))
		time.Sleep(RefetchAfter)
		n := u.fetches.Load()
		u.renewAll()
		u.find(q("b"), "b", n+1)
	})
}

func TestRenewLeavesAloneWhatIsGone(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "a", 1)
		time.Sleep(renewAfter + renewSpread)
		u.unwanted = true
		u.renewAll()
		if n := u.fetches.Load(); n != 1 {
			t.Errorf("%d fetches of a key URL that was deleted", n)
		}
		time.Sleep(forgetAfter)
		u.renewAll()
		if len(u.entries) != 0 || u.States()[StateDown] != 0 {
			t.Errorf("it is still in memory: %v", u.States())
		}
	})
}

func TestRenewLeavesAloneWhatNobodyAsksFor(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "a", 1)
		time.Sleep(forgetAfter)
		u.renewAll()
		u.find(q("a"), "a", 2)
		u.breakDown()
		time.Sleep(FreshFor + 1)
		u.find(query("https://never.test/", ""), "!unreachable", 3)
		time.Sleep(coldRetryAfter)
		u.renewAll() // the first one only: what never worked waits for a question
		u.find(q("a"), "a", 4)
	})
}

// KEY-22.
func TestThousandsOfSilentKeyURLsAreRenewedAFewAtATime(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		const many = 5000
		for i := range many {
			must(u.Find(t.Context(), assertion.KeyQuery{Ref: assertion.KeyRef{IntegratorID: fmt.Sprint(i), URL: testURL}}))
		}
		u.find(q("a"), "a", many+1)
		time.Sleep(renewAfter + renewSpread)
		before := runtime.NumGoroutine()
		resume := u.delay() // nothing answers any more
		for range 10 {
			u.renewAll()
		}
		if n := u.fetches.Load() - many - 1; n != maxRenewals {
			t.Errorf("%d fetches at once", n)
		}
		if n := runtime.NumGoroutine() - before; n > 2*maxRenewals+2 {
			t.Errorf("%d goroutines more", n)
		}
		must(u.Find(t.Context(), q("a"))) // and does not wait
		resume()
		synctest.Wait()
		u.renewAll()
		if n := u.fetches.Load() - many - 1; n <= maxRenewals {
			t.Error("it does not go on")
		}
	})
}

func TestOneIntegratorDoesNotTakeAllRenewals(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		for i := range 64 {
			must(u.Find(t.Context(), query(fmt.Sprint("https://", i, ".test/"), "a")))
		}
		time.Sleep(renewAfter + renewSpread)
		resume := u.delay()
		for range 5 {
			u.renewAll()
		}
		if n := u.fetches.Load() - 64; n != maxRenewalsPerIntegrator {
			t.Errorf("%d fetches at once", n)
		}
		resume()
	})
}

// R9: one integrator with many slow key URLs leaves room for the others.
func TestPlaces(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		resume := u.delay()
		var group sync.WaitGroup
		for i := range 3 * maxFetchesPerIntegrator {
			slow := assertion.KeyQuery{Ref: assertion.KeyRef{IntegratorID: "slow", URL: fmt.Sprint("https://", i, ".test/")}, KeyID: "a"}
			group.Go(func() {
				if keys, err := u.Find(t.Context(), slow); err != nil || len(keys) != 1 {
					t.Errorf("%v %v", keys, err)
				}
			})
		}
		synctest.Wait()
		if n := u.fetches.Load(); n != maxFetchesPerIntegrator {
			t.Errorf("%d fetches of one integrator at once", n)
		}
		go u.Find(t.Context(), q("a"))
		synctest.Wait()
		if n := u.fetches.Load(); n != maxFetchesPerIntegrator+1 {
			t.Error("another integrator waits for it")
		}
		resume()
		group.Wait()
		synctest.Wait()
		if len(u.places.lanes) != 0 || len(u.places.all) != 0 {
			t.Errorf("places are not given back: %d lanes, %d taken", len(u.places.lanes), len(u.places.all))
		}
	})
}

func TestWhoFindsNoPlaceInTimeFails(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		var leave [maxFetchesPerIntegrator]func()
		for i := range leave {
			leave[i] = must(u.places.enter(t.Context(), "acme"))
		}
		u.find(q("a"), "!timeout", 0)
		for _, leave := range leave {
			leave()
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range maxFetches {
			must(u.places.enter(t.Context(), fmt.Sprint(len(u.places.all))))
		}
		if _, err := u.places.enter(ctx, "late"); err == nil {
			t.Error("there is one place too many")
		}
		if _, waits := u.places.lanes["late"]; waits {
			t.Error("who went away is still counted")
		}
	})
}

func TestStates(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		states := func(fresh, stale, failing, down int) {
			t.Helper()
			want := map[string]int{StateFresh: fresh, StateStale: stale, StateFailing: failing, StateDown: down}
			if got := u.States(); !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		states(0, 0, 0, 0)
		u.find(q("a"), "a", 1)
		states(1, 0, 0, 0)
		time.Sleep(FreshFor + 1)
		states(0, 1, 0, 0)
		u.breakDown()
		u.find(q("a"), "a", 2)
		states(0, 0, 1, 0)
		time.Sleep(StaleFor - FreshFor)
		states(0, 0, 0, 1)
		time.Sleep(FreshFor)
		states(0, 0, 0, 0) // nobody has asked for a day
	})
}
