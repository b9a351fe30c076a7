package handlers

import (
	"net/netip"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
)

// What a limit stops is neither judged nor looked up, and a right secret
// cannot be told from a wrong one by trying on.
func TestGuessesWithinTheLimits(t *testing.T) {
	clock := newStopped()
	l := newLimits(clock.now)
	stranger := &note{address: netip.MustParseAddr("198.51.100.1")}
	asked := 0
	try := func(right bool) (found bool, g *guess) {
		g = l.guess(stranger, "app")
		return g.within(func(*Client) bool { asked++; return right })(nil), g
	}
	if found, g := try(false); found || g.wait > 0 {
		t.Fatal("a first wrong secret has to be looked up again")
	}
	if found, g := try(true); !found || g.wait > 0 {
		t.Fatal("a right secret is refused")
	}
	drain(l.failures, limitKey{address: stranger.address})
	if found, g := try(true); !found || g.wait > 0 {
		t.Fatal("other people's failures at an address stop who can authenticate")
	}
	for i := range guessesAtOnce {
		if found, g := try(false); !found || g.wait == 0 {
			t.Fatalf("guess %d of an address past its limit is looked up again", i)
		}
	}
	asked = 0
	if _, g := try(true); g.wait == 0 || asked > 0 {
		t.Errorf("past the limit of guesses: wait %v, looked at %d times", g.wait, asked)
	}
	stranger.address = netip.MustParseAddr("198.51.100.2")
	if _, g := try(true); g.wait > 0 {
		t.Error("the client is locked out from everywhere")
	}
}

// Our failures are nobody's, and what is refused by a limit costs nothing more.
func TestWhatIsCharged(t *testing.T) {
	clock := newStopped()
	l := newLimits(clock.now)
	key := limitKey{address: netip.MustParseAddr("198.51.100.1")}
	stranger := &note{address: key.address}
	for range 2 * strangerFailuresAtOnce {
		for _, refusal := range []*grants.Refusal{
			grants.Unavailable(grants.DatabaseUnavailable, "", nil), {Code: grants.ServerError}, refuseFailures(1),
		} {
			if l.charge(stranger, refusal) != refusal {
				t.Fatalf("%s became another refusal", refusal)
			}
		}
		l.guess(stranger, "app").failed(grants.Unavailable(grants.KeysUnavailable, "", nil))
	}
	if n := drain(l.guesses, limitKey{address: key.address, clientID: "app"}); n != guessesAtOnce {
		t.Errorf("%d guesses left, want %d", n, guessesAtOnce)
	}
	if n := drain(l.failures, key); n != strangerFailuresAtOnce {
		t.Errorf("%d failures left, want %d", n, strangerFailuresAtOnce)
	}
}
