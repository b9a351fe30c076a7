package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

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
	asyncQueue       = 4096
)

// Why of an attempt no record was kept.
const (
	DroppedByQuota    = "quota"    // a refused one, past its integrator's
	DroppedByQueue    = "queue"    // mode async: ErrLogFull
	DroppedByDatabase = "database" // it could not be written
)

// ErrLogFull means that attempts come in faster than they can be recorded.
var ErrLogFull = errors.New("the exchange log cannot keep up")

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

// ExchangeLog records every attempt to get a token.
type ExchangeLog struct {
	store *Store
	mode  LogMode
	log   *slog.Logger

	mu      sync.Mutex
	refused map[quota]*rate.Limiter // twice as many as there are integrators

	queue chan exchangeRow
	done  chan struct{}

	overQuota, overQueue, unwritten atomic.Int64
}

// quota is whose refused attempts are counted together.
type quota struct {
	integratorID string
	strangers    bool
}

// NewExchangeLog starts a log. Close it to write what it still holds.
func NewExchangeLog(store *Store, mode LogMode, log *slog.Logger) *ExchangeLog {
	l := &ExchangeLog{store: store, mode: mode, log: log, refused: map[quota]*rate.Limiter{}, done: make(chan struct{})}
	if mode != LogAsync {
		close(l.done)
		return l
	}
	l.queue = make(chan exchangeRow, asyncQueue)
	go l.drain()
	return l
}

// Record records an attempt. In mode durable nil means that it is committed.
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
	if err != nil {
		return err
	}
	if l.mode == LogAsync {
		select {
		case l.queue <- row:
			return nil
		default:
			l.overQueue.Add(1)
			return ErrLogFull
		}
	}
	if err := l.store.writer.WithContext(ctx).Create(&row).Error; err != nil {
		l.unwritten.Add(1)
		return translate(err)
	}
	return nil
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

// drain writes the queue in batches until it is closed.
func (l *ExchangeLog) drain() {
	defer close(l.done)
	for row := range l.queue {
		batch := []exchangeRow{row}
		for len(batch) < 256 && len(l.queue) > 0 {
			batch = append(batch, <-l.queue)
		}
		ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
		if err := l.store.writer.WithContext(ctx).Create(&batch).Error; err != nil {
			l.unwritten.Add(int64(len(batch)))
			l.log.Error("exchange records were lost", "count", len(batch), "error", err)
		}
		cancel()
	}
}

// Close writes what is queued. Nothing may be recorded afterwards.
func (l *ExchangeLog) Close() {
	if l.queue != nil {
		close(l.queue)
	}
	<-l.done
}
