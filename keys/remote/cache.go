package remote

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cambio-oauth/cambio/grants/assertion"
)

// Lives of fetched keys.
const (
	FreshFor     = 10 * time.Minute // since the last success, answers come from memory
	RefetchAfter = 30 * time.Second // between two fetches of one key URL
	StaleFor     = 24 * time.Hour   // since the last success, keys outlive an outage of their key URL
)

const (
	coldRetryAfter = 5 * time.Second // after a failure, when there are no keys at all
	renewAfter     = 8 * time.Minute // in the background, up to renewSpread later
	renewSpread    = time.Minute
	forgetAfter    = 24 * time.Hour // without a question
	sweepEvery     = time.Hour
	maxEntries     = 100_000
)

// Config is what a Source needs. Its zero value fetches from public addresses.
type Config struct {
	// Allow lists networks of the operator's choice: their addresses may be
	// private, use any port and plain http.
	Allow []netip.Prefix
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log gets one line for each failed fetch; nil means none.
	Log *slog.Logger
	// RootCAs are for tests; nil means those of the system.
	RootCAs *x509.CertPool
	// LookupNetIP resolves names; nil means net.DefaultResolver.
	LookupNetIP func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Source finds the keys of key URLs. It is safe for concurrent use.
type Source struct {
	now     func() time.Time
	log     *slog.Logger
	fetcher *fetcher
	get     func(ctx context.Context, url string) ([]byte, error)

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	flights sync.WaitGroup

	mu      sync.RWMutex // may be taken while an entry is locked, never the other way round
	closed  bool
	entries map[assertion.KeyRef]*entry
	swept   time.Time
}

var _ assertion.Keys = (*Source)(nil)

// New makes a Source, which has to be closed.
func New(config Config) *Source {
	s := &Source{now: config.Now, log: config.Log, fetcher: newFetcher(config), entries: map[assertion.KeyRef]*entry{}}
	s.get = s.fetcher.get
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.swept = s.now()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// CheckURL tells whether raw may become a key URL, without touching the
// network. Its errors say what was expected. What a name resolves to is judged
// at each fetch.
func (s *Source) CheckURL(raw string) error {
	_, err := s.fetcher.guard.check(raw)
	return err
}

// Find implements assertion.Keys. An error is a *FetchError or that of ctx. The
// answer is shared and must not be changed.
func (s *Source) Find(ctx context.Context, query assertion.KeyQuery) ([]assertion.Key, error) {
	now := s.now()
	e := s.entry(query.Ref, now)
	e.used.Store(now.UnixNano())

	e.mu.Lock()
	fetch, wait := e.decide(query, now)
	if fetch && e.flight == nil && !now.Before(e.retryAt) {
		s.start(ctx, query.Ref, e)
	}
	if flight := e.flight; wait && flight != nil {
		e.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		e.mu.Lock()
	}
	defer e.mu.Unlock()
	return e.answer(query, s.now())
}

// Forget drops what is known of a key URL, so that the next question fetches.
// A fetch that runs already answers only those who wait for it.
func (s *Source) Forget(ref assertion.KeyRef) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, ref)
}

// Close stops running fetches and waits for their end. What is in memory can
// still be found.
func (s *Source) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.flights.Wait()
}

// start begins a flight, whose end everyone waits for who asks meanwhile. It
// outlives the context of whoever came first. The entry is locked.
func (s *Source) start(ctx context.Context, ref assertion.KeyRef, e *entry) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		e.fail(failed(WordUnreachable, errors.New("closed")), s.now())
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(s.ctx, cancel)
	e.flight = make(chan struct{})
	s.flights.Go(func() {
		defer cancel()
		defer stop()
		s.sweep()
		s.fly(ctx, ref, e)
	})
}

// fly fetches once and replaces what the entry had. Keys that are gone from
// the document are gone here: nothing is ever merged (CVE-2025-22149).
func (s *Source) fly(ctx context.Context, ref assertion.KeyRef, e *entry) {
	document, failure := s.load(ctx, ref)
	now := s.now()
	e.mu.Lock()
	if failure == nil {
		e.succeed(document, now)
	} else {
		e.fail(failure, now)
	}
	usable := e.usable(now)
	close(e.flight)
	e.flight = nil
	e.mu.Unlock()
	if failure != nil {
		s.log.Warn("keys cannot be fetched", "integrator", ref.IntegratorID, "key_url", withoutQuery(ref.URL),
			"word", failure.Word, "cause", failure.cause, "keys_in_memory", usable)
	}
}

// load fetches and parses. It runs outside of every request, where a panic of
// a parser would end the process (CVE-2026-42576).
func (s *Source) load(ctx context.Context, ref assertion.KeyRef) (document *Document, failure *FetchError) {
	defer func() {
		if recover() != nil { // whose value may quote the document
			failure = failed(WordContent, fmt.Errorf("panic: %s", debug.Stack()))
		}
	}()
	data, err := s.get(ctx, ref.URL)
	if err != nil {
		var known *FetchError
		if !errors.As(err, &known) {
			known = failed(WordUnreachable, err)
		}
		return nil, known
	}
	document, err = parse(data, ref.Format, s.now())
	if err != nil {
		return nil, failed(WordContent, fmt.Errorf("key document: %w", err))
	}
	return document, nil
}

// withoutQuery shortens a key URL for the log: a query may hold an API key.
func withoutQuery(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "unreadable"
	}
	u.RawQuery, u.User = "", nil
	return u.String()
}
