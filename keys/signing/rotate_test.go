package signing_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/keys/signing"
	"github.com/cambio-oauth/cambio/registry"
)

// Replicas that rotate together: at every moment every token verifies with
// what any replica publishes, and no rotation is half-done.
func TestRotateAtOnce(t *testing.T) {
	store, c := &memory{}, newClock()
	rings := make([]*signing.Ring, 8)
	for i := range rings {
		rings[i] = openRing(t, configOf(t, store, signing.EdDSA, c))
	}
	rotations := 0
	for range 8 {
		var won atomic.Int32
		var all sync.WaitGroup
		tokens := make([]string, len(rings))
		for i, ring := range rings {
			all.Go(func() {
				switch err := ring.Rotate(t.Context()); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, registry.ErrConflict):
					t.Error(err)
				}
			})
			all.Go(func() {
				token, err := ring.Sign(t.Context(), "at+jwt", []byte(`{"sub":"x"}`))
				if err != nil {
					t.Error(err)
				}
				tokens[i] = token
			})
		}
		all.Wait()
		if won.Load() == 0 {
			t.Fatal("nobody could rotate")
		}
		rotations += int(won.Load())
		if got := store.states(); got["EdDSA active"] != 1 || got["EdDSA next"] != 1 || got["EdDSA retired"] != rotations {
			t.Fatalf("after %d rotations: %v", rotations, got)
		}
		for _, ring := range rings {
			if err := ring.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, token := range append(tokens, tokenOf(t, ring)) {
				if !verifies(t, ring, token) {
					t.Fatal("a token does not verify")
				}
			}
		}
	}
}

// A rotation that another replica was faster at is told, and nothing is made.
func TestRotateTooLate(t *testing.T) {
	store, c := &memory{}, newClock()
	slow, fast := openRing(t, configOf(t, store, signing.ES256, c)), openRing(t, configOf(t, store, signing.ES256, c))
	store.onRead = func(reads int) {
		store.onRead = nil // after slow has read, and only then
		if err := fast.Rotate(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if err := slow.Rotate(t.Context()); !errors.Is(err, registry.ErrConflict) {
		t.Errorf("got %v", err)
	}
	if got := store.states(); got["ES256 retired"] != 1 || got["ES256 active"] != 1 || got["ES256 next"] != 1 {
		t.Errorf("the store has %v", got)
	}
}

// Who waits for a reading that fails, fails with it: a database that swallows
// questions would else be asked by one after the other.
func TestWaitersFailTogether(t *testing.T) {
	store := &memory{}
	config := configOf(t, store, signing.ES256, newClock())
	config.Now = time.Now
	ring := openRing(t, config)
	before, release := store.reads, make(chan struct{})
	store.fail(errDown)
	store.onRead = func(int) { <-release }
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, _, err := ring.PublicKey(context.Background(), "unknown"); !errors.Is(err, errDown) {
				t.Errorf("got %v", err)
			}
		})
	}
	time.Sleep(100 * time.Millisecond) // until they wait
	close(release)
	all.Wait()
	if n := store.reads - before; n > 2 {
		t.Errorf("8 requests made %d readings", n)
	}
}

// Many requests sign while keys turn under them.
func TestSignWhileRotating(t *testing.T) {
	store, c := &memory{}, newClock()
	ring := openRing(t, configOf(t, store, signing.EdDSA, c))
	done := make(chan struct{})
	tokens := make(chan string, 1<<16)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				token, err := ring.Sign(t.Context(), "at+jwt", []byte(`{"sub":"x"}`))
				if err != nil {
					t.Error(err)
					return
				}
				select {
				case tokens <- token:
				default:
				}
				_, _, _ = ring.PublicKey(t.Context(), "unknown")
				_, _, _ = ring.JWKS(), ring.Keys(), ring.Algorithms()
			}
		})
	}
	for range 50 {
		c.advance(2 * time.Second)
		rotate(t, ring)
	}
	close(done)
	all.Wait()
	close(tokens)
	seen := map[string]bool{}
	for token := range tokens {
		if kid := kidOf(t, token); !seen[kid] {
			seen[kid] = true
			if !verifies(t, ring, token) {
				t.Fatalf("a token of %s does not verify", kid)
			}
		}
	}
}
