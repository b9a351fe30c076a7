package remote

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/registry"
)

const noteAgainAfter = 5 * time.Minute // one and the same failure, in the memory

// entry is what is known of one key URL.
type entry struct {
	used atomic.Int64 // last question, in nanoseconds since 1970

	mu       sync.Mutex
	keys     keySet
	document *registry.KeyDocument // where keys came from; never changed
	fetched  time.Time             // last success, here or elsewhere; zero when there was none
	epoch    int64                 // of the key URL when that began
	tried    int64                 // latest epoch that a flight was started for
	renewAt  time.Time             // from then on renewed in the background
	retryAt  time.Time             // no fetch before
	failure  *FetchError           // of the last fetch; nil after a success
	failed   time.Time             // when failure happened
	noted    time.Time             // when the memory was told of a failure
	word     string                // what it was told
	flight   *flight               // nil when none is under way
}

// keySet is the keys of one document, ready to be found. It never changes.
type keySet struct {
	all     []assertion.Key
	byID    map[string][]assertion.Key
	unnamed bool // the format has no key ids
	uses    []*keyUse
}

// keyUse is when a key last verified a signature, in nanoseconds since 1970.
type keyUse struct {
	thumbprint string
	last       atomic.Int64
	saved      atomic.Int64
}

// newKeySet indexes keys. published are the same keys, as they are shown.
func newKeySet(keys []assertion.Key, published []registry.PublishedKey, before keySet) keySet {
	set := keySet{all: slices.Clone(keys), byID: map[string][]assertion.Key{}}
	for i := range set.all {
		key := &set.all[i]
		use := before.use(published[i].Thumbprint)
		set.uses = append(set.uses, use)
		key.Used = func(at time.Time) { use.last.Store(at.UnixNano()) }
		set.unnamed = set.unnamed || key.Unnamed
		set.byID[key.ID] = append(set.byID[key.ID], *key)
	}
	for id, keys := range set.byID {
		set.byID[id] = slices.Clip(keys) // so that nobody appends to what is shared
	}
	set.all = slices.Clip(set.all)
	return set
}

// use goes on with what is known of a key, or begins.
func (k *keySet) use(thumbprint string) *keyUse {
	for _, use := range k.uses {
		if use.thumbprint == thumbprint {
			return use
		}
	}
	return &keyUse{thumbprint: thumbprint}
}

func (k *keySet) find(id string) []assertion.Key {
	if id == "" || k.unnamed {
		return k.all
	}
	return k.byID[id]
}

func (e *entry) usable(now time.Time) bool {
	return !e.fetched.IsZero() && now.Sub(e.fetched) < StaleFor
}

// forgotten tells whether nobody has asked for a day.
func (e *entry) forgotten(now time.Time) bool {
	return now.Sub(time.Unix(0, e.used.Load())) >= forgetAfter
}

// counts tells whether what is in memory may answer: not too old, and not
// fetched before the integrator asked for it to be fetched anew.
func (e *entry) counts(epoch int64, now time.Time) bool {
	return e.usable(now) && e.epoch >= epoch
}

// decide tells whether a question calls for a fetch, and whether its answer
// has to wait for it.
func (e *entry) decide(query assertion.KeyQuery, now time.Time) (fetch, wait bool) {
	if !e.counts(query.Epoch, now) || query.Renew || len(e.keys.find(query.KeyID)) == 0 {
		return true, true
	}
	if now.Sub(e.fetched) <= FreshFor {
		return !now.Before(e.renewAt), false
	}
	// Stale. During an outage, only the first question waits for the timeout.
	outage := e.failure != nil && now.Sub(e.failed) <= FreshFor
	return true, !outage
}

// mayFetch: one at a time, and none too soon, but a new epoch does not wait.
func (e *entry) mayFetch(epoch int64, now time.Time) bool {
	return e.flight == nil && (!now.Before(e.retryAt) || epoch > e.tried)
}

// answer gives what is in memory.
func (e *entry) answer(query assertion.KeyQuery, now time.Time) ([]assertion.Key, error) {
	if !e.counts(query.Epoch, now) {
		if e.failure == nil {
			return nil, failed(WordUnreachable, nil)
		}
		return nil, e.failure
	}
	found := e.keys.find(query.KeyID)
	if e.failure != nil && (len(found) == 0 || query.Renew) { // perhaps published meanwhile, where we cannot see it
		return nil, e.failure
	}
	return found, nil
}

// lastResort answers whoever can wait no longer: with keys that outlive an
// outage, if they are what was asked for.
func (e *entry) lastResort(query assertion.KeyQuery, now time.Time, waited error) ([]assertion.Key, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if found := e.keys.find(query.KeyID); len(found) > 0 && !query.Renew && e.counts(query.Epoch, now) {
		return found, nil
	}
	return nil, waited
}

// succeed replaces what there was, unless that belongs to a newer epoch or to a
// fetch that began later.
func (e *entry) succeed(document *registry.KeyDocument, keys []assertion.Key, now time.Time) {
	if document.Epoch < e.epoch || document.Epoch == e.epoch && document.FetchedAt.Before(e.fetched) {
		return
	}
	e.keys = newKeySet(keys, document.Keys, e.keys)
	e.document, e.epoch, e.tried = document, document.Epoch, max(e.tried, document.Epoch)
	e.fetched = document.FetchedAt
	if e.fetched.After(now) { // by the clock of another replica
		e.fetched = now
	}
	e.failure, e.word = nil, ""
	e.retryAt = e.fetched.Add(RefetchAfter)
	e.renewAt = e.fetched.Add(renewAfter + rand.N(renewSpread))
}

func (e *entry) fail(failure *FetchError, now time.Time) {
	pause := coldRetryAfter
	if e.counts(e.tried, now) {
		pause = RefetchAfter
	}
	e.failure, e.failed = failure, now
	e.retryAt = now.Add(max(pause, failure.retryAfter))
}

// failToRefresh: the next question that may fetch finds out whether it was for
// a moment only, however fresh the keys are.
func (e *entry) failToRefresh(failure *FetchError, began, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fetched.After(began) {
		return
	}
	e.fail(failure, now)
	if e.retryAt.Before(e.renewAt) {
		e.renewAt = e.retryAt
	}
}

// worthNoting keeps a key URL that fails from filling the database with it.
func (e *entry) worthNoting(failure *FetchError, now time.Time) bool {
	if e.word == failure.Word && now.Sub(e.noted) < noteAgainAfter {
		return false
	}
	e.word, e.noted = failure.Word, now
	return true
}

// arrive ends a flight that brought a document.
func (e *entry) arrive(f *flight, fetched *registry.KeyDocument, keys []assertion.Key, saved *registry.KeyDocument, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	inherit(fetched, latest(saved, e.document))
	e.succeed(fetched, keys, now)
	e.land(f)
}

// failToArrive ends a flight that brought none. It tells whether there are keys
// all the same, and whether the memory should hear of it.
func (e *entry) failToArrive(f *flight, failure *FetchError, now time.Time) (usable, note bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fail(failure, now)
	e.land(f)
	return e.usable(now), e.worthNoting(failure, now)
}

// land ends a flight.
func (e *entry) land(f *flight) {
	close(f.done)
	e.flight = nil
}

// entry gives the entry of a key URL, a new one if need be. Integrators never
// share one (CVE-2026-49998).
func (s *Source) entry(ref assertion.KeyRef, now time.Time) *entry {
	s.mu.RLock()
	e, ok := s.entries[ref]
	s.mu.RUnlock()
	if ok {
		return e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[ref]; ok {
		return e
	}
	if len(s.entries) >= maxEntries {
		s.evictOne()
	}
	e = &entry{}
	e.used.Store(now.UnixNano())
	s.entries[ref] = e
	return e
}

// sweep drops, now and then, the entries that nobody asks for.
func (s *Source) sweep() {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.swept) < sweepEvery {
		return
	}
	s.swept = now
	for ref, e := range s.entries {
		if e.forgotten(now) {
			delete(s.entries, ref)
		}
	}
}

// evictOne drops the longest unused of a few random entries. s.mu is held.
func (s *Source) evictOne() {
	var victim assertion.KeyRef
	oldest, seen := int64(0), 0
	for ref, e := range s.entries { // in random order
		if used := e.used.Load(); seen == 0 || used < oldest {
			victim, oldest = ref, used
		}
		if seen++; seen == 16 {
			break
		}
	}
	delete(s.entries, victim)
}
