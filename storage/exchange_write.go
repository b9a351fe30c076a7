package storage

import (
	"context"
	"database/sql"
	"math/bits"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/cambio-oauth/cambio/migrations"
)

// Batches of records.
const (
	logBatch        = 256                    // in one statement: 5,632 of the 32,766 values that SQLite takes
	everyLength     = 16                     // so long a batch has a statement for each length, a longer one for powers of two
	asyncBatch      = 2048                   // in one transaction, where nobody waits for it
	sqliteStatement = 32                     // of them in one statement: half a millisecond of a core
	asyncInterval   = 100 * time.Millisecond // how long a record waits for others then
)

const (
	exchangeColumns = "id, at, grant_type, result, code, reason, integrator_id, client_id, issuer, subject, key_id, granted, dropped, token_id, expires_at, subject_token_hash"
	exchangeValues  = "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?"
	// Hardly any record has these; the schema has defaults.
	auditColumnNames = ", audit_change, audit_result, audit_code, audit_reason, audit_lost, audit_gained"
	auditValues      = ",?,?,?,?,?,?"
)

func (r *exchangeRow) appendValues(args []any, audited bool) []any {
	args = append(args, r.ID, r.At, r.GrantType, r.Result, r.Code, r.Reason, r.IntegratorID, r.ClientID, r.Issuer, r.Subject, r.KeyID, r.Granted, r.Dropped, r.TokenID, r.ExpiresAt, r.SubjectTokenHash)
	if audited {
		args = append(args, r.Audit.Change, r.Audit.Result, r.Audit.Code, r.Audit.Reason, r.Audit.Lost, r.Audit.Gained)
	}
	return args
}

// anyAudited tells whether a change was on trial for any record of a batch.
func anyAudited(batch []entry) bool {
	return slices.ContainsFunc(batch, func(e entry) bool { return e.row.Audit.Change != "" })
}

// drain writes the queue in batches until it is closed.
func (l *ExchangeLog) drain() {
	defer close(l.done)
	for first := range l.queue {
		if l.mode == LogAsync {
			l.write(l.gather(first))
			continue
		}
		l.await()
		batch := []entry{first}
		for most := batchLength(len(l.queue) + 1); len(batch) < most; { // nobody else receives
			batch = append(batch, <-l.queue)
		}
		l.write(batch)
	}
}

// await lets those that run at this moment come along, or on one core each would
// find a worker that has gone off with the one before: as long as each turn of
// theirs brings another record.
func (l *ExchangeLog) await() {
	for before := -1; len(l.queue) > before && len(l.queue) < logBatch; {
		before = len(l.queue)
		runtime.Gosched()
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

// batchLength gives the largest number of records up to n that one statement stores:
// each length is a statement that the database keeps.
func batchLength(n int) int {
	if n <= everyLength {
		return n
	}
	return 1 << (bits.Len(uint(min(n, logBatch))) - 1)
}

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
	if l.mode != LogAsync && batchLength(len(batch)) == len(batch) {
		return l.insertSome(ctx, nil, batch)
	}
	most := logBatch
	if l.store.dialect == migrations.SQLite { // which works in this process, and PostgreSQL in its own
		most = sqliteStatement
	}
	var parts [][]entry
	for len(batch) > 0 {
		n := batchLength(min(len(batch), most))
		if _, err := l.insertion(batch[:n]).prepared(ctx); err != nil { // see statement.exec
			return err
		}
		parts, batch = append(parts, batch[:n]), batch[n:]
	}
	tx, err := l.store.pools[0].BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if err := l.insertSome(ctx, tx, part); err != nil {
			_ = tx.Rollback()
			return err
		}
		runtime.Gosched() // requests do not wait for all of it
	}
	return tx.Commit()
}

// insertSome stores as many records as one statement does.
func (l *ExchangeLog) insertSome(ctx context.Context, tx *sql.Tx, batch []entry) error {
	l.statements.Add(1)
	withAudit := anyAudited(batch)
	args := make([]any, 0, len(batch)*strings.Count(exchangeValues+auditValues, "?"))
	for i := range batch {
		args = batch[i].row.appendValues(args, withAudit)
	}
	return l.insertion(batch).exec(ctx, tx, args...)
}

// insertion gives the statement for a batch of one of the lengths.
func (l *ExchangeLog) insertion(batch []entry) *statement {
	columns, values, kept := exchangeColumns, exchangeValues, &l.inserts
	if anyAudited(batch) {
		columns, values, kept = columns+auditColumnNames, values+auditValues, &l.auditedInserts
	}
	n := len(batch)
	if kept[n] == nil {
		text := "INSERT INTO exchanges (" + columns + ") VALUES " + strings.TrimSuffix(strings.Repeat("("+values+"),", n), ",")
		kept[n] = newStatement(l.store.dialect, l.store.pools[0], text)
	}
	return kept[n]
}
