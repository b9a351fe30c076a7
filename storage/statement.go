package storage

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/cambio-oauth/cambio/migrations"
)

// statement is one that requests run all the time. gorm would build its text
// anew for each of them, and SQLite parse it. Values are never in the text.
type statement struct {
	pool *sql.DB
	text string
	// kept is the statement as SQLite has parsed it. PostgreSQL's are kept by
	// pgx, in the way that the database URL says: not at all behind PgBouncer.
	keep bool
	kept atomic.Pointer[sql.Stmt]
}

// newStatement takes a text with a ? for each value.
func newStatement(dialect migrations.Dialect, pool *sql.DB, text string) *statement {
	if dialect == migrations.SQLite {
		return &statement{pool: pool, text: text, keep: true}
	}
	var numbered strings.Builder
	for i, part := range strings.Split(text, "?") {
		if i > 0 {
			fmt.Fprintf(&numbered, "$%d", i)
		}
		numbered.WriteString(part)
	}
	return &statement{pool: pool, text: numbered.String()}
}

// prepared gives the kept statement; nil: there is none to be kept.
func (s *statement) prepared(ctx context.Context) (*sql.Stmt, error) {
	if !s.keep {
		return nil, nil
	}
	if kept := s.kept.Load(); kept != nil {
		return kept, nil
	}
	made, err := s.pool.PrepareContext(ctx, s.text)
	if err != nil {
		return nil, err
	}
	if !s.kept.CompareAndSwap(nil, made) {
		_ = made.Close() // somebody else was faster
	}
	return s.kept.Load(), nil
}

// exec runs the statement, in a transaction or, with nil, in one of its own. In
// a transaction it is the kept one only if it was prepared before: on the one
// connection that writes, nothing can be prepared beside a transaction.
func (s *statement) exec(ctx context.Context, tx *sql.Tx, args ...any) error {
	if tx != nil {
		if kept := s.kept.Load(); kept != nil {
			_, err := tx.StmtContext(ctx, kept).ExecContext(ctx, args...)
			return err
		}
		_, err := tx.ExecContext(ctx, s.text, args...)
		return err
	}
	kept, err := s.prepared(ctx)
	if err != nil {
		return err
	}
	if kept != nil {
		_, err = kept.ExecContext(ctx, args...)
		return err
	}
	_, err = s.pool.ExecContext(ctx, s.text, args...)
	return err
}

// scan reads the one row of an answer.
func (s *statement) scan(ctx context.Context, args []any, into ...any) error {
	kept, err := s.prepared(ctx)
	if err != nil {
		return err
	}
	if kept != nil {
		return kept.QueryRowContext(ctx, args...).Scan(into...)
	}
	return s.pool.QueryRowContext(ctx, s.text, args...).Scan(into...)
}
