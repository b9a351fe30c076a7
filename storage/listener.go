package storage

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// minHintPause keeps an import of a thousand objects from being read a
	// thousand times by every replica.
	minHintPause = 200 * time.Millisecond
	// listenerCheck is how long a listener hears nothing before it asks whether
	// there is anybody at the other end.
	listenerCheck      = 30 * time.Second
	listenerRetry      = time.Second
	listenerSlowestTry = 30 * time.Second
)

// Listen calls heard soon after somebody has changed the configuration, until
// ctx ends. It is a hint: whoever has to know looks at the counter of changes
// as well (Directory.Refresh), because a notification can be lost and PgBouncer
// in transaction mode passes none on. On SQLite there is nobody else to hear of.
func (s *Store) Listen(ctx context.Context, log *slog.Logger, heard func(context.Context)) {
	if s.listen == nil {
		return
	}
	hints := make(chan struct{}, 1) // one that waits stands for all
	var worker sync.WaitGroup
	defer worker.Wait()
	worker.Go(func() {
		for pause(ctx, minHintPause) {
			select {
			case <-ctx.Done():
				return
			case <-hints:
				heard(ctx)
			}
		}
	})
	retry := listenerRetry
	for ctx.Err() == nil {
		began := s.now()
		err := s.listenOnce(ctx, hints)
		if s.now().Sub(began) > listenerCheck {
			retry = listenerRetry
		}
		if ctx.Err() == nil {
			log.WarnContext(ctx, "lost the connection that hears of changes; they are found by looking, within a second", "error", err, "retry", retry.String())
		}
		pause(ctx, retry)
		retry = min(2*retry, listenerSlowestTry)
	}
}

// pause waits, and tells whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// listenOnce passes on what one connection hears until it breaks.
func (s *Store) listenOnce(ctx context.Context, hints chan<- struct{}) error {
	conn, err := s.listen(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if _, err := conn.Exec(ctx, "LISTEN cambio_changes"); err != nil {
		return err
	}
	for {
		select { // also at first: something may have changed before we listened
		case hints <- struct{}{}:
		default:
		}
		if err := s.waitForNotification(ctx, conn); err != nil {
			return err
		}
	}
}

func (s *Store) waitForNotification(ctx context.Context, conn *pgx.Conn) error {
	for {
		waiting, cancel := context.WithTimeout(ctx, listenerCheck)
		_, err := conn.WaitForNotification(waiting)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}
		asking, cancel := context.WithTimeout(ctx, connectTimeout)
		err = conn.Ping(asking)
		cancel()
		if err != nil {
			return err
		}
		if s.primary.outdated(conn.PgConn()) {
			return errOldPrimary
		}
	}
}
