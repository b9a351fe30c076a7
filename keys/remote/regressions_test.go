package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

// Two issuers behind one JWKS are two key URLs of one source, of which the
// older asked in vain: each unknown kid cost a fetch, and rotation was unseen.
func TestKeyURLsThatShareASource(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		older, newer := int64(10), int64(20)
		u.find(of(q("a"), older), "a", 1)
		u.find(of(q("a"), newer), "a", 2)
		time.Sleep(RefetchAfter)
		u.publish(named("a", "b"))
		for i := range 100 {
			if _, err := u.Find(t.Context(), of(q(fmt.Sprint("random ", i)), older)); err != nil {
				t.Fatal(err)
			}
		}
		u.find(of(q("b"), older), "b", 3)
		time.Sleep(FreshFor + 1)
		for range 50 {
			u.find(of(q("a"), older), "a", 4)
		}
	})
}

// A refresh that began earlier must not undo one that saw more: the stolen key
// came back under a newer epoch.
func TestTheRefreshThatBeganEarlierDoesNotWin(t *testing.T) {
	withMemory(t, named("stolen"), func(t *testing.T, u *keyURL, m *memory) {
		second := u.replica(m)
		u.find(q("stolen"), "stolen", 1)
		resume := u.delay()
		outcome := make(chan error)
		go func() {
			_, err := second.Refresh(t.Context(), q("").Ref) // has read "stolen" already, slowly
			outcome <- err
		}()
		synctest.Wait()
		u.set(named("good"), nil, nil)
		must(u.Refresh(t.Context(), q("").Ref))
		resume()
		if err := <-outcome; !errors.Is(err, registry.ErrStale) {
			t.Errorf("the slow refresh ends with %v", err)
		}
		u.find(of(q("good"), 1), "good", 3)
		u.find(of(q("stolen"), 1), "", 3)
		if d := m.only(t); d.Keys[0].ID != "good" || d.Epoch != 1 {
			t.Errorf("the memory has %s of epoch %d", d.Keys[0].ID, d.Epoch)
		}
	})
}

// Likewise of two fetches of one epoch, at whichever replica.
func TestTheFetchThatBeganEarlierDoesNotWin(t *testing.T) {
	withMemory(t, named("stolen"), func(t *testing.T, u *keyURL, m *memory) {
		second := u.replica(m)
		resume := u.delay()
		go second.Find(t.Context(), q("stolen")) // its last byte takes four seconds
		time.Sleep(4 * time.Second)
		u.set(named("good"), nil, nil)
		u.find(q("good"), "good", 2)
		resume()
		synctest.Wait()
		if d := m.only(t); d.Keys[0].ID != "good" {
			t.Errorf("the memory has %s", d.Keys[0].ID)
		}
		u.breakDown()
		time.Sleep(renewAfter + renewSpread)
		u.renewAll()
		u.find(q("good"), "good", 3)
		if keys, err := u.Find(t.Context(), q("stolen")); err == nil && len(keys) > 0 {
			t.Error("a removed key is back")
		}
	})
}

// A stamp from the future gave keys another 24 hours each day.
func TestKeysFromTheFutureEndAfter24Hours(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		u.find(q("a"), "a", 1)
		d := m.only(t)
		d.FetchedAt = d.FetchedAt.Add(30 * 24 * time.Hour)
		m.documents[d.Source] = d
		u.breakDown()
		second := u.replica(m)
		for day := range 40 {
			_, err := second.Find(t.Context(), q("a"))
			synctest.Wait()
			if (err == nil) != (day == 0) {
				t.Fatalf("day %d of the outage: %v", day, err)
			}
			time.Sleep(24*time.Hour + time.Minute)
		}
	})
}

// slowMemory answers after a while.
type slowMemory struct {
	*memory
	delay time.Duration
}

func (m *slowMemory) KeyDocument(ctx context.Context, source registry.KeySource) (*registry.KeyDocument, error) {
	time.Sleep(m.delay)
	return m.memory.KeyDocument(ctx, source)
}

// Who joins another's flight may have asked for more than it looked for.
func TestAQuestionThatJoinsAFlightLooksAgain(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		u.find(q("a"), "a", 1)
		time.Sleep(4 * time.Minute)
		u.publish(named("a", "b"))
		second := u.replica(m)
		second.Source.memory = &slowMemory{m, 10 * time.Millisecond}
		go second.Find(t.Context(), q("a")) // ends by adopting what is four minutes old
		synctest.Wait()
		second.find(q("b"), "b", 2)
	})
}

// A key URL that hangs: whoever cannot wait any longer gets the keys there are.
func TestAKeyURLThatHangsCostsNoToken(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		u.find(q("a"), "a", 1)
		time.Sleep(time.Hour)
		second := u.replica(m)
		second.Source.memory = &slowMemory{m, time.Millisecond}
		second.get = func(ctx context.Context, _ string) (*served, error) {
			ctx, cancel := context.WithTimeout(ctx, FetchTimeout)
			defer cancel()
			<-ctx.Done()
			return nil, failed(WordTimeout, ctx.Err())
		}
		ask := func(kid string) ([]string, error) {
			ctx, cancel := context.WithTimeout(t.Context(), FetchTimeout)
			defer cancel()
			keys, err := second.Find(ctx, q(kid))
			return []string{ids(keys)}, err
		}
		if got, err := ask("a"); err != nil || got[0] != "a" {
			t.Errorf("got %q %v", got, err)
		}
		time.Sleep(time.Second) // the fetch has ended meanwhile
		start := time.Now()
		if got, err := ask("a"); err != nil || got[0] != "a" || time.Since(start) > 0 {
			t.Errorf("the next one got %q %v after %s", got, err, time.Since(start))
		}
		if got, err := ask("b"); err == nil {
			t.Errorf("nobody knows of another key, and got %q", got)
		}
	})
}

// An outage that another replica has noted is one here, too: nobody waits.
func TestAnOutageThatOthersKnowOf(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		u.find(q("a"), "a", 1)
		d := m.only(t)
		d.FailingSince, d.FailedAt, d.Failure = time.Now(), time.Now().Add(FreshFor), WordTimeout
		m.documents[d.Source] = d
		time.Sleep(FreshFor + time.Second)
		second := u.replica(m)
		resume := u.delay()
		go second.Find(t.Context(), q("a"))
		synctest.Wait()
		second.find(q("a"), "a", 2) // would be a deadlock
		resume()
	})
}

// Keys of an older epoch are none: they are asked for again after five
// seconds, not after thirty.
func TestTheColdPauseAfterANewEpoch(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		u.find(of(q("a"), 1), "a", 1)
		u.breakDown()
		u.find(of(q("a"), 2), "!unreachable", 2)
		u.publish(named("a"))
		time.Sleep(coldRetryAfter)
		u.find(of(q("a"), 2), "a", 3)
	})
}

// A key without a name that does not verify, while nobody can look whether it
// was replaced: that is no "invalid".
func TestUnnamedKeysDuringAnOutage(t *testing.T) {
	inBubble(t, []byte(spki(edKey())), func(t *testing.T, u *keyURL) {
		u.find(q("x"), "", 1)
		u.breakDown()
		time.Sleep(RefetchAfter)
		u.find(renew("x"), "!unreachable", 2)
		u.find(q("x"), "", 2)
	})
}

// A hostile certificate names hosts by the thousand, in the error of crypto/x509.
func TestTheLogOfAFailureIsShort(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, u *keyURL) {
		var lines bytes.Buffer
		u.log = slog.New(slog.NewJSONHandler(&lines, nil))
		u.set(nil, failed(WordTLS, errors.New(strings.Repeat("x", 1<<20))), nil)
		u.find(q("a"), "!tls", 1)
		if lines.Len() > 4<<10 {
			t.Errorf("%d bytes of log", lines.Len())
		}
	})
}

// What runs on strangers' documents runs outside of every request.
func TestAPanicEndsTheFlightAndNothingElse(t *testing.T) {
	withMemory(t, named("a"), func(t *testing.T, u *keyURL, m *memory) {
		u.Source.memory = &panickingMemory{m}
		u.find(q("a"), "!content", 0)
		u.Source.memory = m
		time.Sleep(coldRetryAfter)
		u.find(q("a"), "a", 1)
	})
}

type panickingMemory struct{ *memory }

func (*panickingMemory) KeyDocument(context.Context, registry.KeySource) (*registry.KeyDocument, error) {
	panic("a document that nobody thought of")
}
