package handlers

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// stopped is a clock that goes when it is told to.
type stopped struct{ at time.Time }

func newStopped() *stopped                 { return &stopped{time.Unix(1_800_000_000, 0)} }
func (c *stopped) now() time.Time          { return c.at }
func (c *stopped) advance(d time.Duration) { c.at = c.at.Add(d) }
func client(id int) limitKey               { return limitKey{clientID: strconv.Itoa(id)} }
func drain(b *buckets, key limitKey) (n int) {
	for b.take(key) == 0 {
		n++
	}
	return n
}

// One key behaves as golang.org/x/time/rate says that a token bucket does.
func TestABucketIsATokenBucket(t *testing.T) {
	const perSecond, burst = 5, 20
	clock, random := newStopped(), rand.New(rand.NewPCG(1, 2))
	b, model := newBuckets(clock.now, perSecond, burst), rate.NewLimiter(perSecond, burst)
	taken := 0
	for step := range 100_000 {
		clock.advance(time.Duration(random.Int64N(int64(400 * time.Millisecond))))
		if random.IntN(1000) == 0 {
			clock.advance(time.Minute)
		}
		free := b.wait(client(1)) == 0
		got, want := b.take(client(1)) == 0, model.AllowN(clock.at, 1)
		if got != want || free != want {
			t.Fatalf("step %d: wait says %v, take %v, the model %v", step, free, got, want)
		}
		if got {
			taken++
		}
	}
	if taken == 0 || taken == 100_000 {
		t.Errorf("%d of 100,000 were taken: the limit was never met", taken)
	}
}

func TestTheWaitIsTrue(t *testing.T) {
	clock := newStopped()
	b := newBuckets(clock.now, 2, 100)
	if n := drain(b, client(1)); n != 100 {
		t.Fatalf("%d tokens, want 100", n)
	}
	wait := b.take(client(1))
	if wait != 500*time.Millisecond || b.wait(client(1)) != wait {
		t.Fatalf("wait %v and %v", wait, b.wait(client(1)))
	}
	for range 1000 { // asking in vain costs nothing
		b.take(client(1))
	}
	clock.advance(wait - 1)
	if b.wait(client(1)) != 1 {
		t.Errorf("a nanosecond early: wait %v", b.wait(client(1)))
	}
	clock.advance(1)
	if b.wait(client(1)) != 0 || b.take(client(1)) != 0 || b.take(client(1)) != wait {
		t.Error("after the wait there is one token")
	}
	clock.advance(time.Hour)
	if n := drain(b, client(1)); n != 100 {
		t.Errorf("%d tokens after an hour, want 100 and no more", n)
	}
}

// Argo CD CVE-2024-21662: whoever can make keys must not be able to make the
// limiter forget, to fill the memory, or to get others limited.
func TestAMillionKeys(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	clock := newStopped()
	b := newBuckets(clock.now, 2, 100)
	drain(b, client(-1))
	long := strings.Repeat("x", 1<<10)
	for id := range 1_000_000 {
		b.take(limitKey{clientID: long[:id%len(long)] + strconv.Itoa(id)})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 3<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if b.wait(client(-1)) == 0 {
		t.Error("a million keys made an empty bucket forgotten")
	}
	for id := range 10_000 {
		if key := (limitKey{subject: strconv.Itoa(id)}); b.wait(key) > 0 {
			t.Fatalf("a key that did nothing waits %v", b.wait(key))
		}
	}
}

// The most that strangers gain over others: with ten thousand buckets kept
// empty, which is 20,000 failures a second at this rate, less than one in a
// thousand others is limited with them.
func TestTenThousandEmptyBuckets(t *testing.T) {
	clock := newStopped()
	b := newBuckets(clock.now, 2, 100)
	for id := range 10_000 {
		drain(b, client(id))
	}
	limited := 0
	for id := range 100_000 {
		if b.wait(limitKey{subject: strconv.Itoa(id)}) > 0 {
			limited++
		}
	}
	if limited > 100 {
		t.Errorf("%d of 100,000 keys that did nothing are limited", limited)
	}
}

func TestMembersOfAKeyDoNotRunTogether(t *testing.T) {
	clock := newStopped()
	b := newBuckets(clock.now, 1, 1)
	b.take(limitKey{clientID: "ab", issuer: "c"})
	for _, key := range []limitKey{{clientID: "a", issuer: "bc"}, {clientID: "abc"}, {issuer: "abc"}, {subject: "ab", issuer: "c"}} {
		if b.wait(key) > 0 {
			t.Errorf("%+v shares a bucket", key)
		}
	}
}

func TestBucketsAtOnce(t *testing.T) {
	clock := newStopped()
	b := newBuckets(clock.now, 1, 1000)
	var workers sync.WaitGroup
	taken := make(chan int, 8)
	for range cap(taken) {
		workers.Go(func() { taken <- drain(b, client(1)) })
	}
	workers.Wait()
	sum := 0
	for range cap(taken) {
		sum += <-taken
	}
	if sum != 1000 {
		t.Errorf("%d tokens were taken of 1000", sum)
	}
}

func BenchmarkBuckets(b *testing.B) {
	limit := newBuckets(time.Now, 10, 100)
	key := limitKey{clientID: "01a20a69-aeff-73c4-a7e0-3c8dcd66d9fe"}
	b.ReportAllocs()
	for b.Loop() {
		limit.wait(key)
	}
}

// RFC 9110 §10.2.3: whole seconds, and never too early.
func TestRetryAfterIsRoundedUp(t *testing.T) {
	for wait, want := range map[time.Duration]int64{1: 1, time.Second: 1, time.Second + 1: 2, 90 * time.Second: 90} {
		if got := (&tooMany{wait}).retryAfter(); got != want {
			t.Errorf("%v: got %d, want %d", wait, got, want)
		}
	}
}
