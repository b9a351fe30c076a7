package handlers

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/cambio-oauth/cambio/grants"
)

// Bounds of the requests that have been read and not yet answered, on one
// replica. Those at work share the cores: more of them would answer none sooner,
// and whoever asks for the health of the replica waits behind all of them. The
// others stand in line, at the price of their memory. Past the line a request is
// turned away, to come again.
const (
	workPerCore   = 256
	linePerCore   = 1536 // with those at work: a fifth of a second of exchanges, and room for a thousand at once
	longestInLine = time.Second
)

// Refusing costs a third of what serving costs, most of it in net/http, and who
// is refused comes again: at four times what a replica can do it would do little
// else. So refusals have their part of the time and wait for it, as long as
// there are not too many even for that.
const (
	refusalsPerCore  = 1500 // a second: a fourteenth of its time
	longestToRefusal = 2 * time.Second
)

// errNoPlace marks a request that was turned away; that is no failure of ours
// to look into, and there may be thousands.
var errNoPlace = errors.New("too many requests at once")

// places are taken when a request has been read: whoever sends it slowly holds
// none.
type places struct {
	line       chan struct{} // one of each request that is here
	work       chan struct{} // one of each that is at work
	refusals   *rate.Limiter
	longest    time.Duration // in line
	turnedAway atomic.Int64
}

// newPlaces makes places for so many requests, of which some can be at work.
func newPlaces(here, atWork int) *places {
	return &places{
		line: make(chan struct{}, here), work: make(chan struct{}, atWork), longest: longestInLine,
		refusals: rate.NewLimiter(refusalsPerCore*rate.Limit(runtime.GOMAXPROCS(0)), workPerCore),
	}
}

// full tells that a request would be turned away.
func (p *places) full() bool { return len(p.line) == cap(p.line) }

// turnAway counts and refuses a request, when it is a refusal's turn.
func (p *places) turnAway(ctx context.Context) *grants.Refusal {
	p.turnedAway.Add(1)
	turn := p.refusals.Reserve()
	if delay := turn.Delay(); delay > longestToRefusal {
		turn.Cancel()
	} else if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return grants.Unavailable("", "too many requests at once: try again", errNoPlace)
}

// enter takes a place for the request of a context, which leave gives back.
func enter(ctx context.Context) *grants.Refusal {
	note, ok := ctx.Value(noteKey{}).(*note)
	if !ok || note.places == nil || note.placed {
		return nil
	}
	p := note.places
	select {
	case p.line <- struct{}{}:
	default:
		return p.turnAway(ctx)
	}
	select {
	case p.work <- struct{}{}:
		note.placed = true
		return nil
	default:
	}
	late := time.NewTimer(p.longest)
	defer late.Stop()
	select {
	case p.work <- struct{}{}:
		note.placed = true
		return nil
	case <-late.C:
	case <-ctx.Done(): // whoever asked is gone
	}
	<-p.line
	return p.turnAway(ctx)
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
		case note.places.line <- struct{}{}:
		case <-ctx.Done():
			return
		}
		select {
		case note.places.work <- struct{}{}:
			note.placed = true
		case <-ctx.Done():
			<-note.places.line
		}
	}
}

func (n *note) leave() {
	if n.placed {
		<-n.places.work
		<-n.places.line
		n.placed = false
	}
}

// Load gives how many requests are here, how many could be, and how many were
// turned away since the start.
func (s *Server) Load() (atOnce, most int, turnedAway int64) {
	return len(s.places.line), cap(s.places.line), s.places.turnedAway.Load()
}
