package remote

import (
	"context"
	"maps"
	"time"

	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/registry"
)

// RenewInterval is how often Renew wants to be called.
const RenewInterval = 5 * time.Second

// Renew fetches in the background what will soon be stale, is still wanted and
// was asked for within a day, a bounded number at a time, so that no token has
// to wait.
func (s *Source) Renew(ctx context.Context, wanted func(registry.KeySource) bool) error {
	now := s.now()
	s.sweep()
	started := map[string]int{}
	for ref, e := range s.snapshot() {
		if e.forgotten(now) || !wanted(registry.KeySource(ref)) {
			continue
		}
		if started[ref.IntegratorID]+s.places.taken(ref.IntegratorID) >= maxRenewalsPerIntegrator {
			continue
		}
		select {
		case s.renewal <- struct{}{}:
		default:
			return nil // the rest at the next call
		}
		if s.renewOne(ctx, ref, e, now) {
			started[ref.IntegratorID]++
		} else {
			<-s.renewal
		}
	}
	return nil
}

// renewOne starts a flight if one is due. Its end gives the place back.
func (s *Source) renewOne(ctx context.Context, ref assertion.KeyRef, e *entry, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.usable(now) || now.Before(e.renewAt) || !e.mayFetch(e.epoch, now) {
		return false
	}
	if !s.start(ctx, e, assertion.KeyQuery{Ref: ref, Epoch: e.epoch}) {
		return false
	}
	done := e.flight.done
	s.flights.Go(func() { <-done; <-s.renewal })
	return true
}

// snapshot gives the entries there are now.
func (s *Source) snapshot() map[assertion.KeyRef]*entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return maps.Clone(s.entries)
}

// Refresh fetches now, whatever is known, and makes the outcome the only one
// that counts, here at once and on every replica as soon as it knows of the
// new epoch. When the fetch fails the keys stay as they were; the error is
// then a *FetchError. ErrStale: another refresh ended meanwhile, and may have
// seen more.
func (s *Source) Refresh(ctx context.Context, ref assertion.KeyRef) (*registry.KeyDocument, error) {
	e := s.entry(ref, s.now())
	query := assertion.KeyQuery{Ref: ref}
	if s.memory != nil {
		epoch, err := s.memory.KeysEpoch(ctx, registry.KeySource(ref))
		if err != nil {
			return nil, err
		}
		query.Epoch = epoch
	}
	began := s.now()
	fetched, keys, failure := s.load(ctx, query, s.get)
	switch {
	case ctx.Err() != nil: // whoever asked has gone away, which is no fault of the key URL
		return nil, ctx.Err()
	case failure != nil:
		e.failToRefresh(failure, began, s.now())
		s.rememberFailure(ctx, ref, failure, s.now())
		return nil, failure
	}
	saved := s.recall(ctx, ref)
	e.mu.Lock()
	inherit(fetched, latest(saved, e.document))
	e.mu.Unlock()
	if s.memory != nil {
		epoch, err := s.memory.PublishKeyDocument(ctx, fetched)
		if err != nil {
			return nil, err
		}
		fetched.Epoch = epoch
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.succeed(fetched, keys, s.now())
	return fetched, nil
}

// Check fetches now and keeps nothing. Who is not trusted cannot reach the
// networks that the operator allows. The error is a *FetchError.
func (s *Source) Check(ctx context.Context, ref assertion.KeyRef, trusted bool) (*registry.KeyDocument, error) {
	get := s.get
	if !trusted {
		get = s.public.get
	}
	fetched, _, failure := s.load(ctx, assertion.KeyQuery{Ref: ref}, get)
	if failure != nil {
		return nil, failure
	}
	return fetched, nil
}

// States of key URLs, for the metrics.
const (
	StateFresh   = "fresh"   // keys that need no fetch
	StateStale   = "stale"   // keys that are fetched again at the next question
	StateFailing = "failing" // keys that outlive an outage
	StateDown    = "down"    // no keys: tokens are answered "try again"
)

// States counts the key URLs that somebody asked for lately, by state.
func (s *Source) States() map[string]int {
	now := s.now()
	states := map[string]int{StateFresh: 0, StateStale: 0, StateFailing: 0, StateDown: 0}
	for _, e := range s.snapshot() {
		if e.forgotten(now) {
			continue
		}
		e.mu.Lock()
		switch {
		case !e.usable(now):
			states[StateDown]++
		case e.failure != nil:
			states[StateFailing]++
		case now.Sub(e.fetched) > FreshFor:
			states[StateStale]++
		default:
			states[StateFresh]++
		}
		e.mu.Unlock()
	}
	return states
}
