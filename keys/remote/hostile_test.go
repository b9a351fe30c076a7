package remote

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	plainURL  = "http://idp.test/keys"
	secureURL = "https://idp.test/keys"
)

// wireBytes is the most that a fetch may take off the wire: headers, the
// document and one byte, and what fits into the read buffer of net/http.
const wireBytes = maxHeaderBytes + MaxDocumentBytes + 1 + readBuffer

const readBuffer = 4 << 10

// hostile is a key server that does to each connection what its script says.
// Fetches reach it by pipes inside a synctest bubble: time passes only while
// everybody waits, and the bubble fails the test if a goroutine is left.
type hostile struct {
	*Source
	servers sync.WaitGroup
	lookups atomic.Int32
	read    atomic.Int64 // bytes that were taken off the wire

	mu      sync.Mutex
	script  func(net.Conn)
	dialled []string
}

// against runs a test with a Source whose only network is a hostile server.
func against(t *testing.T, script func(net.Conn), test func(t *testing.T, h *hostile)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &hostile{script: script}
		h.Source = New(Config{Allow: prefixes("8.8.8.8/32"), LookupNetIP: func(context.Context, string, string) ([]netip.Addr, error) {
			h.lookups.Add(1)
			return []netip.Addr{netip.MustParseAddr("8.8.8.8")}, nil
		}})
		defer h.servers.Wait() // time stands still when the test has returned
		defer h.Close()
		h.fetcher.dial = h.dial
		test(t, h)
	})
}

// play changes the script for the connections that follow.
func (h *hostile) play(script func(net.Conn)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.script = script
}

func (h *hostile) dials() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.dialled)
}

func (h *hostile) dial(_ context.Context, to netip.AddrPort, _ bool) (net.Conn, error) {
	h.mu.Lock()
	script := h.script
	h.dialled = append(h.dialled, to.String())
	h.mu.Unlock()
	ours, theirs := net.Pipe()
	h.servers.Go(func() {
		defer theirs.Close()
		script(theirs)
	})
	return &metered{Conn: ours, read: &h.read}, nil
}

type metered struct {
	net.Conn
	read *atomic.Int64
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.read.Add(int64(n))
	return n, err
}

// Scripts. A pipe that the client has closed ends them.

// reply answers the request and then waits until the client has gone.
func reply(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		http.ReadRequest(bufio.NewReader(conn))
		io.WriteString(conn, answer)
		io.Copy(io.Discard, conn)
	}
}

// hangUp answers the request and closes the connection.
func hangUp(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		http.ReadRequest(bufio.NewReader(conn))
		io.WriteString(conn, answer)
	}
}

// endlessly answers and then repeats a page.
func endlessly(answer, page string) func(net.Conn) {
	return func(conn net.Conn) {
		http.ReadRequest(bufio.NewReader(conn))
		_, err := io.WriteString(conn, answer)
		for err == nil {
			_, err = io.WriteString(conn, page)
		}
	}
}

// drip answers at once and then sends a byte each second.
func drip(answer, slow string) func(net.Conn) {
	return func(conn net.Conn) {
		http.ReadRequest(bufio.NewReader(conn))
		_, err := io.WriteString(conn, answer)
		for i := 0; i < len(slow) && err == nil; i++ {
			time.Sleep(time.Second)
			_, err = io.WriteString(conn, slow[i:i+1])
		}
		io.Copy(io.Discard, conn)
	}
}

// say speaks before it is asked.
func say(text string) func(net.Conn) {
	return func(conn net.Conn) {
		go io.Copy(io.Discard, conn)
		io.WriteString(conn, text)
	}
}

func silence(conn net.Conn) { io.Copy(io.Discard, conn) }

// status200 is a whole answer with status 200 and these header fields.
func status200(body string, fields ...string) string {
	return "HTTP/1.1 200 OK\r\n" + strings.Join(append(fields, "Connection: close", "", ""), "\r\n") + body
}

// attack is a script and the one outcome that is right.
type attack struct {
	rule   string
	script func(net.Conn)
	word   string        // empty: a key
	waits  time.Duration // how long exactly
	most   int64         // bytes taken off the wire; 0 means wireBytes
}

// survive fetches once from each script.
func survive(t *testing.T, url string, attacks []attack) {
	for _, a := range attacks {
		t.Run(a.rule, func(t *testing.T) {
			against(t, a.script, func(t *testing.T, h *hostile) {
				start := time.Now()
				keys, err := h.Find(t.Context(), query(url, ""))
				if waited := time.Since(start); waited != a.waits {
					t.Errorf("it took %s, want %s", waited, a.waits)
				}
				if a.word != "" {
					wantWord(t, err, a.word)
				} else if err != nil || len(keys) != 1 {
					t.Errorf("got %d keys, %v", len(keys), err)
				}
				if h.dials() != 1 || h.lookups.Load() != 1 {
					t.Errorf("%d connections, %d look-ups; want one", h.dials(), h.lookups.Load())
				}
				most := a.most
				if most == 0 {
					most = wireBytes
				}
				if n := h.read.Load(); n > most {
					t.Errorf("%d bytes were read, want at most %d", n, most)
				}
			})
		})
	}
}

// A dial is nobody's but its fetch's: it ends when that ends.
func TestADialEndsWithItsFetch(t *testing.T) {
	against(t, silence, func(t *testing.T, h *hostile) {
		var running atomic.Int32
		h.fetcher.dial = func(ctx context.Context, _ netip.AddrPort, _ bool) (net.Conn, error) {
			running.Add(1)
			defer running.Add(-1)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		for _, url := range []string{plainURL, secureURL} {
			ctx, cancel := context.WithCancel(t.Context())
			go h.fetcher.get(ctx, url)
			synctest.Wait()
			if running.Load() != 1 {
				t.Fatal("no dial")
			}
			cancel()
			synctest.Wait()
			if running.Load() != 0 {
				t.Errorf("%s: the dial goes on", url)
			}
		}
	})
}

// Whoever answers for a name can name 4,000 hosts that are not his.
func TestALongAnswerOfTheDNSIsJudgedWholeAndDialledInPart(t *testing.T) {
	against(t, silence, func(t *testing.T, h *hostile) {
		many := make([]netip.Addr, 4000)
		for i := range many {
			many[i] = netip.MustParseAddr("8.8.8.8")
		}
		h.fetcher.guard.lookup = func(context.Context, string, string) ([]netip.Addr, error) { return many, nil }
		dials := 0
		h.fetcher.dial = func(context.Context, netip.AddrPort, bool) (net.Conn, error) {
			dials++
			return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
		}
		_, err := h.fetcher.get(t.Context(), secureURL)
		wantWord(t, err, WordUnreachable)
		if dials != maxDials {
			t.Errorf("%d dials, want %d", dials, maxDials)
		}
		many[len(many)-1] = netip.MustParseAddr("10.0.0.1")
		_, err = h.fetcher.get(t.Context(), secureURL)
		wantWord(t, err, WordAddress)
		if dials != maxDials {
			t.Errorf("%d dials after an answer that is not allowed", dials-maxDials)
		}
	})
}
