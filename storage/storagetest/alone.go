package storagetest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// testAlone: what is done alone is done whole or not at all, sees what it did,
// and nothing comes between looking and writing.
func testAlone(t *testing.T, s *storage.Store) {
	refused := errors.New("refused")
	i := newIntegrator()
	pending := &registry.PendingEvent{AuditEvent: registry.AuditEvent{Action: "create"}}
	ctx := registry.WithEvent(t.Context(), pending)
	err := s.Alone(t.Context(), func(inside *storage.Store) error {
		ok(t, inside.CreateIntegrator(ctx, i))
		if found, err := inside.IntegratorsNamed(ctx, i.Name); err != nil || len(found) != 1 {
			t.Errorf("inside: %v %v", found, err)
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	events, err := s.AuditEvents(t.Context(), registry.AuditFilter{}, registry.Page{Limit: 1})
	if found, again := s.IntegratorsNamed(t.Context(), i.Name); err != nil || again != nil || len(found) != 0 || len(events) != 0 {
		t.Errorf("taken back: %v %v %v %v", found, again, events, err)
	}

	name := unlike("once")
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			err := s.Alone(t.Context(), func(inside *storage.Store) error {
				found, err := inside.IntegratorsNamed(t.Context(), name)
				if err != nil || len(found) > 0 {
					return err
				}
				return inside.CreateIntegrator(t.Context(), &registry.Integrator{Name: name, Status: registry.Active})
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if found, err := s.IntegratorsNamed(t.Context(), name); err != nil || len(found) != 1 {
		t.Errorf("%d of that name, %v", len(found), err)
	}
}

// testAnswers: an answer is there with its change, or neither is; a key is taken
// once, its caller's own, and free again when the change was refused.
func testAnswers(t *testing.T, s *storage.Store) {
	asks := func(caller string, i *registry.Integrator, said error) error {
		pending := &registry.PendingAnswer{
			Answer:   registry.Answer{Caller: caller, Key: "k", Fingerprint: []byte{0, 1}},
			Complete: func(context.Context, registry.Inside) ([]byte, error) { return []byte(i.ID), said },
		}
		return s.CreateIntegrator(registry.WithAnswer(t.Context(), pending), i)
	}
	refused := errors.New("refused")
	if err := asks("a", newIntegrator(), refused); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Answer(t.Context(), "a", "k"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("an answer that could not be sealed is kept: %v", err)
	}
	first, other := newIntegrator(), newIntegrator()
	ok(t, asks("a", first, nil))
	ok(t, asks("b", other, nil))
	again := newIntegrator()
	if err := asks("a", again, nil); !errors.Is(err, registry.ErrAnswered) {
		t.Errorf("got %v", err)
	}
	if found, err := s.IntegratorsNamed(t.Context(), again.Name); err != nil || len(found) != 0 {
		t.Errorf("it happened again: %v %v", found, err)
	}
	kept, err := s.Answer(t.Context(), "a", "k")
	ok(t, err)
	if string(kept.Sealed) != first.ID || string(kept.Fingerprint) != "\x00\x01" || kept.Caller != "a" || kept.Key != "k" {
		t.Errorf("kept %+v", kept)
	}
}
