package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/migrations"
	"github.com/cambio-oauth/cambio/registry"
)

// Bounds of the configuration in memory.
const (
	// PollInterval is how often the counter of changes wants to be looked at.
	PollInterval = time.Second
	// MaxStaleness is how long a replica that cannot reach the database goes on
	// with what it knows. After that it says that it does not know.
	MaxStaleness = 4 * time.Second
)

// ErrOutdated means that the configuration in memory is too old to judge by.
var ErrOutdated = errors.New("the configuration could not be read from the database lately")

// Directory is the configuration in memory: one immutable snapshot, swapped
// whole when the counter of changes has moved. Somebody has to call Refresh
// every PollInterval.
type Directory struct {
	store   *Store
	reading sync.Mutex // one at a time
	failure error      // of the last reading, and when that ended
	failed  time.Time
	current atomic.Pointer[view]
}

type view struct {
	snapshot    *registry.Snapshot
	seq         int64
	confirmedAt time.Time // when seq was last seen in the database
}

// NewDirectory loads the configuration.
func NewDirectory(ctx context.Context, store *Store) (*Directory, error) {
	directory := &Directory{store: store}
	return directory, directory.Refresh(ctx)
}

// Snapshot gives the configuration, or ErrOutdated: a replica that lost the
// database fails closed.
func (d *Directory) Snapshot() (*registry.Snapshot, error) {
	v := d.current.Load()
	if d.store.now().Sub(v.confirmedAt) > MaxStaleness {
		return nil, ErrOutdated
	}
	return v.snapshot, nil
}

// Confirmed gives the configuration as of now. It is for what was not found:
// it may have been created on another replica a moment ago, and a database that
// cannot be asked must not make it "unknown".
func (d *Directory) Confirmed(ctx context.Context) (*registry.Snapshot, error) {
	if err := d.Refresh(ctx); err != nil {
		return nil, err
	}
	return d.current.Load().snapshot, nil
}

// Refresh reads the counter of changes, and everything else if it has moved,
// unless somebody has since it was called. Who waits while a reading fails
// fails with it: one after the other would wait for the database in vain.
func (d *Directory) Refresh(ctx context.Context) error {
	called := d.store.now()
	d.reading.Lock()
	defer d.reading.Unlock()
	if v := d.current.Load(); v != nil && v.confirmedAt.After(called) {
		return nil
	}
	if d.failure != nil && d.failed.After(called) {
		return d.failure
	}
	// Whoever waits for this must not fail because whoever came first went away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statementTimeout)
	defer cancel()
	d.failure = d.refresh(ctx, d.store.now()) // not when it was asked: who waits as long must not read again
	d.failed = d.store.now()
	return d.failure
}

func (d *Directory) refresh(ctx context.Context, asked time.Time) error {
	var seq int64
	err := d.store.ask(ctx, func(ctx context.Context) (err error) { // requests may wait for it
		seq, err = counter(d.store.reader.WithContext(ctx))
		return err
	})
	if err != nil {
		return err
	}
	if v := d.current.Load(); v != nil && v.seq == seq {
		d.current.Store(&view{snapshot: v.snapshot, seq: seq, confirmedAt: asked})
		return nil
	}
	contents, seq, err := d.store.contents(ctx)
	if err != nil {
		return err
	}
	d.current.Store(&view{snapshot: registry.NewSnapshot(contents), seq: seq, confirmedAt: asked})
	return nil
}

func counter(db *gorm.DB) (int64, error) {
	var seq []int64
	if err := db.Raw("SELECT seq FROM changes WHERE id = 1").Scan(&seq).Error; err != nil {
		return 0, translate(err)
	}
	if len(seq) != 1 {
		return 0, errors.New("the table changes has lost its row")
	}
	return seq[0], nil
}

// contents reads the whole configuration and its counter as of one moment.
func (s *Store) contents(ctx context.Context) (registry.Contents, int64, error) {
	var contents registry.Contents
	var seq int64
	options := &sql.TxOptions{ReadOnly: true}
	if s.dialect == migrations.Postgres {
		options.Isolation = sql.LevelRepeatableRead // SQLite's readers have that anyway
	}
	err := s.reader.WithContext(ctx).Transaction(func(tx *gorm.DB) (err error) {
		if seq, err = counter(tx); err != nil {
			return err
		}
		return readContents(tx, &contents)
	}, options)
	return contents, seq, translate(err)
}

func readContents(tx *gorm.DB, c *registry.Contents) error {
	var integrators []integratorRow
	var secrets []secretRow
	var holders []lockHolderRow
	var links []linkRow
	var servers []resourceServerRow
	var rules []scopeRuleRow
	for _, rows := range []any{&integrators, &secrets, &holders, &links, &servers} {
		if err := tx.Find(rows).Error; err != nil {
			return fmt.Errorf("read %T: %w", rows, err)
		}
	}
	clients, bad, err := readable[clientRow](tx, "clients")
	if err == nil {
		c.UnreadableClients, err = unreadableClients(tx, bad)
	}
	if err != nil {
		return fmt.Errorf("read clients: %w", err)
	}
	// Of several key URLs for one issuer the oldest is tried first, always.
	keyURLs, bad, err := readable[keyURLRow](tx, "key_urls")
	if err == nil {
		c.UnreadableKeyURLs, err = unreadableKeyURLs(tx, bad)
	}
	if err != nil {
		return fmt.Errorf("read key URLs: %w", err)
	}
	if err := tx.Order("id").Find(&rules).Error; err != nil { // in their order
		return fmt.Errorf("read scope rules: %w", err)
	}
	c.ScopeRules = convertAll(rules, scopeRuleRow.rule)
	c.Integrators = convertAll(integrators, integratorRow.integrator)
	c.KeyURLs = convertAll(keyURLs, keyURLRow.keyURL)
	c.Clients = convertAll(clients, clientRow.client)
	c.LockHolders = convertAll(holders, lockHolderRow.lockHolder)
	c.ResourceServers = convertAll(servers, resourceServerRow.resourceServer)
	for _, link := range links {
		c.Links = append(c.Links, registry.Link{IntegratorID: link.IntegratorID, LockHolderID: link.LockHolderID})
	}
	byClient := map[string][]registry.ClientSecret{}
	for _, secret := range secrets {
		byClient[secret.ClientID] = append(byClient[secret.ClientID], secret.secret())
	}
	for i := range c.Clients {
		c.Clients[i].Secrets = byClient[c.Clients[i].ClientID]
	}
	return nil
}
