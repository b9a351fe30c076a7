package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"

	"github.com/cambio-oauth/cambio/migrations"
)

func openPostgres(databaseURL string) (*Store, error) {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		// pgx masks the password in this error.
		return nil, fmt.Errorf("read the database URL: %w", err)
	}
	if config.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		return nil, errors.New("read the database URL: default_query_exec_mode=simple_protocol writes values into the text of statements (CVE-2024-27289); behind PgBouncer in transaction mode use default_query_exec_mode=exec")
	}
	config.ConnectTimeout = connectTimeout // of each host
	primary := &primary{}
	primary.validate(config)
	unlimited := config.Copy() // a migration may take longer than a request
	config.RuntimeParams["statement_timeout"] = fmt.Sprint(statementTimeout.Milliseconds())
	config.RuntimeParams["application_name"] = "cambio"
	listener := config.Copy()
	listener.RuntimeParams["application_name"] = "cambio listener"
	// A replica that is cut off in the middle of a change must not keep others
	// from changing anything.
	config.RuntimeParams["idle_in_transaction_session_timeout"] = fmt.Sprint((2 * statementTimeout).Milliseconds())
	primary.hosts = hosts(config)
	config.Tracer = primary
	pool := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(primary.connected), stdlib.OptionResetSession(primary.reuse))
	pool.SetMaxOpenConns(postgresConnections)
	pool.SetMaxIdleConns(postgresConnections)
	pool.SetConnMaxLifetime(30 * time.Minute)
	db, err := wrap(postgres.New(postgres.Config{Conn: pool}), requestTimeout)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &Store{
		dialect: migrations.Postgres,
		primary: primary,
		writer:  db,
		reader:  db,
		pools:   []*sql.DB{pool},
		migrate: func(_ context.Context, apply func(*sql.DB) error) error {
			db := stdlib.OpenDB(*unlimited)
			return errors.Join(apply(db), db.Close())
		},
		listen: func(ctx context.Context) (*pgx.Conn, error) { return pgx.ConnectConfig(ctx, listener) },
		now:    time.Now,
	}, nil
}

// SQLSTATEs that mean something to us.
const (
	readOnly             = "25006" // read_only_sql_transaction
	serializationFailure = "40001"
	deadlockDetected     = "40P01"

	insufficientPrivilege = "42501"
	undefinedFunction     = "42883"
	featureNotSupported   = "0A000"
)

// undone tells whether PostgreSQL took a transaction back to let another one
// pass. SQLite's wait their turn.
func undone(err error) bool {
	var failure *pgconn.PgError
	return errors.As(err, &failure) && (failure.Code == serializationFailure || failure.Code == deadlockDetected)
}

// primary throws connections away that lead to a server which takes no writes
// any more: after a fail-over the next one finds the new primary
// (target_session_attrs=read-write). All those made before the failure was seen
// go, or each would have to fail by itself.
// Once a second: a primary that takes no writes for another reason, a full disk
// for one, goes on answering questions.
// It throws those away too that lead to a primary which has a successor.
type primary struct {
	era    atomic.Int64
	raised atomic.Int64 // in seconds since 1970
	newest atomic.Pointer[origin]
	hosts  []*pgx.ConnConfig // several or none
}

const eraKey = "cambio: era"

func (p *primary) connected(_ context.Context, conn *pgx.Conn) error {
	conn.PgConn().CustomData()[eraKey] = p.era.Load()
	return nil
}

// reuse is asked before the pool hands a connection out again.
func (p *primary) reuse(_ context.Context, conn *pgx.Conn) error {
	if conn.PgConn().CustomData()[eraKey] != p.era.Load() || p.outdated(conn.PgConn()) {
		return driver.ErrBadConn
	}
	return nil
}

// TraceQueryStart implements pgx.QueryTracer.
func (*primary) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (p *primary) TraceQueryEnd(_ context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	var failure *pgconn.PgError
	if !errors.As(data.Err, &failure) || failure.Code != readOnly {
		return
	}
	now, before := time.Now().Unix(), p.raised.Load()
	if era, ok := conn.PgConn().CustomData()[eraKey].(int64); ok && now > before && p.raised.CompareAndSwap(before, now) {
		p.era.CompareAndSwap(era, era+1) // once for all of them
	}
}
