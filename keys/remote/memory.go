package remote

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/registry"
)

// Memory keeps what was fetched across restarts and replicas. Errors are
// registry's. Whatever it fails at costs a fetch and never an answer.
type Memory interface {
	// KeyDocument gives what is known of a key source, or ErrNotFound.
	KeyDocument(ctx context.Context, source registry.KeySource) (*registry.KeyDocument, error)
	// SaveKeyDocument keeps a document, unless that of a newer epoch is there.
	SaveKeyDocument(ctx context.Context, d *registry.KeyDocument) error
	// KeyFetchFailed notes that the last fetch failed.
	KeyFetchFailed(ctx context.Context, source registry.KeySource, word string, at time.Time) error
	// KeysEpoch gives the present epoch of a key source, or ErrNotFound.
	KeysEpoch(ctx context.Context, source registry.KeySource) (int64, error)
	// PublishKeyDocument keeps a document and begins a new epoch with it,
	// unless that of the document is no longer the present one: ErrStale.
	PublishKeyDocument(ctx context.Context, d *registry.KeyDocument) (epoch int64, err error)
	// KeysUsed keeps when keys were last used.
	KeysUsed(ctx context.Context, uses []registry.KeyUse) error
}

const (
	recallTimeout   = time.Second // a database that hangs must not cost the time for the fetch
	rememberTimeout = 5 * time.Second
	clockTolerance  = time.Minute
	maxRemoved      = 16 // keys that are gone and still shown
	maxUsesAtOnce   = 64
)

// recall asks the memory, which may know what another replica fetched, or this
// one before it was restarted. Nil: nothing, or nobody knows.
func (s *Source) recall(ctx context.Context, ref assertion.KeyRef) *registry.KeyDocument {
	if s.memory == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, recallTimeout)
	defer cancel()
	document, err := s.memory.KeyDocument(ctx, registry.KeySource(ref))
	if err != nil {
		if !errors.Is(err, registry.ErrNotFound) {
			s.log.Warn("the kept keys cannot be read", "integrator", ref.IntegratorID, "error", err)
		}
		return nil
	}
	return document
}

// adopt takes what the memory has if it is newer than what the entry has, and
// tells whether that ends the flight. Keys that may only bridge an outage do
// not.
func (s *Source) adopt(ctx context.Context, e *entry, f *flight) (saved *registry.KeyDocument, enough bool) {
	saved = s.recall(ctx, f.query.Ref)
	if saved == nil || saved.FetchedAt.IsZero() || saved.Epoch < f.query.Epoch {
		return saved, false
	}
	now := s.now()
	if saved.FetchedAt.After(now.Add(clockTolerance)) {
		// Another replica's clock is wrong. The 24 hours count from here on,
		// for everybody.
		mended := *saved
		mended.FetchedAt = now
		saved = &mended
		defer s.remember(ctx, saved)
		return saved, s.takeOver(e, f, saved, now, false)
	}
	return saved, s.takeOver(e, f, saved, now, true)
}

// takeOver gives an entry what the memory has. Only what is sound can be enough.
func (s *Source) takeOver(e *entry, f *flight, saved *registry.KeyDocument, now time.Time, sound bool) (enough bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	newer := saved.Epoch > e.epoch || saved.Epoch == e.epoch && saved.FetchedAt.After(e.fetched)
	if !newer || now.Sub(saved.FetchedAt) >= StaleFor || !sound && e.usable(now) {
		return false
	}
	failure, failedAt := e.failure, e.failed
	e.succeed(saved, restore(saved), now)
	age := now.Sub(e.fetched)
	enough = age <= adoptFor
	if f.query.Renew || len(e.keys.find(f.query.KeyID)) == 0 {
		enough = age < RefetchAfter
	}
	if enough = enough && sound; enough {
		e.land(f)
		return true
	}
	switch {
	case failure != nil && !saved.FetchedAt.After(failedAt): // ours is the later news
		e.failure, e.failed = failure, failedAt
	case !saved.FailingSince.IsZero(): // an outage that others know of: nobody else waits for it
		e.failure, e.failed = failed(saved.Failure, nil), saved.FailedAt
	}
	return false
}

// remember keeps what was fetched.
func (s *Source) remember(ctx context.Context, d *registry.KeyDocument) {
	s.keep(ctx, d.Source, func(ctx context.Context) error { return s.memory.SaveKeyDocument(ctx, d) })
}

func (s *Source) rememberFailure(ctx context.Context, ref assertion.KeyRef, failure *FetchError, at time.Time) {
	source := registry.KeySource(ref)
	s.keep(ctx, source, func(ctx context.Context) error { return s.memory.KeyFetchFailed(ctx, source, failure.Word, at) })
}

func (s *Source) keep(ctx context.Context, source registry.KeySource, do func(context.Context) error) {
	if s.memory == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rememberTimeout)
	defer cancel()
	if err := do(ctx); err != nil {
		s.log.Warn("fetched keys cannot be kept", "integrator", source.IntegratorID, "error", err)
	}
}

// SaveUses keeps when keys were last used. Somebody has to call it now and then.
func (s *Source) SaveUses(ctx context.Context) error {
	if s.memory == nil {
		return nil
	}
	var uses []registry.KeyUse
	var marks []func()
	flush := func() error {
		if len(uses) == 0 {
			return nil
		}
		if err := s.memory.KeysUsed(ctx, uses); err != nil {
			return err
		}
		for _, mark := range marks {
			mark()
		}
		uses, marks = nil, nil
		return nil
	}
	for ref, e := range s.snapshot() {
		e.mu.Lock()
		keys := e.keys
		e.mu.Unlock()
		for _, use := range keys.uses {
			if last := use.last.Load(); last > use.saved.Load() {
				uses = append(uses, registry.KeyUse{Source: registry.KeySource(ref), Thumbprint: use.thumbprint, At: time.Unix(0, last)})
				marks = append(marks, func() { use.saved.Store(last) })
			}
		}
		if len(uses) >= maxUsesAtOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// describe makes of a document what is kept and shown of it: public halves,
// and nothing else that the document holds.
func describe(document *Document, query assertion.KeyQuery, at time.Time) *registry.KeyDocument {
	d := &registry.KeyDocument{
		Source: registry.KeySource(query.Ref), Epoch: query.Epoch, FoundFormat: document.Format,
		FetchedAt: at, Keys: make([]registry.PublishedKey, 0, len(document.Keys)),
	}
	for _, key := range document.Keys {
		p := registry.PublishedKey{
			ID: key.ID, Unnamed: key.Unnamed, Algorithm: key.Algorithm, Problem: key.Problem,
			FirstSeen: at.UnixMicro(), LastSeen: at.UnixMicro(),
		}
		p.Type, p.Curve, p.Bits = kind(key.Public)
		p.Thumbprint = thumbprint(key.Public)
		if p.Problem == "" { // others verify nothing, and may be huge
			spki, err := x509.MarshalPKIXPublicKey(key.Public)
			if err != nil {
				p.Problem = "the key cannot be kept"
			}
			p.Public = spki
		}
		d.Keys = append(d.Keys, p)
	}
	for _, w := range document.Warnings {
		d.Warnings = append(d.Warnings, registry.KeyWarning(w))
	}
	return d
}

// kind tells the type of a key in the words of RFC 7518 §6 and RFC 8037.
func kind(public crypto.PublicKey) (kty, curve string, bits int) {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return "RSA", "", public.N.BitLen()
	case *ecdsa.PublicKey:
		return "EC", public.Curve.Params().Name, public.Curve.Params().BitSize
	case ed25519.PublicKey:
		return "OKP", "Ed25519", 256
	}
	return "", "", 0
}

// thumbprint is RFC 7638 with SHA-256.
func thumbprint(public crypto.PublicKey) string {
	hash, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(hash)
}

// inherit lets keys that were there before keep when they were first seen, and
// goes on showing the last ones that are gone.
func inherit(d, before *registry.KeyDocument) {
	if before == nil {
		return
	}
	type name struct{ id, thumbprint string }
	published := map[name]*registry.PublishedKey{}
	for i := range d.Keys {
		published[name{d.Keys[i].ID, d.Keys[i].Thumbprint}] = &d.Keys[i]
	}
	var removed []registry.PublishedKey
	for _, old := range before.Keys {
		if key := published[name{old.ID, old.Thumbprint}]; key != nil {
			key.FirstSeen = min(key.FirstSeen, old.FirstSeen)
		} else if len(removed) < maxRemoved { // the latest come first
			old.Removed = true
			removed = append(removed, old)
		}
	}
	d.Keys = append(d.Keys, removed...)
}

// latest gives the later one of two documents, either of which may be nil.
func latest(a, b *registry.KeyDocument) *registry.KeyDocument {
	if a == nil || b != nil && b.FetchedAt.After(a.FetchedAt) {
		return b
	}
	return a
}

// restore makes keys of what was kept. Each is judged again: rules may have
// become stricter since.
func restore(d *registry.KeyDocument) []assertion.Key {
	var keys []assertion.Key
	for _, p := range d.Keys {
		if p.Removed {
			break // they come last
		}
		key := assertion.Key{ID: p.ID, Algorithm: p.Algorithm, Unnamed: p.Unnamed, Problem: p.Problem}
		public, err := x509.ParsePKIXPublicKey(p.Public)
		switch {
		case err == nil && supported(public):
			key.Public = public
			if key.Problem == "" {
				key.Problem = materialProblem(public)
			}
		case key.Problem == "":
			key.Problem = "the kept key cannot be read"
		}
		keys = append(keys, key)
	}
	return keys
}
