package storagetest

import (
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

const stateNext, stateActive, stateRetired = "next", "active", "retired"

func newSigningKey(algorithm, state string) registry.SigningKey {
	return registry.SigningKey{
		ID: unlike("kid"), Algorithm: algorithm, State: state, Public: []byte(`{"kty":"EC"}`), Sealed: []byte{0, 1, 2, 255},
		CreatedAt: time.UnixMicro(1_800_000_000_000_000 + sequence.Add(1)).UTC(), // each a little later
	}
}

// statesOf counts the keys of an algorithm by their state.
func statesOf(t *testing.T, s *storage.Store, algorithm string) map[string]int {
	t.Helper()
	keys, err := s.SigningKeys(t.Context())
	ok(t, err)
	states := map[string]int{}
	for _, k := range keys {
		if k.Algorithm == algorithm {
			states[k.State]++
		}
	}
	return states
}

func testSigningKeys(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	if keys, err := s.SigningKeys(ctx); err != nil || len(keys) != 0 {
		t.Fatalf("a new store has %v, %v", keys, err)
	}
	active, next := newSigningKey("ES256", stateActive), newSigningKey("ES256", stateNext)
	other := newSigningKey("RS256", stateActive)
	for _, k := range []registry.SigningKey{active, next, other} {
		ok(t, s.AddSigningKey(ctx, k))
	}
	unchanged := func(name string, want ...registry.SigningKey) {
		t.Helper()
		got, err := s.SigningKeys(ctx)
		ok(t, err)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got\n%+v, want, oldest first,\n%+v", name, got, want)
		}
	}
	unchanged("what was added", active, next, other)
	for name, k := range map[string]registry.SigningKey{
		"a second active key": newSigningKey("ES256", stateActive),
		"a second next key":   newSigningKey("ES256", stateNext),
		"the same key":        {ID: active.ID, Algorithm: "EdDSA", State: stateNext, Public: []byte{1}, Sealed: []byte{1}},
	} {
		if err := s.AddSigningKey(ctx, k); !errors.Is(err, registry.ErrConflict) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	at := time.Now().Truncate(time.Microsecond).UTC()
	following := newSigningKey("ES256", stateNext)
	taken := following
	taken.ID = other.ID
	for name, rotate := range map[string]func() error{
		"the active key is another": func() error { return s.RotateSigningKeys(ctx, "unknown", next.ID, following, at) },
		"the next key is another":   func() error { return s.RotateSigningKeys(ctx, active.ID, "unknown", following, at) },
		"the two the wrong way":     func() error { return s.RotateSigningKeys(ctx, next.ID, active.ID, following, at) },
		"empty ids":                 func() error { return s.RotateSigningKeys(ctx, "", "", following, at) },
		"the following key exists":  func() error { return s.RotateSigningKeys(ctx, active.ID, next.ID, taken, at) },
	} {
		if err := rotate(); !errors.Is(err, registry.ErrConflict) {
			t.Errorf("%s: got %v", name, err)
		}
		unchanged(name, active, next, other)
	}
	ok(t, s.RotateSigningKeys(ctx, active.ID, next.ID, following, at))
	active.State, active.RetiredAt, next.State = stateRetired, at, stateActive
	unchanged("after a rotation", active, next, other, following)
	ok(t, s.DeleteSigningKeys(ctx, at))
	unchanged("keys that retired at a moment did not retire before it", active, next, other, following)
	ok(t, s.DeleteSigningKeys(ctx, at.Add(time.Microsecond)))
	unchanged("only retired keys are deleted", next, other, following)
	ok(t, s.DeleteSigningKeys(ctx, at.Add(100*365*24*time.Hour)))
	unchanged("and nothing else ever", next, other, following)
}

// testRotationNeedsBoth: next cannot take the place of nobody.
func testRotationNeedsBoth(t *testing.T, s *storage.Store) {
	next := newSigningKey("ES256", stateNext)
	ok(t, s.AddSigningKey(t.Context(), next))
	for _, active := range []string{"unknown", "", next.ID} {
		is(t, s.RotateSigningKeys(t.Context(), active, next.ID, newSigningKey("ES256", stateNext), time.Now()), registry.ErrConflict)
	}
	if keys, err := s.SigningKeys(t.Context()); err != nil || len(keys) != 1 || !reflect.DeepEqual(keys[0], next) {
		t.Errorf("got %+v, %v", keys, err)
	}
}

// testSigningKeysAtOnce: many replicas start on an empty database.
func testSigningKeysAtOnce(t *testing.T, s *storage.Store) {
	var all sync.WaitGroup
	var added atomic.Int32
	for n := range 16 {
		algorithm := []string{"ES256", "RS256"}[n%2]
		all.Go(func() {
			for _, state := range []string{stateActive, stateNext} {
				switch err := s.AddSigningKey(t.Context(), newSigningKey(algorithm, state)); {
				case err == nil:
					added.Add(1)
				case !errors.Is(err, registry.ErrConflict):
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for _, algorithm := range []string{"ES256", "RS256"} {
		if got := statesOf(t, s, algorithm); !reflect.DeepEqual(got, map[string]int{stateActive: 1, stateNext: 1}) {
			t.Errorf("%s: %v", algorithm, got)
		}
	}
	if added.Load() != 4 {
		t.Errorf("%d were told that their key is stored, want 4", added.Load())
	}
}

// testRotationsAtOnce: many replicas rotate; one does.
func testRotationsAtOnce(t *testing.T, s *storage.Store) {
	active, next := newSigningKey("ES256", stateActive), newSigningKey("ES256", stateNext)
	ok(t, s.AddSigningKey(t.Context(), active))
	ok(t, s.AddSigningKey(t.Context(), next))
	for round := 1; round <= 5; round++ {
		won := make(chan registry.SigningKey, 8)
		var all sync.WaitGroup
		for range 8 {
			following := newSigningKey("ES256", stateNext)
			all.Go(func() {
				switch err := s.RotateSigningKeys(t.Context(), active.ID, next.ID, following, time.Now()); {
				case err == nil:
					won <- following
				case !errors.Is(err, registry.ErrConflict):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("%d won", len(won))
		}
		active, next = next, <-won
		if got := statesOf(t, s, "ES256"); !reflect.DeepEqual(got, map[string]int{stateActive: 1, stateNext: 1, stateRetired: round}) {
			t.Fatalf("round %d: %v", round, got)
		}
	}
	keys, err := s.SigningKeys(t.Context())
	ok(t, err)
	for _, k := range keys {
		if (k.ID == active.ID) != (k.State == stateActive) || (k.ID == next.ID) != (k.State == stateNext) {
			t.Errorf("%s is %s", k.ID, k.State)
		}
	}
}
