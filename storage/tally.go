package storage

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/registry"
)

// Bounds of a tally.
const (
	// maxCounts is how many counts are kept while they cannot be stored. Past
	// it an integrator that is not among them is counted in the sum alone, whose
	// counts are few: a word and an hour each.
	maxCounts    = 100_000
	flushTimeout = 5 * time.Second
)

// otherReason stands for what is no word of grants: there is none, and nobody
// else's words shall make rows.
const otherReason = "other"

// Tally adds up in memory what this replica was asked for, by the hour, and
// when clients last got a token. Somebody has to call Flush now and then: what
// is not flushed ends with the process.
type Tally struct {
	store   *Store
	log     *slog.Logger
	reasons []string // by number; the first one is of what was granted
	numbers map[string]uint8

	mu     sync.Mutex
	counts map[countKey]int64
	uses   map[string]int64 // microseconds, by client_id

	flushing sync.Mutex // one at a time: what is not stored comes back before the next one looks
	failing  bool
}

// countKey is small, because it is hashed twice for each attempt.
type countKey struct {
	integratorID string // empty: all together
	hour         int64  // since 1970
	reason       uint8
}

// NewTally makes an empty tally.
func NewTally(store *Store, log *slog.Logger) *Tally {
	t := &Tally{store: store, log: log, reasons: []string{"", otherReason}, numbers: map[string]uint8{}, counts: map[countKey]int64{}, uses: map[string]int64{}}
	for _, reason := range grants.Reasons() {
		t.reasons = append(t.reasons, string(reason))
	}
	for _, code := range grants.Codes() {
		t.reasons = append(t.reasons, string(code))
	}
	for number, reason := range t.reasons {
		t.numbers[reason] = uint8(number)
	}
	return t
}

// Count counts an attempt, whether or not there is a record of it: its
// integrator's and in the sum.
func (t *Tally) Count(e *registry.Exchange) {
	granted := e.Result == registry.ResultGranted
	var reason uint8
	if !granted {
		if reason = t.numbers[cmp.Or(e.Reason, e.Code)]; reason == 0 {
			reason = t.numbers[otherReason]
		}
	}
	key := countKey{hour: e.At.Unix() / 3600, reason: reason}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(key, 1)
	if key.integratorID = e.IntegratorID; key.integratorID != "" {
		t.add(key, 1)
	}
	// Where there is no client, the integrator stands in its place.
	if granted && e.ClientID != "" && e.ClientID != e.IntegratorID {
		t.uses[e.ClientID] = max(t.uses[e.ClientID], micros(e.At))
	}
}

// add adds to a count; to an integrator's only if there is room for it.
func (t *Tally) add(key countKey, n int64) {
	if key.integratorID != "" && len(t.counts) >= maxCounts {
		if _, there := t.counts[key]; !there {
			return
		}
	}
	t.counts[key] += n
}

// Flush stores what was counted since the last time. What cannot be stored is
// kept for the next time; the log says so once, until that is over.
func (t *Tally) Flush(ctx context.Context) error {
	t.flushing.Lock()
	defer t.flushing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	// Whoever ends meanwhile waits: a statement that is given up may be
	// committed all the same, and would be added twice.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	t.mu.Lock()
	counts, uses := t.counts, t.uses
	t.counts, t.uses = make(map[countKey]int64, len(counts)), make(map[string]int64, len(uses))
	t.mu.Unlock()
	err := errors.Join(t.storeCounts(ctx, counts), t.storeUses(ctx, uses))
	switch {
	case err != nil && !t.failing:
		t.log.ErrorContext(ctx, "counts of exchanges cannot be stored; they are kept until they can be", "error", err)
	case err == nil && t.failing:
		t.log.InfoContext(ctx, "counts of exchanges are stored again, with those that were kept")
	}
	t.failing = err != nil
	return err
}

// storeCounts stores counts in batches and takes those back that are not
// stored.
func (t *Tally) storeCounts(ctx context.Context, counts map[countKey]int64) error {
	keys := make([]countKey, 0, len(counts))
	for key := range counts {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b countKey) int {
		return cmp.Or(cmp.Compare(a.integratorID, b.integratorID), cmp.Compare(a.hour, b.hour), cmp.Compare(t.reasons[a.reason], t.reasons[b.reason]))
	})
	for len(keys) > 0 {
		rows := make([]exchangeCountRow, batchLength(len(keys)))
		for i, key := range keys[:len(rows)] {
			rows[i] = exchangeCountRow{Hour: time.Unix(key.hour*3600, 0).UnixMicro(), IntegratorID: key.integratorID, Result: registry.ResultGranted, Count: counts[key]}
			if key.reason != 0 {
				rows[i].Result, rows[i].Reason = registry.ResultRefused, t.reasons[key.reason]
			}
		}
		if err := t.store.addCounts(ctx, rows); err != nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			for _, key := range keys {
				t.add(key, counts[key])
			}
			return err
		}
		keys = keys[len(rows):]
	}
	return nil
}

// storeUses does the same with the uses of clients.
func (t *Tally) storeUses(ctx context.Context, uses map[string]int64) error {
	left := make([]clientUse, 0, len(uses))
	for clientID, usedAt := range uses {
		left = append(left, clientUse{clientID, usedAt})
	}
	slices.SortFunc(left, func(a, b clientUse) int { return cmp.Compare(a.clientID, b.clientID) })
	for len(left) > 0 {
		n := batchLength(len(left))
		if err := t.store.clientsUsed(ctx, left[:n]); err != nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			for _, use := range left {
				t.uses[use.clientID] = max(t.uses[use.clientID], use.usedAt)
			}
			return err
		}
		left = left[n:]
	}
	return nil
}
