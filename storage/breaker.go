package storage

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrUnanswered means that the database let a statement wait in vain, or has
// just done so to another one.
var ErrUnanswered = errors.New("the database does not answer in time")

// retryInterval is how often one statement may try whether a database that did
// not answer does so again.
const retryInterval = 500 * time.Millisecond

// breaker spares requests the wait for a database that just let one wait in
// vain: a request that needs several statements would otherwise wait for each,
// and all of them for nothing. Its zero value lets everything through.
type breaker struct {
	retryAt atomic.Int64 // in microseconds since 1970; 0: the database answers
}

// do runs a statement for no longer than limit. One that takes longer is given
// up, and until one has come back in time the others are refused at once, but
// for one every retryInterval that tries.
//
// Who asked may go away meanwhile: the statement goes on without them. To cancel
// it would cost PostgreSQL's connection, and a stranger who hangs up again and
// again would have the pool dial all the time.
func (b *breaker) do(ctx context.Context, limit time.Duration, statement func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err // gone before it began
	}
	if !b.admits(time.Now()) {
		return ErrUnanswered
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), limit, ErrUnanswered)
	defer cancel()
	err := statement(ctx)
	switch {
	case errors.Is(err, errWentAway): // which says nothing: let another one try
		if at := b.retryAt.Load(); at != 0 {
			b.retryAt.CompareAndSwap(at, time.Now().UnixMicro())
		}
	case errors.Is(context.Cause(ctx), ErrUnanswered) && err != nil:
		b.retryAt.Store(time.Now().Add(retryInterval).UnixMicro())
		err = fmt.Errorf("%w: %w", ErrUnanswered, err)
	case err == nil:
		b.retryAt.Store(0)
	}
	return err
}

// errWentAway is for statements that end with who asked.
var errWentAway = errors.New("whoever asked has gone")

func (b *breaker) admits(now time.Time) bool {
	retryAt := b.retryAt.Load()
	return retryAt == 0 || now.UnixMicro() >= retryAt &&
		b.retryAt.CompareAndSwap(retryAt, now.Add(retryInterval).UnixMicro())
}

// ask runs a statement that a request waits for.
func (s *Store) ask(ctx context.Context, statement func(context.Context) error) error {
	return s.breaker.do(ctx, s.timeout(), statement)
}
