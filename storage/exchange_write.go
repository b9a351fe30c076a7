package storage

import (
	"context"
	"database/sql"
	"math/bits"
	"runtime"
	"strings"
	"time"

	"github.com/cambio-oauth/cambio/migrations"
)

// Batches of records.
const (
	maxBatchBits    = 8
	logBatch        = 1 << maxBatchBits      // in one statement: 5,632 of the 32,766 values that SQLite takes
	asyncBatch      = 2048                   // in one transaction, where nobody waits for it
	sqliteStatement = 32                     // of them in one statement: half a millisecond of a core
	asyncInterval   = 250 * time.Millisecond // how long a record waits for others then
)

const (
	exchangeColumns = "id, at, grant_type, result, code, reason, integrator_id, client_id, issuer, subject, key_id, granted, dropped, token_id, expires_at, " +
		"subject_token_hash, audit_change, audit_result, audit_code, audit_reason, audit_lost, audit_gained"
	exchangeValues = "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)

func (r *exchangeRow) appendValues(args []any) []any {
	return append(args, r.ID, r.At, r.GrantType, r.Result, r.Code, r.Reason, r.IntegratorID, r.ClientID, r.Issuer, r.Subject, r.KeyID, r.Granted, r.Dropped, r.TokenID, r.ExpiresAt,
		r.SubjectTokenHash, r.Audit.Change, r.Audit.Result, r.Audit.Code, r.Audit.Reason, r.Audit.Lost, r.Audit.Gained)
}

// drain writes the queue in batches until it is closed.
func (l *ExchangeLog) drain() {
	defer close(l.done)
	for first := range l.queue {
		if l.mode == LogAsync {
			l.write(l.gather(first))
			continue
		}
		// Let those that run at this moment come along, or on one core each would
		// find a worker that has gone off with the one before.
		runtime.Gosched()
		batch := []entry{first}
		// Powers of two: each length is a statement that the database keeps.
		for most := powerOfTwo(len(l.queue) + 1); len(batch) < most; { // nobody else receives
			batch = append(batch, <-l.queue)
		}
		l.write(batch)
	}
}

// gather waits for more where nobody waits for the commit: one for each handful
// of records would cost more than the exchanges.
func (l *ExchangeLog) gather(first entry) []entry {
	batch := []entry{first}
	late := time.NewTimer(asyncInterval)
	defer late.Stop()
	for len(batch) < asyncBatch {
		select {
		case e, open := <-l.queue:
			if !open {
				return batch
			}
			batch = append(batch, e)
		case <-late.C:
			return batch
		}
	}
	return batch
}

// powerOfTwo gives the largest one up to n and the length of a batch.
func powerOfTwo(n int) int { return 1 << (bits.Len(uint(min(n, logBatch))) - 1) }

// write commits a batch, all of it or nothing, and tells everybody who waits.
func (l *ExchangeLog) write(batch []entry) {
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	err := l.insert(ctx, batch)
	if err != nil {
		l.unwritten.Add(int64(len(batch)))
		l.log.Error("exchange records could not be written", "count", len(batch), "error", err)
	}
	for _, e := range batch {
		if e.committed != nil {
			e.committed <- err
		}
	}
}

// insert stores a batch: in one statement, or in several of one transaction.
func (l *ExchangeLog) insert(ctx context.Context, batch []entry) error {
	if l.mode != LogAsync && powerOfTwo(len(batch)) == len(batch) {
		return l.insertSome(ctx, nil, batch)
	}
	most := logBatch
	if l.store.dialect == migrations.SQLite { // which works in this process, and PostgreSQL in its own
		most = sqliteStatement
	}
	var lengths []int
	for left := len(batch); left > 0; left -= lengths[len(lengths)-1] {
		lengths = append(lengths, powerOfTwo(min(left, most)))
		if _, err := l.insertion(lengths[len(lengths)-1]).prepared(ctx); err != nil { // see statement.exec
			return err
		}
	}
	tx, err := l.store.pools[0].BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, n := range lengths {
		if err := l.insertSome(ctx, tx, batch[:n]); err != nil {
			_ = tx.Rollback()
			return err
		}
		batch = batch[n:]
		runtime.Gosched() // requests do not wait for all of it
	}
	return tx.Commit()
}

// insertSome stores as many records as a power of two.
func (l *ExchangeLog) insertSome(ctx context.Context, tx *sql.Tx, batch []entry) error {
	l.statements.Add(1)
	args := make([]any, 0, len(batch)*strings.Count(exchangeValues, "?"))
	for i := range batch {
		args = batch[i].row.appendValues(args)
	}
	return l.insertion(len(batch)).exec(ctx, tx, args...)
}

// insertion gives the statement for n records, a power of two.
func (l *ExchangeLog) insertion(n int) *statement {
	which := bits.Len(uint(n)) - 1
	if l.inserts[which] == nil {
		text := "INSERT INTO exchanges (" + exchangeColumns + ") VALUES " + strings.TrimSuffix(strings.Repeat(exchangeValues+",", n), ",")
		l.inserts[which] = newStatement(l.store.dialect, l.store.pools[0], text)
	}
	return l.inserts[which]
}
