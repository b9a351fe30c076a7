package remote

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var loopback = prefixes("127.0.0.0/8")

// serve runs a key URL on loopback.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/keys"
}

// serveRaw answers the request of every connection with these bytes and then
// stays silent.
func serveRaw(t *testing.T, answer string) string {
	t.Helper()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					io.WriteString(conn, answer)
				}
				io.Copy(io.Discard, conn) // until the client has gone
			}()
		}
	}()
	return "http://" + listener.Addr().String() + "/keys"
}

func write(data []byte, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Add(headers[i], headers[i+1])
		}
		w.Write(data)
	}
}

// KEY-01, KEY-02, KEY-05, KEY-06.
func TestAnswersThatCount(t *testing.T) {
	full := append(named("a"), bytes.Repeat([]byte(" "), MaxDocumentBytes)...)
	for _, c := range []struct {
		rule    string
		handler http.HandlerFunc
		word    string // empty: keys
	}{
		{"application/json", write(named("a"), "Content-Type", "application/json; charset=utf-8"), ""},
		{"application/jwk-set+json", write(named("a"), "Content-Type", "application/jwk-set+json"), ""},
		{"text/plain", write(named("a"), "Content-Type", "text/plain"), ""},
		{"application/x-pem-file", write([]byte(spki(edKey())), "Content-Type", "application/x-pem-file"), ""},
		{"application/octet-stream", write([]byte(spki(edKey())), "Content-Type", "application/octet-stream"), ""},
		{"no content type", write(named("a"), "Content-Type", ""), ""},
		{"a content type that cannot be read", write(named("a"), "Content-Type", ";;"), ""},
		{"text/html", write(named("a"), "Content-Type", "Text/HTML; charset=utf-8"), WordContent},
		{"image/png", write(named("a"), "Content-Type", "image/png"), WordContent},
		{"multipart", write(named("a"), "Content-Type", "multipart/form-data; boundary=x"), WordContent},
		{"text/html named twice", write(named("a"), "Content-Type", "text/html, text/html; charset=utf-8"), WordContent},
		{"text/html among others", write(named("a"), "Content-Type", "application/json", "Content-Type", "text/html"), WordContent},
		{"image/png with a broken parameter", write(named("a"), "Content-Type", "image/png; a=\""), WordContent},
		{"a login page", write([]byte("<!doctype html>"), "Content-Type", "text/plain"), WordContent},
		{"a JSON error with status 200", write([]byte(`{"error":"no"}`)), WordContent},
		{"an empty body", write(nil), WordContent},
		{"exactly 256 KiB", write(full[:MaxDocumentBytes]), ""},
		{"256 KiB and one byte", write(full[:MaxDocumentBytes+1]), WordTooLarge},
		{"no end", endless, WordTooLarge},
		{"identity named", write(named("a"), "Content-Encoding", "identity"), ""},
		{"gzip", write(named("a"), "Content-Encoding", "gzip"), WordEncoding},
		{"br", write(named("a"), "Content-Encoding", "br"), WordEncoding},
		{"gzip twice", write(named("a"), "Content-Encoding", "identity", "Content-Encoding", "gzip"), WordEncoding},
	} {
		t.Run(c.rule, func(t *testing.T) {
			keys, err := newSource(t, Config{Allow: loopback}).Find(t.Context(), query(serve(t, c.handler), ""))
			if c.word != "" {
				wantWord(t, err, c.word)
			} else if err != nil || len(keys) != 1 {
				t.Errorf("got %d keys, %v", len(keys), err)
			}
		})
	}
}

func endless(w http.ResponseWriter, _ *http.Request) {
	page := append([]byte(`{"keys":["`), bytes.Repeat([]byte("a"), 4096)...)
	for {
		if _, err := w.Write(page); err != nil {
			return
		}
	}
}

// KEY-04.
func TestOnlyStatus200Counts(t *testing.T) {
	for _, code := range []int{201, 204, 206, 300, 304, 400, 401, 403, 404, 410, 418, 429, 500, 503} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(code)
				w.Write(named("a"))
			})
			_, err := newSource(t, Config{Allow: loopback}).Find(t.Context(), query(url, ""))
			wantWord(t, err, WordStatus)
		})
	}
}

func TestAClosedPortIsUnreachable(t *testing.T) {
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	listener.Close()
	_, err := newSource(t, Config{Allow: loopback}).Find(t.Context(), query("http://"+listener.Addr().String(), ""))
	wantWord(t, err, WordUnreachable)
}

// SSRF-13. A client certificate is in TestTLS.
func TestTheRequestSaysNothingButWhatItMust(t *testing.T) {
	var got *http.Request
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "x"})
		w.Write(named("a"))
	})
	s := newSource(t, Config{Allow: loopback})
	for range 2 { // the cookie does not come back
		must(s.Find(t.Context(), query(url, "")))
		s.Forget(query(url, "").Ref)
	}
	if got.Method != "GET" || got.Header.Get("User-Agent") != "cambio" || got.Header.Get("Accept-Encoding") != "identity" || got.Header.Get("Accept") == "" {
		t.Errorf("got %s %v", got.Method, got.Header)
	}
	for name := range got.Header {
		if !slices.Contains([]string{"Accept", "Accept-Encoding", "User-Agent", "Connection"}, name) {
			t.Errorf("header %s was sent", name)
		}
	}
}

func TestProxiesOfTheEnvironmentAreIgnored(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("ALL_PROXY", "http://127.0.0.1:1")
	s := newSource(t, Config{Allow: loopback, LookupNetIP: answer("127.0.0.1")})
	url := strings.Replace(serve(t, write(named("a"))), "127.0.0.1", "idp.test", 1)
	if _, err := s.Find(t.Context(), query(url, "a")); err != nil || s.fetcher.transport.Proxy != nil {
		t.Error(err)
	}
}

// KEY-01.
func TestABodyIsReadOneByteBeyondTheLimitAtMost(t *testing.T) {
	body := &counter{}
	_, err := read(&http.Response{StatusCode: 200, ContentLength: -1, Body: io.NopCloser(body)})
	wantWord(t, err, WordTooLarge)
	if body.n != MaxDocumentBytes+1 {
		t.Errorf("%d bytes were read", body.n)
	}
}

type counter struct{ n int }

func (c *counter) Read(p []byte) (int, error) { c.n += len(p); return len(p), nil }

// SSRF-07: rebinding between two fetches.
func TestANameIsResolvedOnceForEachFetch(t *testing.T) {
	url := strings.Replace(serve(t, write(named("a"))), "127.0.0.1", "rebind.test", 1)
	lookups := 0
	s := newSource(t, Config{Allow: loopback, LookupNetIP: func(ctx context.Context, network, host string) ([]netip.Addr, error) {
		lookups++
		if host != "rebind.test" {
			t.Errorf("looked up %s", host)
		}
		return answer([]string{"127.0.0.1", "10.0.0.1"}[(lookups-1)%2])(ctx, network, host)
	}})
	if _, err := s.Find(t.Context(), query(url, "a")); err != nil || lookups != 1 {
		t.Fatalf("%d lookups, %v", lookups, err)
	}
	s.Forget(query(url, "").Ref)
	noDial(t, s) // the second answer is private
	_, err := s.Find(t.Context(), query(url, "a"))
	wantWord(t, err, WordAddress)
}

// SSRF-07.
func TestRebindingAfterTheCheckIsCaughtAtTheSocket(t *testing.T) {
	accepted := make(chan net.Conn, 1)
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			accepted <- conn
		}
	}()
	f := newFetcher(Config{}) // loopback is not allowed here
	_, err := f.dial(t.Context(), netip.MustParseAddrPort(listener.Addr().String()), false)
	if !errors.Is(err, errNotAllowed) || len(accepted) != 0 {
		t.Errorf("got %v", err)
	}
}

// SSRF-11.
func TestTheLogHoldsNoBytesOfTheAnswer(t *testing.T) {
	const secret = "hunter2"
	for _, answer := range []string{
		secret + "\r\n", "HTTP/1.1 " + secret + "\r\n\r\n", "HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: http://" + secret + "/%zz\r\n\r\n", "HTTP/1.1 500 " + secret + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + secret + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + secret, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n",
	} {
		var lines bytes.Buffer
		s := New(Config{Allow: loopback, Log: slog.New(slog.NewTextHandler(&lines, nil))})
		_, err := s.Find(t.Context(), query(serveRaw(t, answer)+"?key="+secret, ""))
		s.Close() // the line is written after the answer
		var failure *FetchError
		if !errors.As(err, &failure) {
			t.Fatal(err)
		}
		text := lines.String()
		if strings.Contains(text+err.Error(), secret) || strings.Count(text, "\n") != 1 || !strings.Contains(text, "level=WARN") {
			t.Errorf("%q is logged as %s", answer, text)
		}
	}
}

func TestAPublishedPrivateKeyCanBeTold(t *testing.T) {
	url := serve(t, write([]byte(spki(edKey())+block("PRIVATE KEY", []byte("x")))))
	_, err := newSource(t, Config{Allow: loopback}).Find(t.Context(), query(url, ""))
	if !errors.Is(err, ErrPrivateKey) {
		t.Errorf("got %v", err)
	}
}

// KEY-04.
func TestRetryAfterIsReadWithinReason(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "600": 10 * time.Minute, "86400": 10 * time.Minute, "-1": 0, "soon": 0,
		"99999999999999999999": 10 * time.Minute, "2147483648": 10 * time.Minute, "+5": 0, "5.5": 0,
		"Wed, 21 Oct 2026 07:28:00 GMT":                                        0, // on whose clock?
		"Wed, 21 Oct 2026 07:28:00 GMT\r\nDate: Wed, 21 Oct 2026 07:27:00 GMT": time.Minute,
		"Wed, 21 Oct 2026 07:28:00 GMT\r\nDate: Wed, 21 Oct 2026 07:29:00 GMT": 0,
		"Fri, 31 Dec 9999 23:59:59 GMT\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT": 10 * time.Minute,
	} {
		response := must(http.ReadResponse(bufio.NewReader(strings.NewReader("HTTP/1.1 429 Slow\r\nRetry-After: "+header+"\r\n\r\n")), nil))
		_, err := read(response)
		if got := classify(t.Context(), err).retryAfter; got != want {
			t.Errorf("%q: %s", header, got)
		}
	}
}
