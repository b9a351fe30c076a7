package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/cambio-oauth/cambio/migrations"
)

// Pool limits and time limits of the database.
const (
	postgresConnections = 16 // per replica
	sqliteReaders       = 8
	connectTimeout      = 3 * time.Second
	statementTimeout    = 5 * time.Second         // also how long SQLite waits for its one writer
	requestTimeout      = 1400 * time.Millisecond // of what a request asks PostgreSQL for: two of them and its 503 comes within 3 s
)

// Store is an open database. On SQLite there is one connection that writes and
// a pool that only reads; on PostgreSQL both are the same pool.
type Store struct {
	dialect migrations.Dialect
	writer  *gorm.DB
	reader  *gorm.DB
	pools   []*sql.DB
	file    *databaseFile // nil on PostgreSQL
	migrate func(context.Context, func(*sql.DB) error) error
	listen  func(context.Context) (*pgx.Conn, error) // nil on SQLite
	primary *primary                                 // nil on SQLite
	now     func() time.Time
	breaker breaker
	// tokenState is what introspection asks, built once.
	tokenState *statement
	within     bool // as a transaction sees it, which is a change already
}

// Open opens sqlite://PATH or postgres://…. It does not touch the schema.
func Open(ctx context.Context, databaseURL string) (*Store, error) {
	scheme, rest, _ := strings.Cut(databaseURL, "://")
	var store *Store
	var err error
	switch scheme {
	case "sqlite":
		store, err = openSQLite(rest)
	case "postgres", "postgresql":
		store, err = openPostgres(databaseURL)
	default:
		return nil, errors.New("want sqlite://PATH or postgres://USER@HOST/DATABASE")
	}
	if err != nil {
		return nil, err
	}
	store.tokenState = newStatement(store.dialect, store.pools[len(store.pools)-1], tokenState) // one that reads
	store.Survey(ctx)
	if err := store.check(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the database: %w", err), store.Close())
	}
	return store, nil
}

// SurveyInterval is how long an old primary that answers beside its successor
// may be believed by a replica that is connected to it.
const SurveyInterval = 2 * time.Second

// Survey looks at every host of a database URL that names several, for the one
// that was promoted last.
func (s *Store) Survey(ctx context.Context) {
	if s.primary == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	s.primary.survey(ctx)
}

// timeout is how long a request waits for the database: SQLite's writers wait
// their turn.
func (s *Store) timeout() time.Duration {
	if s.dialect == migrations.Postgres {
		return requestTimeout
	}
	return statementTimeout
}

// Path gives the file of a sqlite:// URL, and whether it is one.
func Path(databaseURL string) (string, bool) {
	return strings.CutPrefix(databaseURL, "sqlite://")
}

// wrap sets gorm up. No prepared statements of gorm's own: they can deadlock
// (go-gorm #7465), and pgx caches its own. No values in its log: hashes and
// keys pass through here.
func wrap(dialector gorm.Dialector, timeout time.Duration) (*gorm.DB, error) {
	return gorm.Open(dialector, &gorm.Config{
		TranslateError: true,
		// On our side, too: a network that swallows packets never answers.
		DefaultContextTimeout:     timeout,
		DefaultTransactionTimeout: statementTimeout,
		SkipDefaultTransaction:    true,
		DisableAutomaticPing:      true,
		// Columns by name: PostgreSQL refuses a prepared SELECT * once the next
		// version's migration has added a column.
		QueryFields: true,
		Logger:      logger.New(discard{io.Discard}, logger.Config{LogLevel: logger.Silent, ParameterizedQueries: true}),
	})
}

type discard struct{ io.Writer }

func (discard) Printf(string, ...any) {}

// Migrate applies what is missing of the schema and names what it applied.
func (s *Store) Migrate(ctx context.Context) (applied []string, err error) {
	err = s.migrate(ctx, func(db *sql.DB) error {
		applied, err = migrations.Up(ctx, db, s.dialect)
		return err
	})
	return applied, err
}

// Migrations lists every migration and when it was applied.
func (s *Store) Migrations(ctx context.Context) (steps []migrations.Step, err error) {
	err = s.migrate(ctx, func(db *sql.DB) error {
		steps, err = migrations.Status(ctx, db, s.dialect)
		return err
	})
	return steps, err
}

// SchemaVersions tells up to where the database was migrated, and up to where
// this program can.
func (s *Store) SchemaVersions(ctx context.Context) (applied, known int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return migrations.Versions(ctx, s.pools[len(s.pools)-1], s.dialect) // one that reads
}

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var seq int64
	for _, pool := range s.pools {
		if err := pool.QueryRowContext(ctx, "SELECT 1").Scan(&seq); err != nil {
			return err
		}
	}
	return nil
}

// Close closes all connections, and ends what Serve claimed.
func (s *Store) Close() error {
	var failures []error
	for _, pool := range s.pools {
		failures = append(failures, pool.Close())
	}
	if s.file != nil {
		failures = append(failures, s.file.release())
	}
	return errors.Join(failures...)
}
