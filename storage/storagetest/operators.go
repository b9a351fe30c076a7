package storagetest

import (
	"reflect"
	"sync"
	"testing"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// testOperators: the operator's client is what the configuration says it is.
func testOperators(t *testing.T, s *storage.Store) {
	directory, err := storage.NewDirectory(t.Context(), s)
	ok(t, err)
	known := func(t *testing.T) *registry.Snapshot {
		t.Helper()
		ok(t, directory.Refresh(t.Context()))
		snapshot, err := directory.Snapshot()
		ok(t, err)
		return snapshot
	}
	t.Run("it is made once", func(t *testing.T) {
		c := newOperator()
		ok(t, s.EnsureOperator(t.Context(), c))
		before := known(t)
		if got := before.Client(c.ClientID); !reflect.DeepEqual(got, c) {
			t.Fatalf("got %+v, want %+v", got, c)
		}
		same := newOperator()
		same.ClientID = c.ClientID
		ok(t, s.EnsureOperator(t.Context(), same))
		if known(t) != before {
			t.Error("saying the same again changed the configuration")
		}
	})
	t.Run("a client_id of anybody else is refused, and its client untouched", func(t *testing.T) {
		theirs := newClient(storeIntegrator(t, s).ID)
		ok(t, s.CreateClient(t.Context(), theirs, registry.ClientTerms{AnyScope: true}))
		server, introspects := newResourceServer()
		ok(t, s.CreateResourceServer(t.Context(), server, introspects))
		for _, taken := range []*registry.Client{theirs, introspects} {
			c := newOperator()
			c.ClientID = taken.ClientID
			is(t, s.EnsureOperator(t.Context(), c), registry.ErrConflict)
			if got := known(t).Client(taken.ClientID); !reflect.DeepEqual(got, taken) {
				t.Errorf("got %+v, want %+v", got, taken)
			}
		}
	})
}

// testOperatorsAtOnce: replicas start together.
func testOperatorsAtOnce(t *testing.T, s *storage.Store) {
	id := unlike("operator")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			c := newOperator()
			c.ClientID = id
			if err := s.EnsureOperator(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := snapshotOf(t, s).Client(id); got == nil || len(got.Secrets) != 1 || got.Owner != registry.OwnerOperator {
		t.Errorf("got %+v", got)
	}
}
