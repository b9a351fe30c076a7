package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed sqlite/*.sql postgres/*.sql
var files embed.FS

// Dialect names one of the two histories.
type Dialect string

// The dialects.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Step is one migration and when it was applied.
type Step struct {
	Name      string
	AppliedAt time.Time // zero: not yet
}

// Up applies what is missing and gives the names of what it applied. On
// PostgreSQL a session lock lets one of several replicas do it and the others
// wait.
func Up(ctx context.Context, db *sql.DB, dialect Dialect) ([]string, error) {
	provider, err := provider(db, dialect)
	if err != nil {
		return nil, err
	}
	if upToDate(ctx, db, provider) {
		return nil, nil
	}
	var applied []string
	for try := 1; ; try++ {
		results, err := provider.Up(ctx)
		if partial := (*goose.PartialError)(nil); errors.As(err, &partial) {
			results = partial.Applied
		}
		for _, result := range results {
			applied = append(applied, result.Source.Path)
		}
		if err == nil {
			return applied, nil
		}
		if try == lockTries || !lockedOut(err) {
			return applied, fmt.Errorf("apply migrations: %w", err)
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return applied, ctx.Err()
		}
	}
}

// A migration waits for a lock for a short time only, because traffic waits
// behind it; a backup that holds the lock takes longer.
const (
	lockTries = 60
	lockPause = 3 * time.Second
)

// lockedOut tells lock_not_available, by which PostgreSQL takes a step back.
func lockedOut(err error) bool {
	var failure interface{ SQLState() string }
	return errors.As(err, &failure) && failure.SQLState() == "55P03"
}

// upToDate tells whether nothing is missing, without the lock of a session:
// most starts find nothing to do, and PgBouncer in transaction mode hands
// sessions round. Whatever goes wrong here goes wrong again under the lock.
func upToDate(ctx context.Context, db *sql.DB, provider *goose.Provider) bool {
	rows, err := db.QueryContext(ctx, "SELECT version_id FROM goose_db_version WHERE is_applied")
	if err != nil {
		return false
	}
	defer func() { _ = rows.Close() }()
	applied := map[int64]bool{}
	for rows.Next() {
		var version int64
		if rows.Scan(&version) != nil {
			return false
		}
		applied[version] = true
	}
	for _, source := range provider.ListSources() {
		if !applied[source.Version] {
			return false
		}
	}
	return rows.Err() == nil
}

// Status lists every migration.
func Status(ctx context.Context, db *sql.DB, dialect Dialect) ([]Step, error) {
	provider, err := provider(db, dialect)
	if err != nil {
		return nil, err
	}
	statuses, err := provider.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	var steps []Step
	for _, status := range statuses {
		steps = append(steps, Step{Name: status.Source.Path, AppliedAt: status.AppliedAt})
	}
	return steps, nil
}

// Versions tells up to where a database was migrated, and up to where this
// program can. It asks one statement and writes nothing.
func Versions(ctx context.Context, db *sql.DB, dialect Dialect) (applied, known int64, err error) {
	names, err := fs.Glob(files, string(dialect)+"/*.sql")
	if err != nil {
		return 0, 0, err
	}
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return 0, 0, err
		}
		known = max(known, version)
	}
	var highest sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT MAX(version_id) FROM "+goose.DefaultTablename+" WHERE is_applied").Scan(&highest); err != nil {
		return 0, known, fmt.Errorf("read the version of the schema: %w", err)
	}
	return highest.Int64, known, nil
}

func provider(db *sql.DB, dialect Dialect) (*goose.Provider, error) {
	history, err := fs.Sub(files, string(dialect))
	if err != nil {
		return nil, err
	}
	if dialect == SQLite {
		return goose.NewProvider(goose.DialectSQLite3, db, history)
	}
	// A replica that finds the lock taken looks again every second, for as
	// long as a migration may take.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 900))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, history, goose.WithSessionLocker(locker))
}
