package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/cambio-oauth/cambio/registry"
)

// LogMode says what an exchange waits for.
type LogMode string

// The modes of CAMBIO_EXCHANGE_LOG.
const (
	LogDurable LogMode = "durable" // a token leaves only after its record is committed
	LogAsync   LogMode = "async"   // recorded within a second
	LogOff     LogMode = "off"
)

// Bounds of the log: refused attempts are what strangers can make for free.
const (
	refusedPerSecond = 5 // of one integrator, on one replica
	refusedBurst     = 100
	logQueue         = 16_384 // records that wait to be written, on one replica: 16 MiB, and two seconds of async ones
)

// Why of an attempt no record was kept.
const (
	DroppedByQuota    = "quota"    // a refused one, past its integrator's
	DroppedByQueue    = "queue"    // ErrLogFull
	DroppedByDatabase = "database" // it could not be written
)

// ErrLogFull means that attempts come in faster than they can be recorded.
var ErrLogFull = errors.New("the exchange log cannot keep up")

var (
	errLogClosed = errors.New("the exchange log is closed")
	errNotText   = errors.New("a record holds what is no text")
)

type exchangeRow struct {
	ID           string `gorm:"primaryKey"`
	At           int64
	GrantType    string
	Result       string
	Code         string
	Reason       string
	IntegratorID string
	ClientID     string
	Issuer       string
	Subject      string
	KeyID        string
	Granted      list
	Dropped      string
	TokenID      string
	ExpiresAt    int64

	SubjectTokenHash string
	Audit            auditColumns `gorm:"embedded;embeddedPrefix:audit_"`
}

// TableName implements gorm's tabler.
func (exchangeRow) TableName() string { return "exchanges" }

// ExchangeLog records every attempt to get a token. One worker writes: while it
// commits a batch the next one comes together in the queue, so that many who
// wait share one commit, and one alone waits for nobody.
type ExchangeLog struct {
	store *Store
	mode  LogMode
	log   *slog.Logger

	mu      sync.Mutex
	refused map[quota]*rate.Limiter // twice as many as there are integrators

	closing sync.RWMutex // held for writing to close the queue, for reading to send
	closed  bool
	queue   chan entry
	done    chan struct{}

	inserts, auditedInserts [logBatch + 1]*statement // by how many records; the worker's

	overQuota, overQueue, unwritten atomic.Int64
	statements                      atomic.Int64 // that were tried
}

// entry is a record and who waits for its commit: nobody in mode async.
type entry struct {
	row       exchangeRow
	committed chan<- error // takes one without waiting
}

// quota is whose refused attempts are counted together.
type quota struct {
	integratorID string
	strangers    bool
}

// NewExchangeLog starts a log. Close it to write what it still holds.
func NewExchangeLog(store *Store, mode LogMode, log *slog.Logger) *ExchangeLog {
	l := &ExchangeLog{store: store, mode: mode, log: log, refused: map[quota]*rate.Limiter{}, done: make(chan struct{})}
	if mode == LogOff {
		close(l.done)
		return l
	}
	l.queue = make(chan entry, logQueue)
	go l.drain()
	return l
}

// Record records an attempt. In mode durable nil means that it is committed;
// after an error it may be committed all the same, which is a token in the
// record that nobody got.
// Of refused attempts an integrator has a quota; past it they are only counted
// (Dropped), so that garbage cannot fill the disk. What strangers try at
// an integrator has a quota of its own, so that they cannot use up the other.
func (l *ExchangeLog) Record(ctx context.Context, e registry.Exchange, stranger bool) error {
	if l.mode == LogOff {
		return nil
	}
	if e.Result != registry.ResultGranted && !l.mayRecordRefusal(quota{e.IntegratorID, stranger}) {
		l.overQuota.Add(1)
		return nil
	}
	row, err := newExchangeRow(e)
	if err == nil && l.mode == LogDurable {
		err = ctx.Err() // or the record of an attempt that was given up would be kept
	}
	if err != nil {
		l.unwritten.Add(1)
		return err
	}
	if l.mode == LogAsync {
		return l.send(entry{row: row})
	}
	// As long as any other statement may take, whatever stands before it.
	gone := ctx.Done()
	return l.store.ask(ctx, func(ctx context.Context) error {
		committed := make(chan error, 1)
		if err := l.send(entry{row, committed}); err != nil {
			return err
		}
		select {
		case err := <-committed:
			return err
		case <-gone: // there is no statement of its own to cancel
			return errWentAway
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// send hands a record to the worker, if there is room.
func (l *ExchangeLog) send(e entry) error {
	l.closing.RLock()
	defer l.closing.RUnlock()
	if l.closed {
		l.unwritten.Add(1)
		return errLogClosed
	}
	select {
	case l.queue <- e:
		return nil
	default:
		l.overQueue.Add(1)
		return ErrLogFull
	}
}

// Dropped counts, by cause, the attempts of which no record was kept. In mode
// off there are none: nobody wanted a record.
func (l *ExchangeLog) Dropped() map[string]int64 {
	return map[string]int64{DroppedByQuota: l.overQuota.Load(), DroppedByQueue: l.overQueue.Load(), DroppedByDatabase: l.unwritten.Load()}
}

func newExchangeRow(e registry.Exchange) (exchangeRow, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return exchangeRow{}, err
	}
	if e.Dropped == nil {
		e.Dropped = []registry.Dropped{}
	}
	dropped, err := json.Marshal(e.Dropped)
	if err != nil {
		return exchangeRow{}, fmt.Errorf("encode dropped permissions: %w", err)
	}
	// One row that the database refuses would take its whole batch along.
	for _, text := range []string{e.GrantType, e.Result, e.Code, e.Reason, e.IntegratorID, e.ClientID, e.Issuer, e.Subject, e.KeyID, e.TokenID, e.SubjectTokenHash} {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return exchangeRow{}, errNotText
		}
	}
	return exchangeRow{
		ID: id.String(), At: micros(e.At), GrantType: e.GrantType, Result: e.Result, Code: e.Code, Reason: e.Reason,
		IntegratorID: e.IntegratorID, ClientID: e.ClientID, Issuer: e.Issuer, Subject: e.Subject, KeyID: e.KeyID,
		Granted: e.Granted, Dropped: string(dropped), TokenID: e.TokenID, ExpiresAt: micros(e.ExpiresAt),
		SubjectTokenHash: e.SubjectTokenHash,
		Audit:            newAuditColumns(e.Audit),
	}, nil
}

func (l *ExchangeLog) mayRecordRefusal(q quota) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter, ok := l.refused[q]
	if !ok {
		limiter = rate.NewLimiter(refusedPerSecond, refusedBurst)
		l.refused[q] = limiter
	}
	return limiter.Allow()
}

// Close writes what is queued. Whoever records afterwards is refused.
func (l *ExchangeLog) Close() {
	l.closing.Lock()
	if !l.closed && l.queue != nil {
		close(l.queue)
	}
	l.closed = true
	l.closing.Unlock()
	<-l.done
}
