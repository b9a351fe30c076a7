package signing_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/cambio-oauth/cambio/keys/signing"
)

func newSealer(t *testing.T, first byte) *signing.Sealer {
	t.Helper()
	sealer, err := signing.NewSealer(append([]byte{first}, make([]byte, 31)...))
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

func TestSealerTakes32Bytes(t *testing.T) {
	for n := range 65 {
		if _, err := signing.NewSealer(make([]byte, n)); (err == nil) != (n == 32) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// What was sealed opens under the same key for the same row, and in no other
// way.
func TestSealer(t *testing.T) {
	sealer := newSealer(t, 1)
	secret := []byte("the private half")
	sealed, err := sealer.Seal("kid", secret)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := sealer.Open("kid", sealed); err != nil || !bytes.Equal(got, secret) {
		t.Fatalf("got %q, %v", got, err)
	}
	if bytes.Contains(sealed, secret[:4]) {
		t.Error("the secret shows")
	}
	refused := func(name string, s *signing.Sealer, id string, sealed []byte) {
		t.Helper()
		if got, err := s.Open(id, sealed); !errors.Is(err, signing.ErrWrongKey) || got != nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	refused("another key", newSealer(t, 2), "kid", sealed)
	refused("another row", sealer, "dik", sealed)
	refused("no row", sealer, "", sealed)
	refused("a longer id", sealer, "kid ", sealed)
	for n := range sealed {
		refused("cut short", sealer, "kid", sealed[:n])
		changed := slices.Clone(sealed)
		changed[n] ^= 1
		refused("one bit changed", sealer, "kid", changed)
	}
	refused("one byte more", sealer, "kid", append(slices.Clone(sealed), 0))
	refused("nothing", sealer, "kid", nil)
}

// AES-GCM loses everything when a nonce comes twice.
func TestNoncesAreUnique(t *testing.T) {
	sealer := newSealer(t, 1)
	seen := map[string]bool{}
	for range 100_000 {
		sealed, err := sealer.Seal("kid", nil)
		if err != nil {
			t.Fatal(err)
		}
		nonce := string(sealed[:12])
		if seen[nonce] {
			t.Fatalf("%x came twice", nonce)
		}
		seen[nonce] = true
	}
}
