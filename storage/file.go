package storage

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cambio-oauth/cambio/migrations"
	"github.com/cambio-oauth/cambio/storage/sqlite"
)

// remedy is what to do about a file that is no whole database.
const remedy = "put a backup in its place, or save what is left with `sqlite3 FILE .recover`; where nothing is to be saved, delete it with its -wal and -shm and begin anew"

// databaseFile is SQLite's, and the claim of whoever serves it.
type databaseFile struct {
	path  string
	fresh bool // made by us a moment ago

	mu    sync.Mutex
	claim *os.File // the lock beside it; nil: not claimed
}

// openFile finds the database, or makes it. What is there and is no database
// was one: it is not overwritten, and nothing is served from nothing.
func openFile(path string) (*databaseFile, error) {
	_, err := os.Stat(path)
	fresh := errors.Is(err, os.ErrNotExist)
	if info, err := os.Stat(path + "-wal"); fresh && err == nil && info.Size() > 0 {
		return nil, fmt.Errorf("%s is gone, and what was written last is still in %s-wal: %s", path, path, remedy)
	}
	// SQLite gives the files beside it (-wal, -shm) the mode of the database.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the database file: %w", err)
	}
	if !fresh {
		err = checkHeader(path, file)
	}
	return &databaseFile{path: path, fresh: fresh}, errors.Join(err, file.Chmod(0o600), file.Close())
}

func checkHeader(path string, file io.Reader) error {
	magic := []byte("SQLite format 3\x00")
	header := make([]byte, len(magic))
	switch n, err := io.ReadFull(file, header); {
	case n == 0 && errors.Is(err, io.EOF):
		return fmt.Errorf("%s is empty: %s", path, remedy)
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("read the database file: %w", err)
	case !bytes.Equal(header, magic):
		return fmt.Errorf("%s is not a SQLite database: %s", path, remedy)
	}
	return nil
}

func openSQLite(path string) (*Store, error) {
	if path == "" || strings.HasPrefix(path, ":memory:") || strings.ContainsAny(path, "?#%\x00") {
		return nil, errors.New("want sqlite://PATH, where PATH is the name of a file without ? # %")
	}
	path = filepath.Clean(path) // the one that SQLite opens, too
	file, err := openFile(path)
	if err != nil {
		return nil, err
	}
	// FULL: an acknowledged revocation survives a power cut. immediate: a
	// transaction that reads before it writes would otherwise fail at once
	// instead of waiting its turn.
	pragmas := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", statementTimeout.Milliseconds()),
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
	}}
	writes := "file:" + path + "?_txlock=immediate&" + pragmas.Encode()
	pragmas.Add("_pragma", "query_only(1)")
	reads := "file:" + path + "?" + pragmas.Encode()
	writerPool, err := sql.Open("sqlite", writes)
	if err != nil {
		return nil, err
	}
	writerPool.SetMaxOpenConns(1)
	readerPool, err := sql.Open("sqlite", reads)
	if err != nil {
		return nil, err
	}
	readerPool.SetMaxOpenConns(sqliteReaders)
	readerPool.SetMaxIdleConns(sqliteReaders)
	store := &Store{
		dialect: migrations.SQLite,
		pools:   []*sql.DB{writerPool, readerPool},
		file:    file,
		migrate: func(_ context.Context, apply func(*sql.DB) error) error { return apply(writerPool) },
		now:     time.Now,
	}
	if store.writer, err = wrap(sqlite.Dialector{Pool: writerPool}, statementTimeout); err != nil {
		return nil, err
	}
	store.reader, err = wrap(sqlite.Dialector{Pool: readerPool}, statementTimeout)
	return store, err
}

// check tells whether the database answers, and SQLite does what it was asked
// for: on some file systems it does not, and says nothing.
func (s *Store) check(ctx context.Context) error {
	err := s.Ping(ctx)
	if s.file == nil {
		return err
	}
	for _, want := range []struct{ pragma, value string }{{"journal_mode", "wal"}, {"synchronous", "2"}} { // 2 is FULL
		var got string
		if err == nil {
			err = s.pools[0].QueryRowContext(ctx, "PRAGMA "+want.pragma).Scan(&got)
		}
		if err == nil && got != want.value {
			err = fmt.Errorf("%s: %s is %q and not %q: an acknowledged revocation would not survive a power cut; put the file on a local disk", s.file.path, want.pragma, got, want.value)
		}
	}
	return s.file.explain(err)
}

// explain names the remedy for a damaged file.
func (f *databaseFile) explain(err error) error {
	if sqlite.Damaged(err) {
		return fmt.Errorf("%s is damaged (%w): %s", f.path, err, remedy)
	}
	return err
}

// Serve makes this store the one that serves a SQLite file until it is closed,
// and looks whether the file is whole: two servers would each go on with a
// configuration in memory that the other one has changed, and be two writers
// where one waits for the other. Commands that come and go (migrate, keys) need
// no claim: servers look for what they change. PostgreSQL serves any number.
func (s *Store) Serve(ctx context.Context) error {
	if s.file == nil {
		return nil
	}
	if err := s.file.take(); err != nil {
		return err
	}
	if s.file.fresh {
		return nil
	}
	var finding string // the first one; "ok"
	err := s.pools[1].QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&finding)
	if err == nil && finding != "ok" {
		return fmt.Errorf("%s is damaged (%s): %s", s.file.path, strings.ReplaceAll(finding, "\n", " "), remedy)
	}
	return s.file.explain(err)
}

// take claims the file by a lock on another beside it: one on the database
// itself would be SQLite's, or end with any descriptor of it that is closed.
// The system takes it back when the process dies.
func (f *databaseFile) take() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.claim != nil {
		return nil
	}
	path, err := filepath.EvalSymlinks(f.path) // one file, one lock
	if err != nil {
		return err
	}
	claim, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("claim the database file: %w", err)
	}
	if err := lockFile(claim); err != nil {
		return errors.Join(fmt.Errorf("another cambio serves %s (%w): one process per SQLite file, or PostgreSQL for several", f.path, err), claim.Close())
	}
	f.claim = claim
	return nil
}

func (f *databaseFile) release() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.claim == nil {
		return nil
	}
	claim := f.claim
	f.claim = nil
	return claim.Close() // the file stays: whoever deleted it might delete another's
}
