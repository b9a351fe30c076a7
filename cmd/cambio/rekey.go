package main

import (
	"context"
	"errors"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

// rotateWhenDue rotates the signing keys on schedule.
func (p *program) rotateWhenDue(ctx context.Context) error {
	if p.config.signingKeyLife == 0 {
		return nil
	}
	rotated, err := p.ring.RotateIfDue(ctx, p.config.signingKeyLife)
	if rotated {
		p.log.InfoContext(ctx, "rotated the signing keys on schedule")
	}
	return err
}

// oldHash is a client secret that was hashed under the secret key of before.
type oldHash struct{ was, hash []byte }

func peppers(keys [][]byte) (list []registry.Pepper) {
	for _, key := range keys {
		list = append(list, key)
	}
	return list
}

// matchesPrevious tells whether a secret is right under the secret key of
// before. Then its hash is replaced soon: the secret itself is known only now.
func (d *directory) matchesPrevious(client *registry.Client, secret string, now time.Time) bool {
	for _, pepper := range d.previous {
		if !pepper.Matches(secret, client.Secrets, now) {
			continue
		}
		d.rehashing.Store(client.ClientID, &oldHash{was: pepper.Hash(secret), hash: d.pepper.Hash(secret)})
		return true
	}
	return false
}

// rehash replaces the hashes of secrets that were used since it was last done.
func (d *directory) rehash(ctx context.Context) error {
	var failures []error
	changed := false
	d.rehashing.Range(func(clientID, value any) bool {
		old := value.(*oldHash)
		err := d.store.RehashClientSecret(ctx, clientID.(string), old.was, old.hash)
		if err == nil { // also when another replica did
			d.rehashing.CompareAndDelete(clientID, value)
		}
		changed = changed || err == nil
		failures = append(failures, err)
		return ctx.Err() == nil
	})
	if changed {
		failures = append(failures, d.Refresh(ctx))
	}
	return errors.Join(failures...)
}
