package handlers

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Memory of one limit: 4 × 65,536 times, 2 MiB, whatever is thrown at it.
const (
	bucketRows  = 4
	bucketSlots = 1 << 16 // a row takes 16 bits of the hash
)

// limitKey says whose a bucket is. What a limit does not go by is left empty.
type limitKey struct {
	address      netip.Addr
	clientID     string
	integratorID string
	issuer       string
	subject      string
}

// buckets is a token bucket for every key there may ever be, in memory that
// does not grow. A bucket is the time when it will be full again. It lies in
// one slot of each row, where buckets of other keys may lie too, and the
// fullest of the four counts. Nothing is evicted, so no flood of fresh keys
// makes an empty bucket forgotten (CVE-2024-21662), and a key pays for others
// only when they emptied all four of its slots, which nobody can aim at: the
// hash is seeded. (A count-min sketch with conservative update.)
type buckets struct {
	perToken time.Duration // in which a token comes back
	toFill   time.Duration // what an empty bucket needs to be full
	now      func() time.Time
	began    time.Time // slots count from here, by the monotonic clock
	seed     maphash.Seed

	mu     sync.Mutex
	fullAt [bucketRows][bucketSlots]time.Duration // no later than toFill from now
}

func newBuckets(now func() time.Time, perSecond, burst int) *buckets {
	perToken := time.Second / time.Duration(perSecond)
	return &buckets{perToken: perToken, toFill: time.Duration(burst) * perToken, now: now, began: now(), seed: maphash.MakeSeed()}
}

// wait gives how long it is until the key's bucket holds a token: 0 when it
// does. Requests at the same time may all see the last token.
func (b *buckets) wait(key limitKey) time.Duration {
	hash, now := maphash.Comparable(b.seed, key), b.now().Sub(b.began)
	b.mu.Lock()
	defer b.mu.Unlock()
	_, wait := b.look(hash, now)
	return wait
}

// take takes a token of the key's bucket, or gives how long it is until there
// is one.
func (b *buckets) take(key limitKey) time.Duration {
	hash, now := maphash.Comparable(b.seed, key), b.now().Sub(b.began)
	b.mu.Lock()
	defer b.mu.Unlock()
	fullAt, wait := b.look(hash, now)
	if wait > 0 {
		return wait
	}
	fullAt += b.perToken
	for row := range b.fullAt {
		slot := &b.fullAt[row][slotOf(hash, row)]
		*slot = max(*slot, fullAt)
	}
	return 0
}

func (b *buckets) look(hash uint64, now time.Duration) (fullAt, wait time.Duration) {
	fullAt = b.fullAt[0][slotOf(hash, 0)]
	for row := 1; row < bucketRows; row++ {
		fullAt = min(fullAt, b.fullAt[row][slotOf(hash, row)])
	}
	fullAt = max(fullAt, now)
	return fullAt, max(0, fullAt+b.perToken-now-b.toFill)
}

func slotOf(hash uint64, row int) uint16 { return uint16(hash >> (16 * row)) }
