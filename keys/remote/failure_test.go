package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cambio-oauth/cambio/grants/assertion"
)

// The tests of this file see what a failing key URL means to those who ask for
// its keys. The clock is that of the bubble.

// wantKeys asks for a key id and requires these ids, at once.
func (h *hostile) wantKeys(t *testing.T, q assertion.KeyQuery, want string) {
	t.Helper()
	start := time.Now()
	keys, err := h.Find(t.Context(), q)
	if got := ids(keys); err != nil || got != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
	if waited := time.Since(start); waited > 0 {
		t.Errorf("it took %s", waited)
	}
}

// KEY-03: a key URL that hangs is its own integrator's loss.
func TestASlowKeyURLDelaysNoOtherIntegrator(t *testing.T) {
	against(t, silence, func(t *testing.T, h *hostile) {
		for i := range 100 {
			go h.Find(t.Context(), query(fmt.Sprint(plainURL, i), ""))
		}
		synctest.Wait()
		if h.dials() == 0 {
			t.Fatal("nobody waits")
		}
		h.play(hangUp(status200(string(named("a")))))
		other := query(plainURL, "a")
		other.Ref.IntegratorID = "other"
		h.wantKeys(t, other, "a")
	})
}

// KEY-04, KEY-06, KEY-14: whatever is no answer leaves the keys alone.
func TestAFailureKeepsTheKeys(t *testing.T) {
	for rule, c := range map[string]struct {
		script func(net.Conn)
		word   string
	}{
		"404":                       {reply("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), WordStatus},
		"410":                       {reply("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"), WordStatus},
		"401":                       {reply("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), WordStatus},
		"304":                       {reply("HTTP/1.1 304 Not Modified\r\n\r\n"), WordStatus},
		"a redirect":                {reply("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), WordRedirect},
		"a login page":              {hangUp(status200("<html>", "Content-Type: text/html")), WordContent},
		"a JSON error":              {hangUp(status200(`{"error":"no"}`)), WordContent},
		"an empty body":             {hangUp(status200("")), WordContent},
		"an empty object":           {hangUp(status200("{}")), WordContent},
		"keys that are null":        {hangUp(status200(`{"keys":null}`)), WordContent},
		"keys that are an object":   {hangUp(status200(`{"keys":{}}`)), WordContent},
		"compressed":                {reply(status200("x", "Content-Encoding: gzip")), WordEncoding},
		"too large":                 {reply(statusLine + "Content-Length: 10000000000\r\n\r\n{"), WordTooLarge},
		"a connection that is shut": {hangUp(""), WordUnreachable},
	} {
		t.Run(rule, func(t *testing.T) {
			against(t, hangUp(status200(string(named("a")))), func(t *testing.T, h *hostile) {
				h.wantKeys(t, query(plainURL, "a"), "a")
				time.Sleep(FreshFor + time.Second)
				h.play(c.script)
				h.wantKeys(t, query(plainURL, "a"), "a")
				_, err := h.Find(t.Context(), query(plainURL, "b")) // an error and not a denial
				wantWord(t, err, c.word)
				if h.dials() < 2 {
					t.Error("the key URL was not asked")
				}
			})
		})
	}
}

// KEY-06: an empty set is how an issuer takes all its keys back.
func TestAnEmptySetRemovesAllKeysAtOnce(t *testing.T) {
	against(t, hangUp(status200(string(named("a")))), func(t *testing.T, h *hostile) {
		h.wantKeys(t, query(plainURL, "a"), "a")
		time.Sleep(FreshFor + time.Second)
		h.play(hangUp(status200(`{"keys":[]}`)))
		h.wantKeys(t, query(plainURL, "a"), "")
	})
}

// KEY-04.
func TestRetryAfterKeepsUsAwayForTenMinutesAtMost(t *testing.T) {
	against(t, reply("HTTP/1.1 429 Slow Down\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n"), func(t *testing.T, h *hostile) {
		for _, c := range []struct {
			pause time.Duration
			dials int
		}{{0, 1}, {maxRetryAfter - time.Second, 1}, {time.Minute, 2}} {
			time.Sleep(c.pause)
			_, err := h.Find(t.Context(), query(plainURL, ""))
			wantWord(t, err, WordStatus)
			if h.dials() != c.dials {
				t.Fatalf("%d dials, want %d", h.dials(), c.dials)
			}
		}
	})
}

// KEY-07: how long keys are fresh is ours to say.
func TestCachingHeadersChangeNothing(t *testing.T) {
	for _, field := range []string{
		"Cache-Control: max-age=31536000, immutable", "Cache-Control: no-store", "Cache-Control: max-age=0, must-revalidate",
		"Expires: Thu, 01 Jan 1970 00:00:00 GMT", "Expires: Fri, 31 Dec 9999 23:59:59 GMT", "Age: 4000000000",
		"ETag: \"x\"\r\nLast-Modified: Sat, 01 Jan 2000 00:00:00 GMT", "Pragma: no-cache", "Vary: *",
	} {
		t.Run(field, func(t *testing.T) {
			against(t, hangUp(status200(string(named("a")), field)), func(t *testing.T, h *hostile) {
				h.wantKeys(t, query(plainURL, "a"), "a")
				time.Sleep(RefetchAfter - time.Second)
				h.wantKeys(t, query(plainURL, "b"), "") // not even an unknown key id fetches so soon
				if h.dials() != 1 {
					t.Errorf("%d fetches within %s", h.dials(), RefetchAfter)
				}
				time.Sleep(FreshFor - RefetchAfter + 2*time.Second)
				h.wantKeys(t, query(plainURL, "a"), "a")
				if h.dials() != 2 {
					t.Errorf("%d fetches after %s", h.dials(), FreshFor)
				}
			})
		})
	}
}

// KEY-20: the DNS is part of the five seconds, and its outage one like others.
func TestAFailingDNSKeepsTheKeys(t *testing.T) {
	for rule, c := range map[string]struct {
		lookup func(ctx context.Context) error
		word   string
		waits  time.Duration
	}{
		"SERVFAIL": {func(context.Context) error { return &net.DNSError{Err: "server misbehaving", IsTemporary: true} }, WordUnreachable, 0},
		"NXDOMAIN": {func(context.Context) error { return &net.DNSError{Err: "no such host", IsNotFound: true} }, WordUnreachable, 0},
		"silence":  {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, WordTimeout, FetchTimeout},
		"an answer after 6 s, whatever the context says": {func(context.Context) error { time.Sleep(FetchTimeout + time.Second); return nil }, WordTimeout, FetchTimeout},
	} {
		t.Run(rule, func(t *testing.T) {
			against(t, hangUp(status200(string(named("a")))), func(t *testing.T, h *hostile) {
				h.wantKeys(t, query(plainURL, "a"), "a")
				h.fetcher.guard.lookup = func(ctx context.Context, _, _ string) ([]netip.Addr, error) { return nil, c.lookup(ctx) }
				time.Sleep(FreshFor + time.Second)
				start := time.Now()
				keys, err := h.Find(t.Context(), query(plainURL, "a"))
				if waited := time.Since(start); err != nil || ids(keys) != "a" || waited != c.waits {
					t.Errorf("got %q, %v after %s, want %s", ids(keys), err, waited, c.waits)
				}
				_, err = h.fetcher.get(t.Context(), plainURL)
				wantWord(t, err, c.word)
				time.Sleep(time.Minute) // until the last look-up has ended
			})
		})
	}
}

// KEY-15, and that no failure leaves anything behind for the next fetch.
func TestAServerThatFlaps(t *testing.T) {
	against(t, silence, func(t *testing.T, h *hostile) {
		for range 3 {
			for word, script := range map[string]func(net.Conn){
				"": hangUp(status200(string(named("a")))), WordStatus: reply("HTTP/1.1 500 X\r\n\r\n"), WordUnreachable: hangUp("HTTP/1."),
				WordTooLarge: endlessly(statusLine+"\r\n", strings.Repeat("a", 4096)), WordTimeout: silence,
			} {
				h.play(script)
				_, err := h.fetcher.get(t.Context(), plainURL)
				if word != "" {
					wantWord(t, err, word)
				} else if err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// SSRF-07: between registration and fetch, and between two fetches.
func TestANameThatTurnsPrivateIsNotDialled(t *testing.T) {
	against(t, hangUp(status200(string(named("a")))), func(t *testing.T, h *hostile) {
		for _, private := range []string{"127.0.0.1", "10.0.0.1", "::1", "169.254.169.254"} {
			if err := h.CheckURL(plainURL); err != nil {
				t.Fatal(err)
			}
			h.fetcher.guard.lookup = answer("8.8.8.8")
			if _, err := h.fetcher.get(t.Context(), plainURL); err != nil {
				t.Fatal(err)
			}
			dials := h.dials()
			h.fetcher.guard.lookup = answer(private)
			_, err := h.fetcher.get(t.Context(), plainURL)
			wantWord(t, err, WordAddress)
			if h.dials() != dials {
				t.Errorf("%s was dialled", private)
			}
		}
	})
}

// SSRF-14: a row that no registration would accept any more (restored from a
// backup, or the operator has changed the allowed networks) is judged again.
func TestAKeyURLThatIsForbiddenByNowIsNotFetched(t *testing.T) {
	for _, url := range []string{
		"http://idp.example.com/keys", "https://idp.example.com:8443/keys", "https://10.0.0.1/keys", "http://127.0.0.1:8080/keys",
		"https://[::1]/keys", "file:///etc/passwd", "https://u:p@idp.example.com/", "https://localhost/", "", "%zz",
	} {
		s := newSource(t, Config{LookupNetIP: func(context.Context, string, string) ([]netip.Addr, error) {
			t.Errorf("%s: the name was looked up", url)
			return nil, errors.New("no network here")
		}})
		noDial(t, s)
		_, err := s.Find(t.Context(), query(url, ""))
		wantWord(t, err, WordAddress)
	}
}

// SSRF-11, SSRF-12: neither the word nor the log tells one forbidden address
// from another.
func TestForbiddenAddressesLookAlike(t *testing.T) {
	texts := map[string]bool{}
	for _, addr := range forbidden {
		_, err := newSource(t, Config{LookupNetIP: answer(addr)}).Find(t.Context(), query("https://idp.example.com/", ""))
		texts[err.Error()+" "+fmt.Sprint(errors.Unwrap(err))] = true
	}
	if len(texts) != 1 {
		t.Errorf("forbidden addresses are told apart: %v", texts)
	}
}
