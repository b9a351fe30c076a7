package main

import (
	"context"
	"errors"
	"time"

	"github.com/cambio-oauth/cambio/handlers"
	"github.com/cambio-oauth/cambio/keys/signing"
	"github.com/cambio-oauth/cambio/registry"
)

// clean deletes what nobody can need any more, a little at a time. Clocks may
// be a day off: what has expired is kept so much longer that none of them
// revives a token or forgets that one was used.
func (p *program) clean(ctx context.Context) error {
	now := p.config.now()
	purge := func(batch func(context.Context, time.Time) (int64, error), before time.Time) error {
		for ctx.Err() == nil {
			if n, err := batch(ctx, before); err != nil || n == 0 {
				return err
			}
		}
		return nil
	}
	expired := now.Add(-handlers.ClockTolerance)
	failures := []error{
		purge(p.store.PurgeRevoked, expired), purge(p.store.PurgeConsumed, expired), purge(p.store.PurgeSubjectEpochs, expired),
		purge(p.store.PurgeSessions, now),
		purge(p.store.PurgeAnswers, now.Add(-registry.AnswersKept)),
		purge(p.store.PurgeExchangeCounts, now.Add(-registry.CountsKept)),
		p.store.DeleteSigningKeys(ctx, now.Add(-2*signing.Retain)), p.store.PrepareExchanges(ctx, now),
	}
	if p.config.exchangeRetention > 0 {
		failures = append(failures, purge(p.store.PurgeExchanges, now.Add(-p.config.exchangeRetention)))
	}
	return errors.Join(failures...)
}
