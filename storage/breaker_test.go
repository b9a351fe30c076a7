package storage

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestBreaker(t *testing.T) {
	const limit = time.Second
	answers := func(context.Context) error { return nil }
	hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	failure := errors.New("no such table")
	fails := func(context.Context) error { return failure }
	within := func(t *testing.T, b *breaker, statement func(context.Context) error) (time.Duration, error) {
		began := time.Now()
		err := b.do(t.Context(), limit, statement)
		return time.Since(began), err
	}

	t.Run("a statement is given up after the limit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			if took, err := within(t, &breaker{}, hangs); took != limit || !errors.Is(err, ErrUnanswered) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %s: %v", took, err)
			}
		})
	})
	t.Run("the next one is refused at once, whatever it is", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var b breaker
			_, _ = within(t, &b, hangs)
			for range 3 {
				if took, err := within(t, &b, answers); took != 0 || !errors.Is(err, ErrUnanswered) {
					t.Errorf("after %s: %v", took, err)
				}
			}
		})
	})
	t.Run("after a while one tries, and the others wait for no answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var b breaker
			_, _ = within(t, &b, hangs)
			time.Sleep(retryInterval)
			go func() { _, _ = within(t, &b, hangs) }()
			defer time.Sleep(limit) // until it has ended
			synctest.Wait()
			if took, err := within(t, &b, answers); took != 0 || !errors.Is(err, ErrUnanswered) {
				t.Errorf("after %s: %v", took, err)
			}
		})
	})
	t.Run("one that comes back in time lets all through", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var b breaker
			_, _ = within(t, &b, hangs)
			time.Sleep(retryInterval)
			for range 3 {
				if took, err := within(t, &b, answers); took != 0 || err != nil {
					t.Errorf("after %s: %v", took, err)
				}
			}
		})
	})
	t.Run("a failure of another kind is its own", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var b breaker
			for range 3 {
				if _, err := within(t, &b, fails); !errors.Is(err, failure) || errors.Is(err, ErrUnanswered) {
					t.Error(err)
				}
			}
		})
	})
	t.Run("who goes away cancels nothing: that would cost the connection", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var b breaker
			ctx, cancel := context.WithCancel(t.Context())
			err := b.do(ctx, limit, func(ctx context.Context) error { cancel(); return ctx.Err() })
			if err != nil {
				t.Error(err)
			}
			begun := false
			if err := b.do(ctx, limit, func(context.Context) error { begun = true; return nil }); !errors.Is(err, context.Canceled) || begun {
				t.Errorf("who has gone already begins nothing: %v, %v", err, begun)
			}
		})
	})
	t.Run("one that ends with who asked leaves its turn to another", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var b breaker
			_, _ = within(t, &b, hangs)
			time.Sleep(retryInterval)
			if _, err := within(t, &b, func(context.Context) error { return errWentAway }); errors.Is(err, ErrUnanswered) {
				t.Error(err)
			}
			if _, err := within(t, &b, answers); err != nil {
				t.Error(err)
			}
		})
	})
}
