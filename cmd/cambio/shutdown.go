package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// leaveNoConnection ends each connection with its next answer once this replica
// goes: the next request comes over another one, to another replica.
func (p *program) leaveNoConnection(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-p.draining:
			w.Header().Set("Connection", "close")
		default:
		}
		next.ServeHTTP(w, r)
	})
}

// shutdown ends gracefully: not ready, but answering for a while; then no new
// connections, the requests under way answered, what is queued written.
func (p *program) shutdown() (err error) {
	p.ending.Do(func() { err = p.drain() })
	return err
}

func (p *program) drain() error {
	close(p.draining)
	time.Sleep(p.config.shutdownDelay) // until whoever asks /readyz has heard
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	var failures []error
	for _, server := range p.servers {
		failures = append(failures, server.Shutdown(ctx))
	}
	return errors.Join(append(failures, p.close())...)
}

// close gives back whatever was taken.
func (p *program) close() error {
	var failures []error
	if p.stop != nil {
		p.stop()
	} else { // nothing serves yet
		for _, listener := range []net.Listener{p.public, p.ops} {
			if listener != nil {
				failures = append(failures, listener.Close())
			}
		}
	}
	p.workers.Wait()
	if p.keys != nil {
		p.keys.Close()
	}
	if p.exchanges != nil {
		p.exchanges.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if p.tally != nil {
		if err := p.tally.Flush(ctx); err != nil {
			p.log.Warn("the last counts of exchanges are lost", "error", err) // no reason to end with a failure
		}
	}
	if err := p.tracing.close(ctx); err != nil {
		p.log.Warn("the last traces are lost", "error", err) // nor is this
	}
	if p.store != nil {
		failures = append(failures, p.store.Close())
	}
	return errors.Join(failures...)
}
