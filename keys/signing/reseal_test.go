package signing_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/keys/signing"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// Another secret key, with the one of before: nothing that was signed or sealed
// is lost, and afterwards the old one opens nothing.
func TestReseal(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		store, clock := storagetest.Open(t, databaseURL), &clock{at: time.Now()}
		sealerOf := func(keys ...byte) *signing.Sealer {
			t.Helper()
			var list [][]byte
			for _, fill := range keys {
				list = append(list, bytes.Repeat([]byte{fill}, 32))
			}
			sealer, err := signing.NewSealer(list[0], list[1:]...)
			if err != nil {
				t.Fatal(err)
			}
			return sealer
		}
		ringOf := func(sealer *signing.Sealer) (*signing.Ring, error) {
			return signing.Open(t.Context(), signing.Config{Store: store, Sealer: sealer, Algorithm: signing.ES256, Now: clock.now})
		}
		first, err := ringOf(sealerOf(1))
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Rotate(t.Context()); err != nil { // so that there is a retired one
			t.Fatal(err)
		}
		kid := sign(t, first, signing.ES256)

		both, err := ringOf(sealerOf(2, 1))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := both.Reseal(t.Context()); n != 3 || err != nil {
			t.Errorf("%d keys were sealed anew, %v", n, err)
		}
		if n, err := both.Reseal(t.Context()); n != 0 || err != nil {
			t.Errorf("again %d keys, %v", n, err)
		}
		if _, err := ringOf(sealerOf(1)); !errors.Is(err, signing.ErrWrongKey) {
			t.Errorf("with the old key alone: %v", err)
		}
		second, err := ringOf(sealerOf(2))
		if err != nil {
			t.Fatal(err)
		}
		if got := sign(t, second, signing.ES256); got != kid {
			t.Errorf("key %s signs, want %s", got, kid)
		}
		if got, want := len(second.Keys()), 3; got != want {
			t.Errorf("%d keys, want %d", got, want)
		}
	})
}

// On schedule a key signs for its lifetime, and no key does before verifiers
// can know it.
func TestRotateIfDue(t *testing.T) {
	store, clock := storagetest.Open(t, storagetest.SQLite(t)), &clock{at: time.Now()}
	one, two := open(t, store, signing.ES256, clock), open(t, store, signing.ES256, clock)
	due := func(ring *signing.Ring, lifetime time.Duration, want bool) {
		t.Helper()
		if err := ring.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rotated, err := ring.RotateIfDue(t.Context(), lifetime); rotated != want || err != nil {
			t.Errorf("rotated %v, %v, want %v", rotated, err, want)
		}
	}
	before := sign(t, one, signing.ES256)
	clock.advance(9 * time.Minute)
	due(one, time.Second, false) // not published for long enough
	clock.advance(time.Minute)
	due(one, time.Hour, false)
	clock.advance(50 * time.Minute)
	due(one, time.Hour, true)
	due(two, time.Hour, false) // the other replica did
	if after := sign(t, two, signing.ES256); after == before {
		t.Error("the same key signs")
	}
}
