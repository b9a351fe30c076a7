package signing_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/keys/signing"
	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

func sealer(t *testing.T, fill byte) *signing.Sealer {
	t.Helper()
	key := make([]byte, 32)
	for i := range key {
		key[i] = fill
	}
	s, err := signing.NewSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func open(t *testing.T, store *storage.Store, algorithm string, clock *clock) *signing.Ring {
	t.Helper()
	ring, err := signing.Open(t.Context(), signing.Config{Store: store, Sealer: sealer(t, 1), Algorithm: algorithm, Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestSealing(t *testing.T) {
	s := sealer(t, 1)
	sealed, err := s.Seal("row", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if secret, err := s.Open("row", sealed); err != nil || string(secret) != "secret" {
		t.Errorf("%q %v", secret, err)
	}
	again, err := s.Seal("row", []byte("secret"))
	if err != nil || string(again) == string(sealed) {
		t.Error("the same nonce twice")
	}
	changed := append([]byte{}, sealed...)
	changed[len(changed)-1] ^= 1
	for rule, open := range map[string]func() ([]byte, error){
		"another key":    func() ([]byte, error) { return sealer(t, 2).Open("row", sealed) },
		"another row":    func() ([]byte, error) { return s.Open("other", sealed) },
		"a changed bit":  func() ([]byte, error) { return s.Open("row", changed) },
		"cut short":      func() ([]byte, error) { return s.Open("row", sealed[:5]) },
		"nothing at all": func() ([]byte, error) { return s.Open("row", nil) },
	} {
		if _, err := open(); !errors.Is(err, signing.ErrWrongKey) {
			t.Errorf("%s: %v", rule, err)
		}
	}
	if _, err := signing.NewSealer([]byte("short")); err == nil {
		t.Error("a short key is taken")
	}
}

// Whatever is signed verifies with nothing but what is published; nothing
// private is ever published; a rotation leaves no token unverifiable.
func TestLifeOfAKey(t *testing.T) {
	for _, algorithm := range []string{signing.ES256, signing.RS256, signing.EdDSA} {
		t.Run(algorithm, func(t *testing.T) {
			store, clock := storagetest.Open(t, storagetest.SQLite(t)), &clock{at: time.Now()}
			ring := open(t, store, algorithm, clock)
			next := ""
			for _, key := range ring.Keys() {
				if key.State == signing.StateNext {
					next = key.ID
				}
			}
			if set := published(t, ring); len(set.Key(next)) != 1 {
				t.Error("the next key is not published")
			}
			before := sign(t, ring, algorithm)
			if err := ring.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			after := sign(t, ring, algorithm)
			if after != next {
				t.Errorf("signed by %s, want %s, which was published before", after, next)
			}
			if n := len(published(t, ring).Keys); n != 3 {
				t.Errorf("%d keys are published: want the retired, the active and the next one", n)
			}
			if _, public, err := ring.PublicKey(t.Context(), before); err != nil || public == nil {
				t.Errorf("the retired key verifies no more: %v", err)
			}
			clock.advance(signing.Retain + time.Second)
			if err := ring.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, public, err := ring.PublicKey(t.Context(), before); err != nil || public != nil {
				t.Errorf("the retired key outlives every token: %v %v", public, err)
			}
		})
	}
}

func published(t *testing.T, ring *signing.Ring) jose.JSONWebKeySet {
	t.Helper()
	var raw struct{ Keys []map[string]any }
	if err := json.Unmarshal(ring.JWKS(), &raw); err != nil {
		t.Fatal(err)
	}
	for _, key := range raw.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, ok := key[private]; ok {
				t.Fatalf("%s is published", private)
			}
		}
		if key["kid"] == "" || key["alg"] == "" || key["use"] != "sig" {
			t.Errorf("%v", key)
		}
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(ring.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	return set
}

// sign signs, verifies with the published keys and gives the key's id.
func sign(t *testing.T, ring *signing.Ring, algorithm string) string {
	t.Helper()
	token, err := ring.Sign(t.Context(), "at+jwt", []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
	if err != nil {
		t.Fatal(err)
	}
	header := parsed.Signatures[0].Header
	if _, err := parsed.Verify(published(t, ring)); err != nil || header.ExtraHeaders["typ"] != "at+jwt" {
		t.Errorf("%v, header %v", err, header)
	}
	return header.KeyID
}

// However many replicas start at once, they sign with one key.
func TestReplicasAgreeOnOneKey(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		store, clock := storagetest.Open(t, databaseURL), &clock{at: time.Now()}
		var group sync.WaitGroup
		var mu sync.Mutex
		kids := map[string]bool{}
		for range 8 {
			group.Go(func() {
				ring, err := signing.Open(context.WithoutCancel(t.Context()), signing.Config{Store: store, Sealer: sealer(t, 1), Algorithm: signing.ES256, Now: clock.now})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				for _, key := range ring.Keys() {
					kids[key.State+" "+key.ID] = true
					if key.Sealed != nil {
						t.Error("a private half leaves the ring")
					}
				}
			})
		}
		group.Wait()
		if len(kids) != 2 {
			t.Errorf("keys: %v", kids)
		}
	})
}

// A replica that has not heard of a rotation looks before it says "no such
// key", and says so when it cannot look.
func TestAnotherReplicasKey(t *testing.T) {
	store, clock := storagetest.Open(t, storagetest.SQLite(t)), &clock{at: time.Now()}
	first, second := open(t, store, signing.ES256, clock), open(t, store, signing.ES256, clock)
	for range 2 { // twice, so that even the next key is one the second has not seen
		if err := first.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	kid := sign(t, first, signing.ES256)
	clock.advance(2 * time.Second)
	if algorithm, public, err := second.PublicKey(t.Context(), kid); err != nil || public == nil || algorithm != signing.ES256 {
		t.Errorf("%s %v %v", algorithm, public, err)
	}
	if _, public, err := second.PublicKey(t.Context(), "nobody's"); err != nil || public != nil {
		t.Errorf("%v %v", public, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	clock.advance(2 * time.Second)
	if _, _, err := second.PublicKey(t.Context(), "nobody's"); err == nil {
		t.Error("a database that cannot be asked is no 'no such key'")
	}
	if _, public, err := second.PublicKey(t.Context(), kid); err != nil || public == nil {
		t.Errorf("what is known stays known: %v", err)
	}
}

// Under another secret key the server does not start.
func TestAnotherSecretKey(t *testing.T) {
	store, clock := storagetest.Open(t, storagetest.SQLite(t)), &clock{at: time.Now()}
	open(t, store, signing.ES256, clock)
	_, err := signing.Open(t.Context(), signing.Config{Store: store, Sealer: sealer(t, 2), Algorithm: signing.ES256, Now: clock.now})
	if !errors.Is(err, signing.ErrWrongKey) {
		t.Errorf("got %v", err)
	}
	if _, err := signing.Open(t.Context(), signing.Config{Store: store, Sealer: sealer(t, 1), Algorithm: "HS256", Now: clock.now}); err == nil {
		t.Error("HS256 is taken")
	}
}

// Another algorithm by configuration: both verify, the new one signs.
func TestAnotherAlgorithm(t *testing.T) {
	store, clock := storagetest.Open(t, storagetest.SQLite(t)), &clock{at: time.Now()}
	old := sign(t, open(t, store, signing.ES256, clock), signing.ES256)
	ring := open(t, store, signing.EdDSA, clock)
	sign(t, ring, signing.EdDSA)
	if algorithm, public, err := ring.PublicKey(t.Context(), old); err != nil || public == nil || algorithm != signing.ES256 {
		t.Errorf("%s %v %v", algorithm, public, err)
	}
	if got := ring.Algorithms(); len(got) != 2 || got[0] != signing.EdDSA {
		t.Errorf("algorithms %v", got)
	}
}
