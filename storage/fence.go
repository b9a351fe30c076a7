package storage

import (
	"context"
	"crypto/rand"
	"math/big"

	"gorm.io/gorm"
)

// Bounds of how far a fence raises a counter: further than revocations could
// have raised it since any backup, by a number that no other fence has, and so
// that a hundred thousand fences fit into 63 bits.
const (
	minFence = 1 << 32
	maxFence = 1 << 40
)

// Fence kills every token that was issued before, also those that the database
// knows nothing of: it may be a backup, from before their integrators were
// revoked, or their keys refreshed. Raising generations by one would not do. A
// backup that is restored twice would be raised twice to the same ones, and
// revive what was issued and revoked in between.
//
// The last good keys of key URLs and clients are forgotten too: a key that its
// owner has taken out since the backup must not come back in an outage.
func (s *Store) Fence(ctx context.Context) error {
	random, err := rand.Int(rand.Reader, big.NewInt(maxFence-minFence))
	if err != nil {
		return err
	}
	by := minFence + random.Int64()
	return s.change(ctx, func(tx *gorm.DB) error {
		for _, statement := range []string{
			"UPDATE changes SET seq = seq + ? WHERE id = 1",
			"UPDATE integrators SET generation = generation + ?",
			"UPDATE clients SET generation = generation + ?",
		} {
			if err := tx.Exec(statement, by).Error; err != nil {
				return err
			}
		}
		if err := tx.Exec("UPDATE key_urls SET keys_epoch = (SELECT seq FROM changes WHERE id = 1)").Error; err != nil {
			return err
		}
		if err := tx.Exec("DELETE FROM panel_sessions").Error; err != nil { // of people who have signed out since
			return err
		}
		return tx.Exec("DELETE FROM key_documents").Error
	})
}
