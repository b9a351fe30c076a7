package remote

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

// memory is a Memory that several replicas of a test share.
type memory struct {
	mu        sync.Mutex
	documents map[registry.KeySource]registry.KeyDocument
	uses      map[string]time.Time
	failures  []string
	epoch     int64
	down      bool
}

var errDown = errors.New("database down")

func newMemory() *memory {
	return &memory{documents: map[registry.KeySource]registry.KeyDocument{}, uses: map[string]time.Time{}}
}

func (m *memory) KeyDocument(_ context.Context, source registry.KeySource) (*registry.KeyDocument, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.documents[source]
	switch {
	case m.down:
		return nil, errDown
	case !ok:
		return nil, registry.ErrNotFound
	}
	return &d, nil
}

func (m *memory) SaveKeyDocument(_ context.Context, d *registry.KeyDocument) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errDown
	}
	there := m.documents[d.Source]
	wrong := there.FetchedAt.After(time.Now().Add(clockTolerance))
	if there.Epoch < d.Epoch || there.Epoch == d.Epoch && (wrong || !there.FetchedAt.After(d.FetchedAt)) {
		m.documents[d.Source] = *d
	}
	return nil
}

func (m *memory) KeyFetchFailed(_ context.Context, _ registry.KeySource, word string, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures = append(m.failures, word)
	return nil
}

func (m *memory) KeysEpoch(context.Context, registry.KeySource) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch, nil
}

func (m *memory) PublishKeyDocument(ctx context.Context, d *registry.KeyDocument) (int64, error) {
	m.mu.Lock()
	if m.epoch != d.Epoch {
		defer m.mu.Unlock()
		return 0, registry.ErrStale
	}
	m.epoch++
	published := *d
	published.Epoch = m.epoch
	m.mu.Unlock()
	return published.Epoch, m.SaveKeyDocument(ctx, &published)
}

func (m *memory) KeysUsed(_ context.Context, uses []registry.KeyUse) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errDown
	}
	for _, use := range uses {
		m.uses[use.Thumbprint] = use.At
	}
	return nil
}

func (m *memory) only(t *testing.T) registry.KeyDocument {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.documents) != 1 {
		t.Fatalf("%d documents are kept", len(m.documents))
	}
	for _, d := range m.documents {
		return d
	}
	panic("unreachable")
}

// replica starts another Source on the same key URL and memory.
func (u *keyURL) replica(m *memory) *keyURL {
	other := &keyURL{Source: New(Config{Memory: m}), t: u.t}
	other.get = u.get
	other.fetches = u.fetches
	u.t.Cleanup(other.Close)
	return other
}

// withMemory runs a test with a key URL whose Source has a memory.
func withMemory(t *testing.T, data []byte, test func(t *testing.T, u *keyURL, m *memory)) {
	inBubble(t, data, func(t *testing.T, u *keyURL) {
		m := newMemory()
		u.Source.memory = m
		test(t, u, m)
	})
}

var _ Memory = (*memory)(nil)
