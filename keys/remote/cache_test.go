package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cambio-oauth/cambio/grants/assertion"
)

// keyURL stands for all key URLs of a test. The clock is that of the synctest
// bubble, where time passes only in time.Sleep.
type keyURL struct {
	*Source
	t        *testing.T
	fetches  *atomic.Int32
	unwanted bool // the key URL was deleted

	mu   sync.Mutex
	data []byte
	err  error
	hold chan struct{} // while not nil, fetches wait for its end
}

// inBubble runs a test with a key URL that publishes data.
func inBubble(t *testing.T, data []byte, test func(t *testing.T, u *keyURL)) {
	synctest.Test(t, func(t *testing.T) {
		u := &keyURL{Source: New(Config{}), t: t, data: data, fetches: new(atomic.Int32)}
		defer u.Close()
		u.get = func(ctx context.Context, _ string) (*served, error) {
			u.fetches.Add(1)
			u.mu.Lock()
			data, err, hold := u.data, u.err, u.hold
			u.mu.Unlock()
			if hold != nil {
				select {
				case <-hold:
				case <-ctx.Done():
					return nil, failed(WordTimeout, nil)
				}
			}
			return &served{data: data}, err
		}
		test(t, u)
	})
}

// publish changes the document; breakDown makes fetches fail; delay makes them
// wait until the function it gives is called.
func (u *keyURL) publish(data []byte) { u.set(data, nil, nil) }
func (u *keyURL) breakDown()          { u.set(nil, failed(WordUnreachable, errors.New("down")), nil) }

func (u *keyURL) delay() (resume func()) {
	hold := make(chan struct{})
	u.set(u.data, u.err, hold)
	return func() { u.set(u.data, u.err, nil); close(hold) }
}

func (u *keyURL) set(data []byte, err error, hold chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.data, u.err, u.hold = data, err, hold
}

const testURL = "https://idp.test/keys"

// find requires these key ids (or, after "!", this word of an error) and the
// number of fetches so far.
func (u *keyURL) find(q assertion.KeyQuery, want string, fetches int32) {
	u.t.Helper()
	keys, err := u.Find(u.t.Context(), q)
	synctest.Wait() // for what goes on in the background
	got := ids(keys)
	var failure *FetchError
	if errors.As(err, &failure) {
		got = "!" + failure.Word
	} else if err != nil {
		got = err.Error()
	}
	if n := u.fetches.Load(); got != want || n != fetches {
		u.t.Fatalf("got %q after %d fetches, want %q after %d", got, n, want, fetches)
	}
}

func q(kid string) assertion.KeyQuery { return query(testURL, kid) }

func renew(kid string) assertion.KeyQuery {
	query := q(kid)
	query.Renew = true
	return query
}

func TestFreshKeysComeFromMemory(t *testing.T) {
	inBubble(t, named("a", "b"), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "a", 1)
		u.find(q("b"), "b", 1)
		u.find(q(""), "a b", 1)
		time.Sleep(renewAfter - time.Second)
		u.find(q("a"), "a", 1)
	})
}

func TestPEMKeysAnswerEveryKeyID(t *testing.T) {
	inBubble(t, []byte(spki(edKey())+spki(edKey())), func(t *testing.T, u *keyURL) {
		u.find(q(""), " ", 1)
		u.find(q("anything"), " ", 1)
	})
}

func TestAJWKWithoutKeyIDAnswersNoKeyID(t *testing.T) {
	inBubble(t, jwks(jwk(edKey(), nil)), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "", 1)
		u.find(q(""), "", 1)
		if keys := must(u.Find(t.Context(), q(""))); len(keys) != 1 {
			t.Error("nor an empty one")
		}
	})
}

func TestKeysAreRenewedInTheBackgroundBeforeTheyAreStale(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "a", 1)
		time.Sleep(renewAfter + renewSpread)
		u.publish(named("a", "b"))
		resume := u.delay()
		u.find(q("a"), "a", 2) // does not wait
		u.find(q("a"), "a", 2) // nor fetch twice
		resume()
		synctest.Wait()
		u.find(q("b"), "b", 2)
	})
}

func TestStaleKeysAreNotUsedBeforeTheKeyURLWasAsked(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "a", 1)
		u.publish(named("b"))
		time.Sleep(FreshFor + time.Nanosecond)
		u.find(q("a"), "", 2)
		u.find(q("b"), "b", 2)
	})
}

func TestUnknownKeyID(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "a", 1)
		u.publish(named("a", "b"))
		time.Sleep(RefetchAfter - 1)
		u.find(q("b"), "", 1) // too early
		time.Sleep(time.Nanosecond)
		u.find(q("b"), "b", 2)
		u.find(q("c"), "", 2)
	})
}

func TestAFloodOfUnknownKeyIDsCostsAFetchEvery30Seconds(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		for i := range 10_000 {
			u.Find(t.Context(), q(fmt.Sprint("random ", i)))
			if keys, err := u.Find(t.Context(), q("a")); err != nil || len(keys) != 1 {
				t.Fatal("good traffic suffers")
			}
			time.Sleep(59 * time.Second / 10_000)
		}
		if n := u.fetches.Load(); n > 2 {
			t.Errorf("%d fetches in a minute", n)
		}
	})
}

func TestKnownKeysDoNotWaitForAFetch(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "a", 1)
		time.Sleep(RefetchAfter)
		resume := u.delay()
		go u.Find(t.Context(), q("unknown"))
		synctest.Wait()
		u.find(q("a"), "a", 2) // would be a deadlock
		resume()
	})
}

func TestRenewFetchesAtMostEvery30Seconds(t *testing.T) {
	inBubble(t, []byte(spki(edKey())), func(t *testing.T, u *keyURL) {
		u.find(q(""), "", 1)
		u.find(renew(""), "", 1)
		time.Sleep(RefetchAfter)
		u.find(renew(""), "", 2)
		u.find(renew(""), "", 2)
	})
}

func TestKeysThatAreGoneFromTheDocumentAreGone(t *testing.T) {
	inBubble(t, named("a", "b"), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "a", 1)
		u.publish(named("b", "c"))
		time.Sleep(RefetchAfter)
		u.find(q("c"), "c", 2)
		u.find(q("a"), "", 2)
		u.publish(jwks()) // a valid answer: all keys are withdrawn
		time.Sleep(RefetchAfter)
		u.find(renew("b"), "", 3)
	})
}

func TestABrokenDocumentLeavesTheKeysAlone(t *testing.T) {
	for _, data := range []string{"", "{}", `{"keys":null}`, "<html>", `{"keys":[{"kty":"EC","d":"AQ"}]}`} {
		inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
			u.find(q("a"), "a", 1)
			u.publish([]byte(data))
			time.Sleep(RefetchAfter)
			u.find(q("b"), "!"+map[bool]string{true: WordPrivateKey, false: WordContent}[strings.Contains(data, `"d"`)], 2)
			u.find(q("a"), "a", 2)
		})
	}
}

func TestAnOutageIsOutlivedFor24Hours(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "a", 1)
		u.breakDown()
		time.Sleep(time.Hour)
		u.find(q("a"), "a", 2)
		time.Sleep(22*time.Hour + 59*time.Minute)
		u.find(q("a"), "a", 3) // 23:59
		time.Sleep(2 * time.Minute)
		u.find(q("a"), "!unreachable", 4) // 24:01
		u.publish(named("b"))
		time.Sleep(RefetchAfter)
		u.find(q("b"), "b", 5)
	})
}

func TestDuringAnOutageOneQuestionWaitsAndRetriesAre30SecondsApart(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "a", 1)
		u.breakDown()
		time.Sleep(FreshFor + time.Second)
		u.find(q("a"), "a", 2)
		time.Sleep(RefetchAfter - time.Second)
		u.find(q("a"), "a", 2)
		time.Sleep(time.Second)
		resume := u.delay()
		u.find(q("a"), "a", 3) // does not wait
		resume()
		synctest.Wait()
		u.publish(named("b"))
		time.Sleep(RefetchAfter)
		u.find(q("b"), "b", 4) // an unknown kid does
	})
}

func TestAnUnknownKeyIDIsNotDeniedWhileTheKeyURLFails(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "a", 1)
		u.breakDown()
		time.Sleep(RefetchAfter)
		u.find(q("new"), "!unreachable", 2)
		u.find(q("new"), "!unreachable", 2)
		u.find(q("a"), "a", 2)
	})
}

// KEY-16.
func TestAKeyURLThatNeverWorkedIsRetriedAfter5Seconds(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		u.breakDown()
		u.find(q("a"), "!unreachable", 1)
		time.Sleep(coldRetryAfter - 1)
		u.find(q("a"), "!unreachable", 1)
		u.publish(named("a"))
		time.Sleep(time.Nanosecond)
		u.find(q("a"), "a", 2)
		u.find(q("b"), "", 2) // the failure is history
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, u *keyURL) {
		u.set(nil, &FetchError{Word: WordStatus, retryAfter: time.Minute}, nil)
		u.find(q("a"), "!status", 1)
		time.Sleep(59 * time.Second)
		u.find(q("a"), "!status", 1)
		time.Sleep(time.Second)
		u.find(q("a"), "!status", 2)
	})
}

// KEY-13.
func TestAThousandColdQuestionsAreOneFetch(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		resume := u.delay()
		var answers atomic.Int32
		for range 1000 {
			go func() {
				if keys, err := u.Find(t.Context(), q("a")); err == nil && len(keys) == 1 {
					answers.Add(1)
				}
			}()
		}
		synctest.Wait() // all of them are waiting now
		resume()
		synctest.Wait()
		if answers.Load() != 1000 || u.fetches.Load() != 1 {
			t.Errorf("%d answers, %d fetches", answers.Load(), u.fetches.Load())
		}
	})
}

func TestAFetchOutlivesWhoCameFirst(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		resume := u.delay()
		ctx, cancel := context.WithCancel(t.Context())
		var first, second error
		go func() { _, first = u.Find(ctx, q("a")) }()
		synctest.Wait()
		go func() { _, second = u.Find(t.Context(), q("a")) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !errors.Is(first, context.Canceled) {
			t.Errorf("the first caller got %v", first)
		}
		resume()
		synctest.Wait()
		if second != nil || u.fetches.Load() != 1 {
			t.Errorf("the second caller got %v after %d fetches", second, u.fetches.Load())
		}
	})
}

// KEY-21.
func TestIntegratorsShareNothing(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		other := q("a")
		other.Ref.IntegratorID = "other"
		u.find(q("a"), "a", 1)
		u.publish(named("b"))
		u.find(other, "", 2)
		u.find(q("a"), "a", 2)
		pem := q("a")
		pem.Ref.Format = "pem"
		u.find(pem, "!content", 3)
		u.find(q("a"), "a", 3)
	})
}

func TestCloseStopsFetchesAndWaitsForThem(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "a", 1)
		u.delay()
		var err error
		go func() { _, err = u.Find(t.Context(), query("https://silent.test/", "")) }()
		synctest.Wait()
		u.Close()
		synctest.Wait()
		wantWord(t, err, WordTimeout)
		u.find(q("a"), "a", 2) // memory remains
		u.find(query("https://new.test/", ""), "!unreachable", 2)
		u.Close()
	})
}

func TestEntriesThatNobodyAsksForAreDropped(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		u.find(q("a"), "a", 1)
		u.find(query("https://used.test/", "a"), "a", 2)
		time.Sleep(23 * time.Hour)
		u.find(query("https://used.test/", "a"), "a", 3)
		time.Sleep(time.Hour)
		u.find(query("https://used.test/", "a"), "a", 4)
		if len(u.entries) != 1 {
			t.Errorf("%d entries", len(u.entries))
		}
	})
}

func TestEntriesAreBounded(t *testing.T) {
	s := newSource(t, Config{})
	for i := range maxEntries + 100 {
		s.entry(assertion.KeyRef{URL: fmt.Sprint(i)}, time.Now())
	}
	if len(s.entries) != maxEntries {
		t.Errorf("%d entries", len(s.entries))
	}
}

func TestAPanicOfTheParserIsAFailure(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, u *keyURL) {
		u.get = func(context.Context, string) (*served, error) { panic("a hostile document") }
		u.find(q("a"), "!content", 0)
	})
}

func TestAFailureIsLoggedOnce(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		var lines bytes.Buffer
		u.log = slog.New(slog.NewTextHandler(&lines, nil))
		u.find(q("a"), "a", 1)
		u.breakDown()
		time.Sleep(FreshFor + 1)
		for range 5 {
			u.find(q("a"), "a", 2)
		}
		text := lines.String()
		if strings.Count(text, "\n") != 1 || !strings.Contains(text, "keys_in_memory=true") || !strings.Contains(text, "word=unreachable") {
			t.Errorf("got %s", text)
		}
	})
}

func TestAnswersCannotBeAppendedTo(t *testing.T) {
	inBubble(t, named("a", "b", "c"), func(t *testing.T, u *keyURL) {
		for _, kid := range []string{"", "a"} {
			keys := must(u.Find(t.Context(), q(kid)))
			if cap(keys) != len(keys) {
				t.Errorf("%q: the answer has room", kid)
			}
		}
	})
}

func TestManyQuestionsAtOnce(t *testing.T) {
	inBubble(t, named("a"), func(t *testing.T, u *keyURL) {
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				for j := range 100 {
					kid := []string{"a", "", "unknown"}[(i+j)%3]
					keys, err := u.Find(t.Context(), q(kid))
					if err != nil || (len(keys) == 1) != (kid != "unknown") {
						t.Errorf("%q: %v %v", kid, keys, err)
					}
					if j%50 == 0 {
						u.Find(t.Context(), of(q("a"), int64(i*100+j)))
					}
				}
			})
		}
		group.Wait()
	})
}

func BenchmarkFindFresh(b *testing.B) {
	s := New(Config{})
	defer s.Close()
	data := named("a", "b")
	s.get = func(context.Context, string) (*served, error) { return &served{data: data}, nil }
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Find(context.Background(), q("a")); err != nil {
				b.Fatal(err)
			}
		}
	})
}
