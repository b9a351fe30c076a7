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
	"github.com/cambio-oauth/cambio/registry"
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
	adoptFor       = 5 * time.Minute // since another replica fetched
	forgetAfter    = 24 * time.Hour  // without a question
	sweepEvery     = time.Hour
	maxEntries     = 100_000
	flightTimeout  = 2 * FetchTimeout // waiting for a place included
)

// Config is what a Source needs. Its zero value fetches from public addresses
// and remembers nothing after a restart.
type Config struct {
	// Allow lists networks of the operator's choice: their addresses may be
	// private, use any port and plain http.
	Allow []netip.Prefix
	// Memory keeps what was fetched; nil means nowhere.
	Memory Memory
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// StepAside, when not nil, is called by whoever is about to wait for a
	// fetch, and what it gives when the waiting is over: others shall not wait
	// for a key URL that hangs.
	StepAside func(ctx context.Context) (goOn func())
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
	memory  Memory // may be nil
	fetcher *fetcher
	public  *fetcher // without the networks that the operator allows
	get     getter
	places  *places
	renewal chan struct{} // holds one for each fetch in the background

	stepAside func(context.Context) (goOn func())

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	flights sync.WaitGroup

	mu      sync.RWMutex // may be taken while an entry is locked, never the other way round
	closed  bool
	entries map[assertion.KeyRef]*entry
	swept   time.Time
}

var _ assertion.Keys = (*Source)(nil)

type getter func(ctx context.Context, url string) (*served, error)

// served is what a key URL answers.
type served struct {
	data         []byte
	cacheControl []string // RFC 9111 §5.2, which changes nothing here
}

// New makes a Source, which has to be closed.
func New(config Config) *Source {
	s := &Source{
		now: config.Now, log: config.Log, memory: config.Memory, fetcher: newFetcher(config),
		public: newFetcher(Config{RootCAs: config.RootCAs, LookupNetIP: config.LookupNetIP}),
		places: newPlaces(), renewal: make(chan struct{}, maxRenewals), entries: map[assertion.KeyRef]*entry{},
		stepAside: config.StepAside,
	}
	if s.stepAside == nil {
		s.stepAside = func(context.Context) func() { return func() {} }
	}
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

// CheckPublicURL is CheckURL for those who may not use the networks that the
// operator allows.
func (s *Source) CheckPublicURL(raw string) error {
	_, err := s.public.guard.check(raw)
	return err
}

// Find implements assertion.Keys. An error is a *FetchError or that of ctx. The
// answer is shared and must not be changed.
func (s *Source) Find(ctx context.Context, query assertion.KeyQuery) ([]assertion.Key, error) {
	now := s.now()
	e := s.entry(query.Ref, now)
	e.used.Store(now.UnixNano())
	for {
		e.mu.Lock()
		fetch, wait := e.decide(query, now)
		if fetch && e.mayFetch(query.Epoch, now) {
			s.start(ctx, e, query)
		}
		flight := e.flight
		if !wait || flight == nil {
			defer e.mu.Unlock()
			return e.answer(query, now)
		}
		e.mu.Unlock()
		goOn := s.stepAside(ctx)
		select {
		case <-flight.done: // which may have looked for less, or brought what no longer counts
			now = s.now()
		case <-ctx.Done():
			goOn()
			return e.lastResort(query, s.now(), ctx.Err())
		}
		goOn()
	}
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

// flight is one attempt to get newer keys than an entry has.
type flight struct {
	query assertion.KeyQuery // of whoever came first
	done  chan struct{}      // closed at its end
}

// start begins a flight, whose end everyone waits for who asks meanwhile. It
// outlives the context of whoever came first. The entry is locked.
func (s *Source) start(ctx context.Context, e *entry, query assertion.KeyQuery) (started bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		e.fail(failed(WordUnreachable, errors.New("closed")), s.now())
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTimeout)
	stop := context.AfterFunc(s.ctx, cancel)
	// Key URLs may share a source, and the older one must not fetch in vain.
	query.Epoch = max(query.Epoch, e.epoch)
	f := &flight{query: query, done: make(chan struct{})}
	e.flight, e.tried = f, max(e.tried, query.Epoch)
	s.flights.Go(func() {
		defer cancel()
		defer stop()
		s.sweep()
		s.fly(ctx, e, f)
	})
	return true
}

// fly asks first what other replicas have fetched, then the key URL itself, and
// replaces what the entry had. Keys that are gone from the document are gone
// here: nothing is ever merged (CVE-2025-22149).
func (s *Source) fly(ctx context.Context, e *entry, f *flight) {
	defer s.crash(e, f)
	saved, enough := s.adopt(ctx, e, f)
	if enough {
		return
	}
	fetched, keys, failure := s.load(ctx, f.query, s.get)
	now := s.now()
	if failure == nil {
		e.arrive(f, fetched, keys, saved, now)
		s.remember(ctx, fetched)
		return
	}
	usable, note := e.failToArrive(f, failure, now)
	s.log.Warn("keys cannot be fetched", "integrator", f.query.Ref.IntegratorID, "key_url", withoutQuery(f.query.Ref.URL),
		"word", failure.Word, "cause", briefly(failure.cause), "keys_in_memory", usable)
	if note {
		s.rememberFailure(ctx, f.query.Ref, failure, now)
	}
}

// crash ends a flight that panicked: it runs outside of every request, where a
// panic would end the process (CVE-2026-42576).
func (s *Source) crash(e *entry, f *flight) {
	if recover() == nil { // whose value may quote a document
		return
	}
	s.log.Error("panic while keys were fetched", "integrator", f.query.Ref.IntegratorID, "stack", string(debug.Stack()))
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.flight == f {
		e.fail(failed(WordContent, nil), s.now())
		e.land(f)
	}
}

// load fetches, parses and describes.
func (s *Source) load(ctx context.Context, query assertion.KeyQuery, get getter) (fetched *registry.KeyDocument, keys []assertion.Key, failure *FetchError) {
	defer func() {
		if recover() != nil { // likewise, and Refresh and Check want an answer
			failure = failed(WordContent, fmt.Errorf("panic: %s", debug.Stack()))
		}
	}()
	leave, err := s.places.enter(ctx, query.Ref.IntegratorID)
	if err != nil {
		return nil, nil, failed(WordTimeout, err)
	}
	defer leave()
	// As of its beginning: one that began later knows better, whichever ends
	// first.
	began := s.now()
	got, err := get(ctx, query.Ref.URL)
	if err != nil {
		var known *FetchError
		if !errors.As(err, &known) {
			known = failed(WordUnreachable, err)
		}
		return nil, nil, known
	}
	document, err := parse(got.data, query.Ref.Format, began)
	if err != nil {
		return nil, nil, failed(documentWord(err), fmt.Errorf("key document: %w", err))
	}
	document.warnOfPlace(query.Ref.URL)
	document.warnOfCaches(got.cacheControl)
	return describe(document, query, began), document.Keys, nil
}

// documentWord tells an owner of a document apart what it has to mend.
func documentWord(err error) string {
	var discovery *DiscoveryError
	switch {
	case errors.Is(err, ErrPrivateKey):
		return WordPrivateKey
	case errors.Is(err, ErrTooManyKeys):
		return WordTooManyKeys
	case errors.As(err, &discovery):
		return WordDiscovery
	}
	return WordContent
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

// briefly cuts what a cause says: a certificate can name thousands of hosts.
func briefly(cause error) string {
	const limit = 2048
	if cause == nil {
		return ""
	}
	text := cause.Error()
	return text[:min(len(text), limit)]
}
