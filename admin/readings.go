package admin

import (
	"context"
	"sync"
	"time"
)

// A filter may have to look at all there is: introspection, which needs the same
// connections to the database, must not wait for those who search, nor one
// integrator for another that does.
const (
	maxReadings    = 2 // at once, on one replica, each of another integrator
	readingTimeout = 5 * time.Second
)

// readings are the places of those who read the record of exchanges.
type readings struct {
	all chan struct{}

	mu  sync.Mutex
	own map[string]chan struct{} // by integrator; of those who ever read
}

func newReadings() *readings {
	return &readings{all: make(chan struct{}, maxReadings), own: map[string]chan struct{}{}}
}

// start waits for a place, and gives how to leave it.
func (r *readings) start(ctx context.Context, integratorID string) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, readingTimeout)
	defer cancel()
	own := r.of(integratorID)
	select {
	case own <- struct{}{}:
	case <-ctx.Done():
		return nil, errBusy
	}
	select {
	case r.all <- struct{}{}:
		return func() { <-r.all; <-own }, nil
	case <-ctx.Done():
		<-own
		return nil, errBusy
	}
}

func (r *readings) of(integratorID string) chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	own, ok := r.own[integratorID]
	if !ok {
		own = make(chan struct{}, 1)
		r.own[integratorID] = own
	}
	return own
}
