package storagetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// testReadThenWriteAtOnce: nobody's change is lost and nobody is told that the
// database is busy.
func testReadThenWriteAtOnce(t *testing.T, s *storage.Store) {
	const goroutines, changes = 8, 50
	i := storeIntegrator(t, s)
	k := newKeyURL(i.ID)
	ok(t, s.CreateKeyURL(t.Context(), k, shared))
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range changes {
				for {
					now, err := s.KeyURL(t.Context(), i.ID, k.ID)
					if err != nil {
						t.Error(err)
						return
					}
					now.MaxLifetime += registry.Seconds(time.Second)
					err = s.UpdateKeyURL(t.Context(), now, shared)
					if err == nil {
						break
					}
					if !errors.Is(err, registry.ErrStale) {
						t.Error(err)
						return
					}
				}
				if err := s.RevokeIntegratorTokens(t.Context(), i.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	got, err := s.KeyURL(t.Context(), i.ID, k.ID)
	ok(t, err)
	if got.Revision != 1+goroutines*changes || got.MaxLifetime != k.MaxLifetime+registry.Seconds(goroutines*changes*time.Second) {
		t.Errorf("revision %d and lifetime %v: a change was lost", got.Revision, got.MaxLifetime)
	}
	if state, err := s.TokenState(t.Context(), storage.TokenQuery{IntegratorID: i.ID}); err != nil || state.Generations.Integrator != 1+goroutines*changes {
		t.Errorf("generation %d, %v: a revocation was lost", state.Generations.Integrator, err)
	}
}

// testCancelledRequests: whenever a request is given up, the next one on the
// same connection finds it clean.
func testCancelledRequests(t *testing.T, s *storage.Store) {
	i := storeIntegrator(t, s)
	log := storage.NewExchangeLog(s, storage.LogDurable, quiet())
	defer log.Close()
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(2000))*time.Microsecond)
				for _, err := range []error{
					s.RevokeIntegratorTokens(ctx, i.ID),
					s.Revoke(ctx, unlike("jti"), time.Now()),
					log.Record(ctx, granted(i.ID), false),
					func() error {
						_, err := s.TokenState(ctx, storage.TokenQuery{ID: "jti", IntegratorID: i.ID, ClientID: ""})
						return err
					}(),
					func() error { _, err := s.Integrators(ctx, registry.Page{Limit: 9}); return err }(),
				} {
					if domain(err) {
						t.Errorf("giving up looks like an answer: %v", err)
					}
				}
				cancel()
			}
		})
	}
	for range 2 {
		all.Go(func() {
			for range 100 {
				if err := s.RevokeIntegratorTokens(t.Context(), i.ID); err != nil {
					t.Errorf("a change: %v", err)
				}
				if _, err := s.Integrator(t.Context(), i.ID); err != nil {
					t.Errorf("a look: %v", err)
				}
				if _, err := storage.NewDirectory(t.Context(), s); err != nil {
					t.Errorf("the whole configuration: %v", err)
				}
			}
		})
	}
	all.Wait()
}
