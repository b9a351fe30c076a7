package signing_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/keys/signing"
	"github.com/cambio-oauth/cambio/registry"
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
	due(two, time.Hour, false) // the other replica did, of which this one has not heard
	if err := two.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	due(two, time.Hour, false)
	if after := sign(t, two, signing.ES256); after == before {
		t.Error("the same key signs")
	}
}

// Whoever waits for the next key to be published rotates to that one: not to
// the one that another process publishes meanwhile.
func TestRotateWhenPublishedMeansOneKey(t *testing.T) {
	store, clock := storagetest.Open(t, storagetest.SQLite(t)), &clock{at: time.Now()}
	between := &betweenReadings{Store: store}
	one, err := signing.Open(t.Context(), signing.Config{Store: between, Sealer: sealer(t, 1), Algorithm: signing.ES256, Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	two := open(t, store, signing.ES256, clock)
	clock.advance(time.Hour)
	between.do = func() {
		if err := two.Rotate(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := one.RotateWhenPublished(t.Context()); !errors.Is(err, registry.ErrConflict) {
		t.Errorf("got %v, want a conflict", err)
	}
	if err := one.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(one.Keys()); n != 3 {
		t.Errorf("%d keys, want those of one rotation", n)
	}
}

// betweenReadings does something once, after the keys have been read.
type betweenReadings struct {
	signing.Store
	do func()
}

func (b *betweenReadings) SigningKeys(ctx context.Context) ([]registry.SigningKey, error) {
	rows, err := b.Store.SigningKeys(ctx)
	if do := b.do; do != nil {
		b.do = nil
		do()
	}
	return rows, err
}
