package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/migrations"
)

const (
	day = 24 * time.Hour
	// partitionsAhead are made before they are needed. Without a janitor for so
	// long, records go into the default partition.
	partitionsAhead = 7
)

// partition holds the records whose id is at least First and below Below. The
// first one has no First, and the one for whatever is left has neither.
type partition struct{ Name, First, Below string }

func (p partition) overlaps(other partition) bool {
	return p.Below != "" && p.First < other.Below && other.First < p.Below
}

// ofDay is the partition of a day, by UTC.
func ofDay(t time.Time) partition {
	start := t.UTC().Truncate(day)
	return partition{"exchanges_" + start.Format("20060102"), firstID(start), firstID(start.Add(day))}
}

// partitions lists those of the exchange log.
func partitions(db *gorm.DB) (list []partition, err error) {
	err = db.Raw(`SELECT c.relname AS name,
		COALESCE(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \(''([^'']*)''\)'), '') AS first,
		COALESCE(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''([^'']*)''\)'), '') AS below
		FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'exchanges'::regclass`).Scan(&list).Error
	return list, err
}

// PrepareExchanges makes room for the records of the coming days. On SQLite
// there is nothing to do.
func (s *Store) PrepareExchanges(ctx context.Context, now time.Time) error {
	if s.dialect == migrations.SQLite {
		return nil
	}
	for ahead := range partitionsAhead + 1 {
		err := s.addPartition(ctx, ofDay(now.Add(time.Duration(ahead)*day)))
		// Records of that day went into the default partition. They stay there.
		if err != nil && !errors.Is(err, gorm.ErrCheckConstraintViolated) {
			return err
		}
	}
	return nil
}

// addPartition makes one that is missing. Attached, and not made in its place,
// it does not lock out those that read and write beside it.
func (s *Store) addPartition(ctx context.Context, missing partition) error {
	return s.exclusively(ctx, func(tx *gorm.DB) error {
		list, err := partitions(tx)
		if err != nil {
			return err
		}
		for _, p := range list {
			if p.overlaps(missing) {
				return nil
			}
		}
		name := pgx.Identifier{missing.Name}.Sanitize()
		return execute(tx, lockTimeout,
			"CREATE TABLE "+name+" (LIKE exchanges INCLUDING DEFAULTS)",
			fmt.Sprintf("ALTER TABLE exchanges ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')", name, missing.First, missing.Below))
	})
}

// lockTimeout bounds how long exchanges wait behind a janitor that waits for
// its lock. It comes again in a minute.
const lockTimeout = "SET LOCAL lock_timeout = '150ms'"

// execute runs statements that take no values: names and bounds are ours.
func execute(tx *gorm.DB, statements ...string) error {
	for _, statement := range statements {
		if err := tx.Exec(statement).Error; err != nil {
			return err
		}
	}
	return nil
}

// purgePartitions drops the partitions that end before a day, and deletes a
// batch of what is older elsewhere: records from before there were partitions,
// or for which there was none.
func (s *Store) purgePartitions(ctx context.Context, before time.Time) (deleted int64, err error) {
	list, err := partitions(s.reader.WithContext(ctx))
	if err != nil {
		return 0, translate(err)
	}
	bound := firstID(before.UTC().Truncate(day))
	for _, p := range list {
		name := pgx.Identifier{p.Name}.Sanitize()
		switch {
		case p.Below != "" && p.Below <= bound:
			err = s.exclusively(ctx, func(tx *gorm.DB) error { return execute(tx, lockTimeout, "DROP TABLE IF EXISTS "+name) })
		case p.First < bound && deleted == 0:
			deleted, err = s.purge(ctx, "DELETE FROM "+name+" WHERE id IN (SELECT id FROM "+name+" WHERE id < ? ORDER BY id LIMIT ?)", bound)
		}
		if err != nil {
			return 0, err
		}
	}
	return deleted, nil
}
