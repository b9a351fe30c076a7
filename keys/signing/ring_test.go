package signing_test

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/keys/signing"
	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// What each algorithm signs, a resource server verifies with what is published.
func TestSignedVerifies(t *testing.T) {
	for _, algorithm := range []string{signing.ES256, signing.RS256, signing.EdDSA} {
		t.Run(algorithm, func(t *testing.T) {
			ring := openRing(t, configOf(t, &memory{}, algorithm, newClock()))
			token := tokenOf(t, ring)
			if !verifies(t, ring, token) || !known(t, ring, token) {
				t.Fatal("it does not verify")
			}
			signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
			if err != nil {
				t.Fatal(err)
			}
			header := signed.Signatures[0].Protected
			if header.ExtraHeaders[jose.HeaderType] != "at+jwt" || header.JSONWebKey != nil {
				t.Errorf("header %+v", header)
			}
			parts := strings.Split(token, ".")
			raw, err := base64.RawURLEncoding.DecodeString(parts[0])
			if err != nil {
				t.Fatal(err)
			}
			var members map[string]any
			if err := json.Unmarshal(raw, &members); err != nil {
				t.Fatal(err)
			}
			if got := slices.Sorted(maps.Keys(members)); !slices.Equal(got, []string{"alg", "kid", "typ"}) {
				t.Errorf("the header has %v", got)
			}
			other := openRing(t, configOf(t, &memory{}, algorithm, newClock()))
			if known(t, other, token) || verifies(t, other, token) {
				t.Error("another server's ring accepts it")
			}
			if !slices.Equal(ring.Algorithms(), []string{algorithm}) || !ring.Ready() {
				t.Errorf("algorithms %v, ready %v", ring.Algorithms(), ring.Ready())
			}
		})
	}
}

func TestOpenRefusesOtherAlgorithms(t *testing.T) {
	for _, algorithm := range []string{"", "none", "HS256", "es256", "ES384", "PS256"} {
		store := &memory{}
		if _, err := signing.Open(t.Context(), configOf(t, store, algorithm, newClock())); err == nil || len(store.rows) != 0 {
			t.Errorf("%q: %v, stored %d keys", algorithm, err, len(store.rows))
		}
	}
}

// The published document never has a private member (RFC 7518 §6), in any
// state of any key.
func TestJWKSIsPublic(t *testing.T) {
	store, c := &memory{}, newClock()
	var last *signing.Ring
	for _, algorithm := range []string{signing.ES256, signing.RS256, signing.EdDSA} {
		last = openRing(t, configOf(t, store, algorithm, c))
		rotate(t, last)
	}
	var document struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(last.JWKS(), &document); err != nil {
		t.Fatal(err)
	}
	if len(document.Keys) != 9 { // retired, active and next of each
		t.Fatalf("%d keys are published", len(document.Keys))
	}
	public := map[string][]string{
		"EC": {"alg", "crv", "kid", "kty", "use", "x", "y"}, "RSA": {"alg", "e", "kid", "kty", "n", "use"}, "OKP": {"alg", "crv", "kid", "kty", "use", "x"},
	}
	kids := map[any]bool{}
	for _, key := range document.Keys {
		if got := slices.Sorted(maps.Keys(key)); !slices.Equal(got, public[key["kty"].(string)]) {
			t.Errorf("%s has the members %v", key["kty"], got)
		}
		if key["use"] != "sig" || kids[key["kid"]] {
			t.Errorf("%v", key)
		}
		kids[key["kid"]] = true
	}
	for _, key := range published(t, last).Keys {
		thumbprint, err := key.Thumbprint(crypto.SHA256) // RFC 7638
		if err != nil || key.KeyID != base64.RawURLEncoding.EncodeToString(thumbprint) || !key.IsPublic() || !key.Valid() {
			t.Errorf("%s: %v", key.KeyID, err)
		}
	}
	for _, row := range last.Keys() {
		if row.Sealed != nil {
			t.Errorf("%s shows its private half", row.ID)
		}
	}
	for _, row := range store.rows {
		if strings.Contains(string(row.Sealed), `"d"`) || strings.Contains(string(row.Public), `"d"`) {
			t.Errorf("%s is stored with its private half open", row.ID)
		}
	}
}

func TestJWKSIsStable(t *testing.T) {
	store, c := &memory{}, newClock()
	ring := openRing(t, configOf(t, store, signing.ES256, c))
	before := string(ring.JWKS())
	for range 5 {
		if err := ring.Reload(t.Context()); err != nil || string(ring.JWKS()) != before {
			t.Fatalf("%v: got %s, had %s", err, ring.JWKS(), before)
		}
	}
	if again := openRing(t, configOf(t, store, signing.ES256, c)); string(again.JWKS()) != before {
		t.Error("another replica publishes another document")
	}
}

// A key is published before it signs, signs from one rotation to the next, and
// verifies until nothing that it signed can live.
func TestPublishedBeforeAndAfterUse(t *testing.T) {
	store, c := &memory{}, newClock()
	config := configOf(t, store, signing.ES256, c)
	ring, other := openRing(t, config), openRing(t, config)
	first := tokenOf(t, ring)
	announced := published(t, ring)
	c.advance(time.Hour)
	rotate(t, ring)
	second := tokenOf(t, ring)
	if kidOf(t, second) == kidOf(t, first) || len(announced.Key(kidOf(t, second))) != 1 {
		t.Error("the key that signs now was not published before")
	}
	if !verifies(t, ring, first) || !known(t, ring, first) || !verifies(t, ring, second) {
		t.Error("after a rotation the retired and the active key verify")
	}
	if !known(t, other, second) || !verifies(t, other, second) {
		t.Error("a replica that has not heard of the rotation knows the key already")
	}
	if got := store.states(); !maps.Equal(got, map[string]int{"ES256 active": 1, "ES256 next": 1, "ES256 retired": 1}) {
		t.Errorf("the store has %v", got)
	}
	reload := func() {
		t.Helper()
		if err := ring.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.advance(signing.Retain)
	reload()
	if !verifies(t, ring, first) || !known(t, ring, first) {
		t.Error("it ended too early")
	}
	c.advance(1)
	reload()
	if verifies(t, ring, first) || known(t, ring, first) {
		t.Error("it goes on for ever")
	}
	if !verifies(t, ring, second) || len(ring.Keys()) != 2 {
		t.Errorf("what is left is %v", ring.Keys())
	}
	if signing.Retain <= registry.MaxAccessTokenTTL {
		t.Errorf("a token may live for %v, its key is kept for %v", registry.MaxAccessTokenTTL, signing.Retain)
	}
}

// After a change of algorithm the old keys verify, and both are told of.
func TestChangeOfAlgorithm(t *testing.T) {
	store, c := &memory{}, newClock()
	old := openRing(t, configOf(t, store, signing.ES256, c))
	token := tokenOf(t, old)
	ring := openRing(t, configOf(t, store, signing.RS256, c))
	if !verifies(t, ring, token) || !known(t, ring, token) || !verifies(t, ring, tokenOf(t, ring)) {
		t.Error("a token does not verify")
	}
	if got := ring.Algorithms(); !slices.Equal(got, []string{signing.RS256, signing.ES256}) {
		t.Errorf("algorithms %v", got)
	}
	rotate(t, ring)
	if got := store.states(); got["ES256 active"] != 1 || got["ES256 next"] != 1 || got["RS256 active"] != 1 || got["RS256 retired"] != 1 {
		t.Errorf("a rotation of one turned the other: %v", got)
	}
}

// An unknown key id makes the ring look: another replica may have made the key
// a moment ago.
func TestUnknownKeyID(t *testing.T) {
	store, c := &memory{}, newClock()
	ring := openRing(t, configOf(t, store, signing.ES256, c))
	look := func(keyID string, looks int) {
		t.Helper()
		before := store.reads
		if algorithm, public, err := ring.PublicKey(t.Context(), keyID); algorithm != "" || public != nil || err != nil {
			t.Errorf("got %q, %v, %v", algorithm, public, err)
		}
		if got := store.reads - before; got != looks {
			t.Errorf("%q made %d looks, want %d", keyID, got, looks)
		}
	}
	for _, keyID := range []string{"unknown", "unknown", "another", ""} {
		look(keyID, 1)
	}
	before := store.reads
	if _, public, err := ring.PublicKey(t.Context(), ring.Keys()[0].ID); public == nil || err != nil || store.reads != before {
		t.Errorf("a known one: %v, %v, %d looks", public, err, store.reads-before)
	}
	t.Run("it finds what another replica made", func(t *testing.T) {
		other := openRing(t, configOf(t, store, signing.ES256, c))
		rotate(t, other)
		rotate(t, other) // the key that signs now was not there when ring looked
		token := tokenOf(t, other)
		if !known(t, ring, token) {
			t.Error("it does not find it")
		}
	})
}

// A database that fails is not an answer: known keys go on, and of unknown
// ones nobody can tell.
func TestStoreFails(t *testing.T) {
	store, c := &memory{}, newClock()
	config := configOf(t, store, signing.ES256, c)
	ring := openRing(t, config)
	token := tokenOf(t, ring)
	store.fail(errDown)
	c.advance(time.Hour)
	for range 2 {
		if _, public, err := ring.PublicKey(t.Context(), "unknown"); !errors.Is(err, errDown) || public != nil {
			t.Errorf("got %v, %v", public, err)
		}
	}
	if err := ring.Reload(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("reload: %v", err)
	}
	if err := ring.Rotate(t.Context()); !errors.Is(err, errDown) || errors.Is(err, registry.ErrConflict) {
		t.Errorf("rotate: %v", err)
	}
	if _, err := signing.Open(t.Context(), config); !errors.Is(err, errDown) {
		t.Errorf("open: %v", err)
	}
	if !known(t, ring, token) || !verifies(t, ring, tokenOf(t, ring)) || !ring.Ready() {
		t.Error("what is known does not go on")
	}
}

// Another secret does not open the ring, and does not start a new one.
func TestWrongSecret(t *testing.T) {
	store, c := &memory{}, newClock()
	config := configOf(t, store, signing.ES256, c)
	ring := openRing(t, config)
	before := store.states()
	wrong := config
	wrong.Sealer = newSealer(t, 2)
	if _, err := signing.Open(t.Context(), wrong); !errors.Is(err, signing.ErrWrongKey) {
		t.Errorf("got %v", err)
	}
	if got := store.states(); !maps.Equal(got, before) {
		t.Errorf("the store had %v and has %v", before, got)
	}
	if !verifies(t, ring, tokenOf(t, ring)) {
		t.Error("the replica with the right one suffers")
	}
}

// A row that was changed is not used, and nothing is told of what is in it.
func TestTamperedRows(t *testing.T) {
	for name, change := range map[string]func(a, b *registry.SigningKey){
		"the private half of another key": func(a, b *registry.SigningKey) { a.Sealed = b.Sealed },
		"the public half of another key":  func(a, b *registry.SigningKey) { a.Public = b.Public },
		"both halves of another key":      func(a, b *registry.SigningKey) { a.Public, a.Sealed = b.Public, b.Sealed },
		"a private half in the open": func(a, _ *registry.SigningKey) {
			a.Public = []byte(`{"kty":"OKP","crv":"Ed25519","kid":"` + a.ID + `","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`)
		},
		"a symmetric key":    func(a, _ *registry.SigningKey) { a.Public = []byte(`{"kty":"oct","kid":"` + a.ID + `","k":"AAAA"}`) },
		"no key":             func(a, _ *registry.SigningKey) { a.Public = []byte(`{}`) },
		"nothing":            func(a, _ *registry.SigningKey) { a.Public = nil },
		"no private half":    func(a, _ *registry.SigningKey) { a.Sealed = nil },
		"half of the sealed": func(a, _ *registry.SigningKey) { a.Sealed = a.Sealed[:len(a.Sealed)/2] },
	} {
		t.Run(name, func(t *testing.T) {
			store := &memory{}
			config := configOf(t, store, signing.ES256, newClock())
			openRing(t, config)
			var next registry.SigningKey
			store.tamper(signing.StateNext, func(k *registry.SigningKey) { next = *k })
			store.tamper(signing.StateActive, func(k *registry.SigningKey) { change(k, &next) })
			_, err := signing.Open(t.Context(), config)
			if err == nil {
				t.Fatal("the ring opens")
			}
			if strings.Contains(err.Error(), "nWGxne") {
				t.Errorf("the error tells the key: %v", err)
			}
		})
	}
}

// Replicas that start together on an empty database end with the same keys.
func TestOpenAtOnce(t *testing.T) {
	store, err := storage.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "cambio.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if _, err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	rings := make([]*signing.Ring, 8)
	var all sync.WaitGroup
	for i := range rings {
		config := configOf(t, store, signing.ES256, newClock())
		all.Go(func() {
			ring, err := signing.Open(t.Context(), config)
			if err != nil {
				t.Error(err)
			}
			rings[i] = ring
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, ring := range rings {
		if kidOf(t, tokenOf(t, ring)) != kidOf(t, tokenOf(t, rings[0])) {
			t.Error("two replicas sign with two keys")
		}
		if err := ring.Reload(t.Context()); err != nil || string(ring.JWKS()) != string(rings[0].JWKS()) {
			t.Errorf("two replicas publish two documents (%v)", err)
		}
	}
	if keys, err := store.SigningKeys(t.Context()); err != nil || len(keys) != 2 {
		t.Errorf("%d keys are stored (%v)", len(keys), err)
	}
}
