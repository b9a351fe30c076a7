package signing

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/registry"
)

const (
	// Retain is how long a retired key still verifies: longer than any token
	// lives.
	Retain = 25 * time.Hour
	// ReloadInterval is how often the rows want to be read again, to learn of a
	// rotation by another replica. An unknown key id makes the ring look at
	// once.
	ReloadInterval = 5 * time.Second
)

// reloadTimeout is within what a request for an unknown key may take.
const reloadTimeout = 2500 * time.Millisecond

// Store keeps the rows of the ring.
type Store interface {
	SigningKeys(ctx context.Context) ([]registry.SigningKey, error)
	AddSigningKey(ctx context.Context, k registry.SigningKey) error
	RotateSigningKeys(ctx context.Context, active, next string, following registry.SigningKey, at time.Time) error
	ResealSigningKey(ctx context.Context, id string, was, sealed []byte) error
}

// Config is what a ring is made of.
type Config struct {
	Store     Store
	Sealer    *Sealer
	Algorithm string // of new tokens: ES256, RS256 or EdDSA
	Now       func() time.Time
}

// Ring is the key ring. Somebody has to call Reload every ReloadInterval.
type Ring struct {
	config  Config
	reading sync.Mutex // one at a time
	failure error      // of the last reading, and when that ended
	failed  time.Time
	keys    atomic.Pointer[keySet]
}

// keySet is one immutable reading of the rows.
type keySet struct {
	byID   map[string]*key
	active *key
	next   *key
	jwks   []byte
	readAt time.Time
}

// Open reads the ring and makes the keys it lacks. However many replicas do so
// at once, one active and one next key remain.
func Open(ctx context.Context, config Config) (*Ring, error) {
	ring := &Ring{config: config}
	for {
		if err := ring.Reload(ctx); err != nil {
			return nil, err
		}
		keys := ring.keys.Load()
		missing := ""
		switch {
		case keys.active == nil:
			missing = StateActive
		case keys.next == nil:
			missing = StateNext
		default:
			return ring, nil
		}
		row, err := newKey(config.Algorithm, missing, config.Sealer, config.Now())
		if err != nil {
			return nil, err
		}
		if err := config.Store.AddSigningKey(ctx, row); err != nil && !errors.Is(err, registry.ErrConflict) {
			return nil, fmt.Errorf("store a new signing key: %w", err)
		}
	}
}

// Reload reads the rows, unless somebody has since it was called. Who waits while
// a reading fails fails with it: one after the other would wait for the database
// in vain.
func (r *Ring) Reload(ctx context.Context) error {
	called := r.config.Now()
	r.reading.Lock()
	defer r.reading.Unlock()
	if keys := r.keys.Load(); keys != nil && keys.readAt.After(called) {
		return nil
	}
	if r.failure != nil && r.failed.After(called) {
		return r.failure
	}
	// Whoever waits for this must not fail because whoever came first went away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reloadTimeout)
	defer cancel()
	r.failure = r.reload(ctx)
	r.failed = r.config.Now()
	return r.failure
}

func (r *Ring) reload(ctx context.Context) error {
	now := r.config.Now()
	rows, err := r.config.Store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	set := &keySet{byID: map[string]*key{}, readAt: now}
	var published jose.JSONWebKeySet
	for _, row := range rows {
		if row.State == StateRetired && now.Sub(row.RetiredAt) > Retain {
			continue
		}
		ours := row.Algorithm == r.config.Algorithm
		k, err := r.open(row)
		switch {
		case err != nil && ours && row.State != StateRetired:
			return err // CAMBIO_SECRET_KEY is another one, or the row was changed
		case err != nil:
			continue // alone: what does not open verifies nothing and is not published
		}
		set.byID[row.ID] = k
		published.Keys = append(published.Keys, k.public)
		switch {
		case ours && row.State == StateActive:
			set.active = k
		case ours && row.State == StateNext:
			set.next = k
		}
	}
	if set.jwks, err = json.Marshal(published); err != nil {
		return err
	}
	r.keys.Store(set)
	return nil
}

// open opens a row, whatever its state: what is sealed proves that the row is
// ours. Who can only write to the database cannot add a key of their own.
func (r *Ring) open(row registry.SigningKey) (*key, error) {
	if before := r.keys.Load(); before != nil {
		if k, ok := before.byID[row.ID]; ok && bytes.Equal(k.row.Sealed, row.Sealed) && bytes.Equal(k.row.Public, row.Public) && k.row.Algorithm == row.Algorithm {
			same := &key{row: row, public: k.public, private: k.private}
			if k.row.State == row.State {
				same = k // with its signers
			}
			return same, nil
		}
	}
	return openKey(row, r.config.Sealer)
}

// Sign gives the compact JWS of payload under the active key.
func (r *Ring) Sign(_ context.Context, typ string, payload []byte) (string, error) {
	active := r.keys.Load().active
	if active == nil {
		return "", errors.New("there is no active signing key")
	}
	return active.sign(typ, payload)
}

// PublicKey finds the key that verifies tokens of a key id, and its algorithm.
// A nil key means that there is none; an error that nobody can tell. Another
// replica may have made the key a moment ago, and a token of it is neither
// inactive nor past revoking. However many ids are unknown, one reading at a
// time looks for them all.
func (r *Ring) PublicKey(ctx context.Context, keyID string) (algorithm string, public any, err error) {
	k, ok := r.keys.Load().byID[keyID]
	if !ok {
		if err := r.Reload(ctx); err != nil {
			return "", nil, fmt.Errorf("look for a new signing key: %w", err)
		}
		k, ok = r.keys.Load().byID[keyID]
	}
	if !ok {
		return "", nil, nil
	}
	return k.row.Algorithm, k.public.Key, nil
}

// JWKS is the document to publish (RFC 7517 §5): every key whose tokens may
// still live, and the next one.
func (r *Ring) JWKS() []byte { return r.keys.Load().jwks }

// Algorithms lists the algorithms of the published keys, each once.
func (r *Ring) Algorithms() []string {
	algorithms := []string{r.config.Algorithm}
	for _, row := range r.Keys() {
		if !slices.Contains(algorithms, row.Algorithm) {
			algorithms = append(algorithms, row.Algorithm)
		}
	}
	return algorithms
}

// Ready tells whether there is a key to sign with.
func (r *Ring) Ready() bool { return r.keys.Load().active != nil }

// Rotate makes the next key active. ErrConflict: another replica did, a moment
// ago.
func (r *Ring) Rotate(ctx context.Context) error {
	if err := r.Reload(ctx); err != nil {
		return err
	}
	return r.rotate(ctx, r.keys.Load())
}

// rotate makes the next key of a set active, if it is still the next one.
func (r *Ring) rotate(ctx context.Context, set *keySet) error {
	if set.active == nil || set.next == nil {
		return errors.New("there is no next signing key to rotate to")
	}
	following, err := newKey(r.config.Algorithm, StateNext, r.config.Sealer, r.config.Now())
	if err != nil {
		return err
	}
	if err := r.config.Store.RotateSigningKeys(ctx, set.active.row.ID, set.next.row.ID, following, r.config.Now()); err != nil {
		return err
	}
	return r.Reload(ctx)
}

// PublishedFor is how long a key is published before it signs on schedule: twice
// what the JWKS may be cached.
const PublishedFor = 10 * time.Minute

// RotateIfDue rotates when that was last done a lifetime ago, on whichever
// replica comes first, and tells whether it did. The next key is as old as the
// last rotation. It is the one that was looked at that will sign: a replica that
// has not heard of a rotation must not add another.
func (r *Ring) RotateIfDue(ctx context.Context, lifetime time.Duration) (rotated bool, err error) {
	set := r.keys.Load()
	if set.next == nil || r.config.Now().Sub(set.next.row.CreatedAt) < max(lifetime, PublishedFor) {
		return false, nil
	}
	err = r.rotate(ctx, set)
	if errors.Is(err, registry.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// NextPublished gives when the next key was published, zero when there is none.
func (r *Ring) NextPublished() time.Time {
	if next := r.keys.Load().next; next != nil {
		return next.row.CreatedAt
	}
	return time.Time{}
}

// Reseal seals under the present secret key what is sealed under a previous one,
// and tells how many keys that were. It can be done any number of times, and by
// several replicas at once.
func (r *Ring) Reseal(ctx context.Context) (resealed int, err error) {
	rows, err := r.config.Store.SigningKeys(ctx)
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		sealed, needed, err := r.config.Sealer.Reseal(row.ID, row.Sealed)
		if errors.Is(err, ErrWrongKey) || !needed && err == nil {
			continue // what does not open is left alone: it signs and verifies nothing
		}
		if err != nil {
			return resealed, err
		}
		if err := r.config.Store.ResealSigningKey(ctx, row.ID, row.Sealed, sealed); err != nil && !errors.Is(err, registry.ErrNotFound) {
			return resealed, err
		}
		resealed++
	}
	return resealed, nil
}

// RotateWhenPublished rotates as soon as every replica publishes the next key,
// for which it waits a few seconds after another rotation. ErrConflict: somebody
// else rotated meanwhile.
func (r *Ring) RotateWhenPublished(ctx context.Context) error {
	if err := r.Reload(ctx); err != nil {
		return err
	}
	set, wait := r.keys.Load(), time.Duration(0)
	if set.next != nil {
		wait = ReloadInterval + time.Second - r.config.Now().Sub(set.next.row.CreatedAt)
	}
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return r.rotate(ctx, set)
}

// Keys lists the rows of the ring, oldest first, without their private halves.
func (r *Ring) Keys() []registry.SigningKey {
	var rows []registry.SigningKey
	for _, k := range r.keys.Load().byID {
		row := k.row
		row.Sealed = nil
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b registry.SigningKey) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return rows
}
