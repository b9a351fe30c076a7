package handlers

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"

	"github.com/cambio-oauth/cambio/grants"
)

// placesPerCore bounds the requests that are worked on at once, on one replica:
// with more of them none would be answered sooner, and all later. Past it a
// request is turned away at once, to come again.
const (
	placesPerCore = 256
	leastPlaces   = 1536 // so that a thousand at once are served
)

// errNoPlace marks a request that was turned away; that is no failure of ours
// to look into, and there may be thousands.
var errNoPlace = errors.New("too many requests at once")

// places are taken when a request has been read: whoever sends it slowly holds
// none.
type places struct {
	free       chan struct{}
	turnedAway atomic.Int64
}

func newPlaces() *places {
	return &places{free: make(chan struct{}, max(leastPlaces, placesPerCore*runtime.GOMAXPROCS(0)))}
}

// enter takes a place for the request of a context, which leave gives back.
func enter(ctx context.Context) *grants.Refusal {
	note, ok := ctx.Value(noteKey{}).(*note)
	if !ok || note.places == nil || note.placed {
		return nil
	}
	select {
	case note.places.free <- struct{}{}:
		note.placed = true
		return nil
	default:
		note.places.turnedAway.Add(1)
		return grants.Unavailable("", "too many requests at once: try again", errNoPlace)
	}
}

// StepAside gives the place of a request back while it waits for somebody
// else's server. What it gives takes one again, however long that lasts, unless
// the request ends before.
func StepAside(ctx context.Context) (goOn func()) {
	note, ok := ctx.Value(noteKey{}).(*note)
	if !ok || !note.placed {
		return func() {}
	}
	note.leave()
	return func() {
		select {
		case note.places.free <- struct{}{}:
			note.placed = true
		case <-ctx.Done():
		}
	}
}

func (n *note) leave() {
	if n.placed {
		<-n.places.free
		n.placed = false
	}
}

// Load gives how many requests are worked on, how many could be, and how many
// were turned away since the start.
func (s *Server) Load() (atOnce, most int, turnedAway int64) {
	return len(s.places.free), cap(s.places.free), s.places.turnedAway.Load()
}
