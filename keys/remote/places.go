package remote

import (
	"context"
	"sync"
)

// Bounds of fetches under way.
const (
	maxFetches  = 512
	maxRenewals = 32 // of them in the background
	// One integrator with many slow key URLs leaves room for the others.
	maxFetchesPerIntegrator  = 8
	maxRenewalsPerIntegrator = 4
)

// places bounds how many fetches are under way, in all and for one integrator.
// Who finds none waits.
type places struct {
	all chan struct{}

	mu    sync.Mutex
	lanes map[string]*lane // of integrators that have fetches
}

type lane struct {
	places chan struct{}
	users  int // who fetch and who wait
}

func newPlaces() *places {
	return &places{all: make(chan struct{}, maxFetches), lanes: map[string]*lane{}}
}

// taken tells how many places of an integrator are taken or waited for.
func (p *places) taken(integratorID string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if own, ok := p.lanes[integratorID]; ok {
		return own.users
	}
	return 0
}

// enter waits for a place, which leave gives back. The error is that of ctx.
func (p *places) enter(ctx context.Context, integratorID string) (leave func(), err error) {
	p.mu.Lock()
	own, ok := p.lanes[integratorID]
	if !ok {
		own = &lane{places: make(chan struct{}, maxFetchesPerIntegrator)}
		p.lanes[integratorID] = own
	}
	own.users++
	p.mu.Unlock()
	gone := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if own.users--; own.users == 0 {
			delete(p.lanes, integratorID)
		}
	}
	select {
	case own.places <- struct{}{}:
	case <-ctx.Done():
		gone()
		return nil, ctx.Err()
	}
	select {
	case p.all <- struct{}{}:
	case <-ctx.Done():
		<-own.places
		gone()
		return nil, ctx.Err()
	}
	return func() { <-p.all; <-own.places; gone() }, nil
}
