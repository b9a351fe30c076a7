package signing_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"github.com/cambio-oauth/cambio/keys/signing"
	"github.com/cambio-oauth/cambio/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory keeps rows under the rules that storage/storagetest holds the real
// store to.
type memory struct {
	mu     sync.Mutex
	rows   []registry.SigningKey
	reads  int
	err    error           // when set, whatever is asked
	onRead func(reads int) // after the rows were read, before they are given
	onTurn func()          // before a rotation is stored
}

func (m *memory) SigningKeys(context.Context) ([]registry.SigningKey, error) {
	m.mu.Lock()
	m.reads++
	rows, err, reads, onRead := slices.Clone(m.rows), m.err, m.reads, m.onRead
	m.mu.Unlock()
	if onRead != nil {
		onRead(reads)
	}
	return rows, err
}

func (m *memory) ResealSigningKey(_ context.Context, id string, was, sealed []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.rows {
		if m.rows[i].ID == id && bytes.Equal(m.rows[i].Sealed, was) {
			m.rows[i].Sealed = sealed
			return m.err
		}
	}
	return registry.ErrNotFound
}

func (m *memory) AddSigningKey(_ context.Context, k registry.SigningKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	return m.add(k)
}

func (m *memory) add(k registry.SigningKey) error {
	for _, row := range m.rows {
		if row.ID == k.ID || row.Algorithm == k.Algorithm && row.State == k.State && k.State != signing.StateRetired {
			return registry.ErrConflict
		}
	}
	m.rows = append(m.rows, k)
	return nil
}

func (m *memory) RotateSigningKeys(_ context.Context, active, next string, following registry.SigningKey, at time.Time) error {
	if m.onTurn != nil {
		m.onTurn()
	}
	return m.rotate(active, next, following, at)
}

func (m *memory) rotate(active, next string, following registry.SigningKey, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	before := slices.Clone(m.rows)
	turned := 0
	for i := range m.rows {
		switch row := &m.rows[i]; {
		case row.ID == active && row.State == signing.StateActive:
			row.State, row.RetiredAt = signing.StateRetired, at
			turned++
		case row.ID == next && row.State == signing.StateNext:
			row.State = signing.StateActive
			turned++
		}
	}
	if turned != 2 || m.add(following) != nil {
		m.rows = before
		return registry.ErrConflict
	}
	return nil
}

// fail makes the store fail, or work again.
func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// tamper changes the rows in a state.
func (m *memory) tamper(state string, change func(*registry.SigningKey)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.rows {
		if m.rows[i].State == state {
			change(&m.rows[i])
		}
	}
}

func (m *memory) states() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	states := map[string]int{}
	for _, row := range m.rows {
		states[row.Algorithm+" "+row.State]++
	}
	return states
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

var errDown = errors.New("the database is down")

func configOf(t *testing.T, store signing.Store, algorithm string, c *clock) signing.Config {
	t.Helper()
	return signing.Config{Store: store, Sealer: newSealer(t, 1), Algorithm: algorithm, Now: c.now}
}

func openRing(t *testing.T, config signing.Config) *signing.Ring {
	t.Helper()
	ring, err := signing.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func rotate(t *testing.T, ring *signing.Ring) {
	t.Helper()
	if err := ring.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func tokenOf(t *testing.T, ring *signing.Ring) string {
	t.Helper()
	token, err := ring.Sign(t.Context(), "at+jwt", []byte(`{"sub":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA}

// kidOf reads the kid header of a token.
func kidOf(t *testing.T, token string) string {
	t.Helper()
	signed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		t.Fatal(err)
	}
	return signed.Signatures[0].Protected.KeyID
}

// verifies tells whether a resource server that has just fetched the JWKS
// accepts a token.
func verifies(t *testing.T, ring *signing.Ring, token string) bool {
	t.Helper()
	signed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		t.Fatal(err)
	}
	set := published(t, ring)
	keys := set.Key(kidOf(t, token))
	if len(keys) != 1 {
		return false
	}
	payload, err := signed.Verify(keys[0])
	return err == nil && string(payload) == `{"sub":"x"}`
}

// known tells whether introspection finds the key of a token.
func known(t *testing.T, ring *signing.Ring, token string) bool {
	t.Helper()
	algorithm, public, err := ring.PublicKey(t.Context(), kidOf(t, token))
	if err != nil {
		t.Fatal(err)
	}
	if public == nil {
		return false
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = signed.Verify(public)
	return err == nil
}
