package storage

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

// stalled is a log whose first batch cannot be written until the writer's one
// connection is given back.
type stalled struct {
	t       *testing.T
	store   *Store
	log     *ExchangeLog
	writer  *sql.Conn
	waiting sync.WaitGroup
	results chan error
}

func newStalled(t *testing.T) *stalled {
	t.Helper()
	s := &stalled{t: t, store: newSQLite(t), results: make(chan error, 2*logQueue)}
	var err error
	s.log = NewExchangeLog(s.store, LogDurable, slog.New(slog.DiscardHandler))
	t.Cleanup(s.log.Close)
	if s.writer, err = s.store.pools[0].Conn(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.writer.Close() })
	s.record(t.Context(), "first")
	s.until("the first batch is being written", func() bool { return s.log.statements.Load() == 1 && len(s.log.queue) == 0 })
	return s
}

func (s *stalled) record(ctx context.Context, subject string) {
	s.waiting.Go(func() {
		s.results <- s.log.Record(ctx, registry.Exchange{Result: registry.ResultGranted, IntegratorID: "i", Subject: subject}, false)
	})
}

func (s *stalled) until(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(statementTimeout); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("not in time: %s", what)
		}
	}
}

func (s *stalled) goOn() {
	if err := s.writer.Close(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stalled) rows() (n int) {
	s.t.Helper()
	if err := s.store.pools[1].QueryRowContext(s.t.Context(), "SELECT COUNT(*) FROM exchanges").Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// Whoever comes while a batch is being committed shares the next commit.
func TestWaitersShareACommit(t *testing.T) {
	for _, more := range []int{1, 11, 16, 64} { // lengths that a batch can have
		t.Run(strconv.Itoa(more), func(t *testing.T) { testWaitersShareACommit(t, more) })
	}
}

func testWaitersShareACommit(t *testing.T, more int) {
	s := newStalled(t)
	for range more {
		s.record(t.Context(), "next")
	}
	s.until("all wait", func() bool { return len(s.log.queue) == more })
	s.goOn()
	for range more + 1 {
		if err := <-s.results; err != nil {
			t.Error(err)
		}
	}
	if n := s.log.statements.Load(); n != 2 {
		t.Errorf("%d records took %d statements, want 2", more+1, n)
	}
	if n := s.rows(); n != more+1 {
		t.Errorf("%d rows", n)
	}
}

// A batch is written whole or not at all, and everybody in it hears of it; the
// next one is not to blame.
func TestAFailedBatchRefusesAllItsWaiters(t *testing.T) {
	s := newStalled(t)
	_, err := s.writer.ExecContext(t.Context(), "CREATE TRIGGER broken BEFORE INSERT ON exchanges WHEN NEW.subject = 'bad' BEGIN SELECT RAISE(ABORT, 'broken'); END")
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"good", "bad", "good", "good"} {
		s.record(t.Context(), subject)
	}
	s.until("all wait", func() bool { return len(s.log.queue) == 4 })
	s.goOn()
	failed := 0
	for range 5 {
		if err := <-s.results; err != nil {
			failed++
		}
	}
	if n := s.rows(); failed != 4 || n != 1 {
		t.Errorf("%d were told of a failure and %d are recorded, want 4 and 1", failed, n)
	}
	if n := s.log.Dropped()[DroppedByDatabase]; n != 4 {
		t.Errorf("counted %d", n)
	}
	s.record(t.Context(), "good")
	if err := <-s.results; err != nil {
		t.Errorf("the next: %v", err)
	}
}

// What no database stores takes nobody else's batch along.
func TestARecordThatIsNoTextIsRefusedAlone(t *testing.T) {
	s := newStalled(t)
	for _, subject := range []string{"nul \x00", "not UTF-8 \xff"} {
		s.record(t.Context(), subject)
		if err := <-s.results; !errors.Is(err, errNotText) {
			t.Errorf("%q: %v", subject, err)
		}
	}
	if n := len(s.log.queue); n != 0 {
		t.Errorf("%d of them wait", n)
	}
}

// Whoever gives up waits no longer; those beside it do.
func TestAWaiterThatGivesUp(t *testing.T) {
	s := newStalled(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.record(ctx, "given up")
	s.until("it waits", func() bool { return len(s.log.queue) == 1 })
	cancel()
	if err := <-s.results; !errors.Is(err, errWentAway) {
		t.Errorf("got %v", err)
	}
	s.goOn()
	if err := <-s.results; err != nil {
		t.Errorf("the other one: %v", err)
	}
}

// In mode durable, too, the queue has an end, and whoever does not fit in is
// told so at once.
func TestDurableLogIsBounded(t *testing.T) {
	s := newStalled(t)
	for range logQueue {
		s.log.queue <- entry{row: exchangeRow{ID: "x"}}
	}
	s.record(t.Context(), "one too many")
	if err := <-s.results; !errors.Is(err, ErrLogFull) {
		t.Errorf("got %v", err)
	}
	if n := s.log.Dropped()[DroppedByQueue]; n != 1 {
		t.Errorf("counted %d", n)
	}
}

// Close writes what waits, and refuses what comes later.
func TestCloseWritesWhatWaits(t *testing.T) {
	s := newStalled(t)
	s.record(t.Context(), "waits")
	s.until("it waits", func() bool { return len(s.log.queue) == 1 })
	s.goOn()
	s.log.Close()
	s.waiting.Wait()
	for range 2 {
		if err := <-s.results; err != nil {
			t.Error(err)
		}
	}
	s.record(t.Context(), "late")
	if err := <-s.results; !errors.Is(err, errLogClosed) {
		t.Errorf("got %v", err)
	}
	if n := s.rows(); n != 2 {
		t.Errorf("%d rows", n)
	}
}
