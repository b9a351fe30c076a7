package signing_test

import (
	"errors"
	"testing"

	"github.com/cambio-oauth/cambio/keys/signing"
	"github.com/cambio-oauth/cambio/registry"
)

// Whoever can write to the database but has not CAMBIO_SECRET_KEY must not be
// able to make keys: a row that does not open is none of ours, in any state.
func TestForeignRowsVerifyNothing(t *testing.T) {
	for _, state := range []string{signing.StateActive, signing.StateNext, signing.StateRetired} {
		t.Run(state, func(t *testing.T) {
			store, c := &memory{}, newClock()
			config := configOf(t, store, signing.ES256, c)
			ring := openRing(t, config)
			intruder := config
			intruder.Store, intruder.Sealer, intruder.Algorithm = &memory{}, newSealer(t, 2), signing.EdDSA
			forger := openRing(t, intruder)
			token := tokenOf(t, forger)
			intruder.Store.(*memory).tamper(signing.StateActive, func(k *registry.SigningKey) {
				foreign := *k
				foreign.State, foreign.RetiredAt = state, c.now()
				if err := store.AddSigningKey(t.Context(), foreign); err != nil {
					t.Fatal(err)
				}
			})
			if err := ring.Reload(t.Context()); err == nil && (known(t, ring, token) || verifies(t, ring, token)) {
				t.Error("a token that we did not sign verifies")
			}
		})
	}
}

// A next key that does not open must not become the one that signs: no replica
// could ever start again.
func TestRotateLooksBeforeItLeaps(t *testing.T) {
	store, c := &memory{}, newClock()
	ring := openRing(t, configOf(t, store, signing.ES256, c))
	store.tamper(signing.StateNext, func(k *registry.SigningKey) { k.Sealed[len(k.Sealed)-1] ^= 1 })
	if err := ring.Rotate(t.Context()); err == nil || errors.Is(err, registry.ErrConflict) {
		t.Errorf("got %v", err)
	}
	if got := store.states(); got["ES256 retired"] != 0 {
		t.Errorf("it rotated to a key that nobody can use: %v", got)
	}
	if !verifies(t, ring, tokenOf(t, ring)) {
		t.Error("the key that was active does not sign any more")
	}
}
