package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// KEY-18.
func TestKeysOutliveARestartDuringAnOutage(t *testing.T) {
	for _, test := range []struct {
		after time.Duration
		want  string
	}{{time.Hour, "a"}, {23*time.Hour + 59*time.Minute, "a"}, {24*time.Hour + time.Minute, "!unreachable"}} {
		withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
			u.find(q("a"), "a", 1)
			u.breakDown()
			time.Sleep(test.after)
			restarted := u.replica(m)
			restarted.find(q("a"), test.want, 2)
			if test.want == "a" {
				restarted.find(q("b"), "!unreachable", 2) // nobody knows whether it is published
			}
		})
	}
}

func TestARestartNeedsNoFetchOfFreshKeys(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		u.find(q("a"), "a", 1)
		time.Sleep(adoptFor)
		second := u.replica(m)
		second.find(q("a"), "a", 1)
		time.Sleep(FreshFor - adoptFor + 1) // as old as they are, not as long as they are here
		second.find(q("a"), "a", 2)
	})
}

func TestOneReplicaFetchesForAll(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		second := u.replica(m)
		u.find(q("a"), "a", 1)
		second.find(q("a"), "a", 1)
		time.Sleep(RefetchAfter)
		u.publish(named("b"))
		u.find(q("b"), "b", 2)
		second.find(q("b"), "b", 2) // without a fetch
		second.find(q("a"), "", 2)
	})
}

// KEY-11: nor together do they ask more often.
func TestUnknownKeyIDsAtTwoReplicas(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		second := u.replica(m)
		for i := range 120 {
			for _, replica := range []*keyURL{u, second} {
				if _, err := replica.Find(t.Context(), q(fmt.Sprint("random ", i))); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(500 * time.Millisecond)
		}
		if n := u.fetches.Load(); n > 4 {
			t.Errorf("%d fetches in a minute", n)
		}
	})
}

func TestADatabaseThatIsDownCostsNoKey(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		m.down = true
		u.find(q("a"), "a", 1)
		time.Sleep(FreshFor + 1)
		u.publish(named("b"))
		u.find(q("b"), "b", 2)
	})
}

func TestKeysFromTheFutureAreNotKeptForLonger(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		u.find(q("a"), "a", 1)
		d := m.only(t)
		d.FetchedAt = d.FetchedAt.Add(72 * time.Hour)
		m.documents[d.Source] = d
		second := u.replica(m)
		u.breakDown()
		second.find(q("a"), "a", 2) // better than none, but nobody relies on them
		u.publish(named("b"))
		time.Sleep(RefetchAfter)
		second.find(q("b"), "b", 3)
		second.find(q("a"), "", 3)
	})
}

// KEY-09: what was removed stops on every replica that knows of the epoch.
func TestRefresh(t *testing.T) {
	withMemory(t, named("a", "b"), func(t *testing.T, u *keyURL, m *memory) {
		second := u.replica(m)
		u.find(q("a"), "a", 1)
		second.find(q("a"), "a", 1)
		u.publish(named("b"))
		d := must(u.Refresh(t.Context(), q("").Ref))
		if d.Epoch != 1 || len(d.Keys) != 3 || d.Keys[0].ID != "b" || !d.Keys[1].Removed || !d.Keys[2].Removed {
			t.Errorf("got %+v", d)
		}
		u.find(of(q("a"), 1), "", 2) // here at once, and without another fetch
		u.find(of(q("b"), 1), "b", 2)
		second.find(q("a"), "a", 2)       // has not heard of it
		second.find(of(q("a"), 1), "", 2) // has heard, and finds what was fetched
		second.find(of(q("b"), 1), "b", 2)
	})
}

func TestARefreshThatFailsLeavesEverythingAsItWas(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		u.find(q("a"), "a", 1)
		before := m.only(t)
		u.breakDown()
		_, err := u.Refresh(t.Context(), q("").Ref)
		wantWord(t, err, WordUnreachable)
		if after := m.only(t); after.Epoch != before.Epoch || len(m.failures) != 1 {
			t.Errorf("the memory has %+v, failures %v", after, m.failures)
		}
		u.find(q("a"), "a", 2)
		u.publish(named("b"))
		m.down = true
		if _, err = u.Refresh(t.Context(), q("").Ref); !errors.Is(err, errDown) {
			t.Errorf("nobody else would hear of it: %v", err)
		}
		u.find(q("a"), "a", 3)
	})
}

// A failed refresh is known to be over half a minute later, not at the next
// renewal, however fresh the keys are.
func TestAFailedRefreshIsSoonTriedAgain(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		u.find(q("a"), "a", 1)
		u.breakDown()
		_, err := u.Refresh(t.Context(), q("").Ref)
		wantWord(t, err, WordUnreachable)
		failing := func(want int) {
			t.Helper()
			if got := u.States()["failing"]; got != want {
				t.Errorf("%d key URLs are failing, want %d", got, want)
			}
		}
		failing(1)
		u.publish(named("a"))
		u.find(q("a"), "a", 2)
		time.Sleep(RefetchAfter)
		u.find(q("a"), "a", 3)
		u.find(q("a"), "a", 3)
		failing(0)
	})
}

func TestARefreshThatIsGivenUpIsNoFailure(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		resume := u.delay()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := u.Refresh(ctx, q("").Ref); !errors.Is(err, context.Canceled) || len(m.failures) != 0 {
			t.Errorf("got %v, noted %v", err, m.failures)
		}
		resume()
	})
}

func TestARunningFetchDoesNotUndoARefresh(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		u.find(q("a"), "a", 1)
		time.Sleep(RefetchAfter)
		resume := u.delay()
		go u.Find(t.Context(), q("unknown")) // has read "a" already
		synctest.Wait()
		u.publish(named("b"))
		must(u.Refresh(t.Context(), q("").Ref))
		resume()
		synctest.Wait()
		u.find(q("b"), "b", 3)
		u.find(q("a"), "", 3)
		if d := m.only(t); d.Keys[0].ID != "b" {
			t.Errorf("the memory has %q", d.Keys[0].ID)
		}
	})
}

func TestWhatIsKeptOfAKey(t *testing.T) {
	key := jwk(rsaKey(2048), map[string]any{"kid": "a", "alg": "RS256", "use": "sig", "x5c": []string{"secret garbage"}, "note": "private remark"})
	withMemory(t, jwks(key, jwk(edKey(), map[string]any{"kid": "e", "use": "enc"})), func(t *testing.T, u *keyURL, m *memory) {
		start := time.Now()
		u.find(q("a"), "a", 1)
		d := m.only(t)
		first, second := d.Keys[0], d.Keys[1]
		if first.ID != "a" || first.Type != "RSA" || first.Bits != 2048 || first.Algorithm != "RS256" || len(first.Thumbprint) != 43 || first.Problem != "" || first.FirstSeen != start.UnixMicro() {
			t.Errorf("got %+v", first)
		}
		if second.Type != "OKP" || second.Curve != "Ed25519" || second.Problem == "" || d.FoundFormat != FormatJWKS || len(d.Warnings) == 0 {
			t.Errorf("got %+v of %+v", second, d)
		}
		if text := fmt.Sprintf("%+v", d); strings.Contains(text, "garbage") || strings.Contains(text, "remark") {
			t.Errorf("more is kept than the keys: %s", text)
		}
		restored := restore(&d)
		if len(restored) != 2 || !samePublic(restored[0].Public, must(u.Find(t.Context(), q("a")))[0].Public) || restored[1].Problem != second.Problem {
			t.Errorf("restored %+v", restored)
		}
	})
}

// RFC 7638 §3.1 (JWK-23).
func TestThumbprint(t *testing.T) {
	const n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMst" +
		"n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI" +
		"SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	document := must(Parse(jwks(map[string]any{"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}), FormatJWKS))
	if got := thumbprint(document.Keys[0].Public); got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("got %s", got)
	}
}

func TestKeysKeepWhenTheyWereFirstSeen(t *testing.T) {
	a, b := jwk(edKey(), map[string]any{"kid": "a"}), jwk(edKey(), map[string]any{"kid": "b"})
	withMemory(t, jwks(a), func(t *testing.T, u *keyURL, m *memory) {
		seen := func(i int, id string, first, last time.Time, removed bool) {
			t.Helper()
			key := m.only(t).Keys[i]
			if key.ID != id || key.FirstSeen != first.UnixMicro() || key.LastSeen != last.UnixMicro() || key.Removed != removed {
				t.Errorf("got %+v", key)
			}
		}
		start := time.Now()
		u.find(q("a"), "a", 1)
		time.Sleep(RefetchAfter)
		u.publish(jwks(a, b))
		u.find(q("b"), "b", 2)
		seen(0, "a", start, start.Add(RefetchAfter), false)
		seen(1, "b", start.Add(RefetchAfter), start.Add(RefetchAfter), false)
		time.Sleep(RefetchAfter)
		u.publish(jwks(b))
		restarted := u.replica(m)
		restarted.find(q("c"), "", 3)
		seen(0, "b", start.Add(RefetchAfter), time.Now(), false)
		seen(1, "a", start, start.Add(RefetchAfter), true)
		for i := range 2 * maxRemoved {
			time.Sleep(RefetchAfter)
			u.publish(jwks(jwk(edKey(), map[string]any{"kid": fmt.Sprint(i)})))
			u.Find(t.Context(), q(fmt.Sprint(i)))
		}
		synctest.Wait()
		if keys := m.only(t).Keys; len(keys) != 1+maxRemoved || keys[1].ID != fmt.Sprint(2*maxRemoved-2) {
			t.Errorf("%d keys, the last one that is gone is %s", len(keys), keys[1].ID)
		}
	})
}

func TestWhenAKeyWasUsed(t *testing.T) {
	a := jwk(edKey(), map[string]any{"kid": "a"})
	withMemory(t, jwks(a), func(t *testing.T, u *keyURL, m *memory) {
		at := time.Now().Add(-time.Second)
		u.find(q("a"), "a", 1)
		must(u.Find(t.Context(), q("a")))[0].Used(at)
		m.down = true
		if err := u.SaveUses(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("got %v", err)
		}
		m.down = false
		time.Sleep(RefetchAfter)
		u.publish(jwks(a, jwk(edKey(), map[string]any{"kid": "b"})))
		u.find(q("b"), "b", 2) // a new document forgets no use
		must(0, u.SaveUses(t.Context()))
		thumbprint := m.only(t).Keys[0].Thumbprint
		if len(m.uses) != 1 || !m.uses[thumbprint].Equal(at) {
			t.Errorf("got %v", m.uses)
		}
		clear(m.uses)
		must(0, u.SaveUses(t.Context()))
		if len(m.uses) != 0 {
			t.Error("nothing happened since")
		}
	})
}

func TestTheMemoryIsNotFilledWithOneFailure(t *testing.T) {
	withMemory(t, nil, func(t *testing.T, u *keyURL, m *memory) {
		u.breakDown()
		for range 100 { // in 500 seconds
			u.Find(t.Context(), q("a"))
			time.Sleep(coldRetryAfter)
		}
		synctest.Wait()
		if n := len(m.failures); n != 2 {
			t.Errorf("noted %d times", n)
		}
		u.publish([]byte("<html>"))
		u.find(q("a"), "!content", 101)
		if n := len(m.failures); n != 3 {
			t.Errorf("another failure is news: noted %d times", n)
		}
	})
}

func TestCheckKeepsNothing(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		d := must(u.Check(t.Context(), q("").Ref, true))
		if len(d.Keys) != 1 || d.FoundFormat != FormatJWKS || len(m.documents) != 0 || len(u.entries) != 0 {
			t.Errorf("got %+v, kept %v", d, m.documents)
		}
		u.breakDown()
		_, err := u.Check(t.Context(), q("").Ref, true)
		wantWord(t, err, WordUnreachable)
		if len(m.failures) != 0 {
			t.Error("nor a failure")
		}
	})
}
