package storage_test

import (
	"testing"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

func newIntegrator(t *testing.T, store *storage.Store) string {
	t.Helper()
	i := &registry.Integrator{Name: "Acme", Status: registry.Active}
	if err := store.CreateIntegrator(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	return i.ID
}
