package storage

import (
	"context"
	"database/sql"

	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/migrations"
)

// changeTries bounds how often a change is begun that PostgreSQL undid to let
// another one pass.
const changeTries = 3

// change runs a change of configuration: one transaction, in which the counter
// that replicas watch moves too. Its row also keeps changes apart. Those that
// listen hear of it when it is committed.
//
// A change is begun again while nothing of it has happened. Once apply has run
// it is not: apply tells the object that was given its new revision.
func (s *Store) change(ctx context.Context, apply func(tx *gorm.DB) error) error {
	apply = s.answered(ctx, s.noted(ctx, apply))
	if s.within { // the counter has moved
		return translate(apply(s.writer.WithContext(ctx)))
	}
	return s.serially(ctx, apply)
}

// Alone makes reads and changes as one change: nobody else changes anything
// between them, and an error takes all of them back. inside is good until do
// returns, and reads what it wrote.
func (s *Store) Alone(ctx context.Context, do func(inside *Store) error) error {
	return s.serially(ctx, func(tx *gorm.DB) error { return do(s.inside(tx)) })
}

func (s *Store) serially(ctx context.Context, apply func(tx *gorm.DB) error) error {
	var options sql.TxOptions
	if s.dialect == migrations.Postgres {
		// Whatever the database's default: what apply reads is of after those
		// before it, for whose end it waited.
		options.Isolation = sql.LevelReadCommitted
	}
	for try := 1; ; try++ {
		entered := false
		err := s.writer.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec("UPDATE changes SET seq = seq + 1 WHERE id = 1").Error; err != nil {
				return err
			}
			if s.dialect == migrations.Postgres {
				if err := tx.Exec("NOTIFY cambio_changes").Error; err != nil {
					return err
				}
			}
			entered = true
			return apply(tx)
		}, &options)
		if entered || try == changeTries || !undone(err) {
			return translate(err)
		}
	}
}
