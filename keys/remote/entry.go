package remote

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cambio-oauth/cambio/grants/assertion"
)

// entry is what is known of one key URL.
type entry struct {
	used atomic.Int64 // last question, in nanoseconds since 1970

	mu      sync.Mutex
	keys    keySet
	fetched time.Time     // last success; zero when there was none
	renewAt time.Time     // from then on renewed in the background
	retryAt time.Time     // no fetch before
	failure *FetchError   // of the last fetch; nil after a success
	failed  time.Time     // when failure happened
	flight  chan struct{} // closed when the running fetch ends; nil when none runs
}

// keySet is the keys of one document, ready to be found. It never changes.
type keySet struct {
	all     []assertion.Key
	byID    map[string][]assertion.Key
	unnamed bool // the format has no key ids
}

func newKeySet(document *Document) keySet {
	set := keySet{all: slices.Clip(document.Keys), byID: map[string][]assertion.Key{}}
	for _, key := range set.all {
		set.unnamed = set.unnamed || key.Unnamed
		set.byID[key.ID] = append(set.byID[key.ID], key)
	}
	for id, keys := range set.byID {
		set.byID[id] = slices.Clip(keys) // so that nobody appends to what is shared
	}
	return set
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

// decide tells whether a question calls for a fetch, and whether its answer
// has to wait for it.
func (e *entry) decide(query assertion.KeyQuery, now time.Time) (fetch, wait bool) {
	if !e.usable(now) || query.Renew || len(e.keys.find(query.KeyID)) == 0 {
		return true, true
	}
	if now.Sub(e.fetched) <= FreshFor {
		return !now.Before(e.renewAt), false
	}
	// Stale. During an outage, only the first question waits for the timeout.
	outage := e.failure != nil && now.Sub(e.failed) <= FreshFor
	return true, !outage
}

// answer gives what is in memory.
func (e *entry) answer(query assertion.KeyQuery, now time.Time) ([]assertion.Key, error) {
	if !e.usable(now) {
		if e.failure == nil {
			return nil, failed(WordUnreachable, nil)
		}
		return nil, e.failure
	}
	found := e.keys.find(query.KeyID)
	if len(found) == 0 && e.failure != nil { // perhaps published meanwhile, where we cannot see it
		return nil, e.failure
	}
	return found, nil
}

func (e *entry) succeed(document *Document, now time.Time) {
	e.keys, e.fetched, e.failure = newKeySet(document), now, nil
	e.retryAt = now.Add(RefetchAfter)
	e.renewAt = now.Add(renewAfter + rand.N(renewSpread))
}

func (e *entry) fail(failure *FetchError, now time.Time) {
	pause := coldRetryAfter
	if e.usable(now) {
		pause = RefetchAfter
	}
	e.failure, e.failed = failure, now
	e.retryAt = now.Add(max(pause, failure.retryAfter))
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
		if now.Sub(time.Unix(0, e.used.Load())) >= forgetAfter {
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
