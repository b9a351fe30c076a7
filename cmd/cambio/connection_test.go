package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// rawConn is one TCP connection, on which every byte is ours.
type rawConn struct {
	t      *testing.T
	conn   *net.TCPConn
	reader *bufio.Reader
}

func (s *server) dial(t *testing.T) *rawConn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil { // a test that hangs says so
		t.Fatal(err)
	}
	return &rawConn{t, conn.(*net.TCPConn), bufio.NewReader(conn)}
}

func (w *rawConn) send(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w.conn, text); err != nil {
		w.t.Fatal(err)
	}
}

// answer reads one answer.
func (w *rawConn) answer() (*http.Response, string) {
	w.t.Helper()
	response, err := http.ReadResponse(w.reader, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response, string(body)
}

// mustBeOver: the server ends the connection, and answers nothing more on it.
func (w *rawConn) mustBeOver() {
	w.t.Helper()
	rest, err := io.ReadAll(w.reader)
	if len(rest) > 0 {
		w.t.Errorf("something else was answered: %.80q", rest)
	}
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		w.t.Error("the connection stays open")
	}
}

const smuggled = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n"

// PRO-32: where a proxy may see another end of the request than we do, nothing
// that follows it is answered, and the connection ends. RFC 9112 §6.1 lets a
// server take the chunked reading of CL.TE, as net/http does, when it closes
// the connection: a difference from PRO-32, which has 400 there.
func TestSmuggledRequestsAreNotAnswered(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	head := func(fields ...string) string {
		return "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n"
	}
	chunk := func(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }
	for rule, c := range map[string]struct {
		request string
		status  int
		code    grants.Code // empty: refused below HTTP's handlers
	}{
		"CL.TE":                          {head("Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n", 400, grants.InvalidRequest},
		"TE.CL":                          {head("Transfer-Encoding: chunked", "Content-Length: 4") + chunk("grant_type=x") + "0\r\n\r\n", 400, grants.UnsupportedGrantType},
		"two lengths":                    {head("Content-Length: 0", "Content-Length: 12") + "grant_type=x", 400, ""},
		"a list of lengths":              {head("Content-Length: 0, 12") + "grant_type=x", 400, ""},
		"a signed length":                {head("Content-Length: +12") + "grant_type=x", 400, ""},
		"a length in hexadecimal":        {head("Content-Length: 0x0c") + "grant_type=x", 400, ""},
		"a space before the colon":       {head("Content-Length : 12") + "grant_type=x", 400, ""},
		"a transfer coding nobody knows": {head("Transfer-Encoding: xchunked") + chunk("grant_type=x") + "0\r\n\r\n", 501, ""},
		"two transfer codings":           {head("Transfer-Encoding: chunked, identity") + chunk("grant_type=x") + "0\r\n\r\n", 501, ""},
		"Transfer-Encoding twice":        {head("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + chunk("grant_type=x") + "0\r\n\r\n", 501, ""},
		"a vertical tab before chunked":  {head("Transfer-Encoding: \vchunked") + chunk("grant_type=x") + "0\r\n\r\n", 400, ""},
		"a bare CR in a header":          {head("X: a\rContent-Length: 12") + "grant_type=x", 400, ""},
		"a NUL in a header":              {head("X: \x00", "Content-Length: 12") + "grant_type=x", 400, ""},
		"a bare LF ends a chunk's size":  {head("Transfer-Encoding: chunked") + "c\ngrant_type=x\r\n0\r\n\r\n", 400, grants.InvalidRequest}, // CVE-2025-22871
		"a chunk's size that overflows":  {head("Transfer-Encoding: chunked") + "10000000000000000c\r\ngrant_type=x\r\n0\r\n\r\n", 400, grants.InvalidRequest},
		"a chunk longer than its size":   {head("Transfer-Encoding: chunked") + "b\r\ngrant_type=x\r\n0\r\n\r\n", 400, grants.InvalidRequest},
		"64 KiB of chunk extensions":     {head("Transfer-Encoding: chunked") + strings.Repeat("1;"+strings.Repeat("x", 2000)+"\r\na\r\n", 64) + "0\r\n\r\n", 400, grants.InvalidRequest}, // CVE-2023-39326
		"no Host":                        {"POST /oauth2/token HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400, ""},
		"two Hosts":                      {head("Host: y", "Content-Length: 0"), 400, ""},
		"HTTP/0.9":                       {"POST /oauth2/token\r\n\r\n", 400, ""},
		"headers of more than 16 KiB":    {head("X: "+strings.Repeat("a", 32<<10), "Content-Length: 12") + "grant_type=x", 431, ""},
	} {
		t.Run(rule, func(t *testing.T) {
			w := s.dial(t)
			w.send(c.request + smuggled)
			response, body := w.answer()
			if response.StatusCode != c.status || !response.Close {
				t.Fatalf("got %d, close %v: %s", response.StatusCode, response.Close, body)
			}
			if c.code != "" && !strings.Contains(body, `"error":"`+string(c.code)+`"`) {
				t.Errorf("got %s, want %s", body, c.code)
			}
			w.mustBeOver()
		})
	}
}

// RFC 9112 §2.2 lets a line end with LF alone, and §5.2 lets obs-fold be a
// space: net/http does so, which is a difference from PRO-32. Neither moves
// the end of a request: the next one is the one that was sent.
func TestLenientLinesDoNotMoveTheEndOfARequest(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	for rule, request := range map[string]string{
		"bare LF":          "POST /oauth2/token HTTP/1.1\nHost: x\nContent-Type: application/x-www-form-urlencoded\nContent-Length: 12\n\ngrant_type=x",
		"obs-fold":         "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nX: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 12\r\n\r\ngrant_type=x",
		"a length, folded": "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length:\r\n 12\r\n\r\ngrant_type=x",
	} {
		t.Run(rule, func(t *testing.T) {
			w := s.dial(t)
			w.send(request + smuggled)
			if response, body := w.answer(); response.StatusCode != 400 || !strings.Contains(body, string(grants.UnsupportedGrantType)) {
				t.Fatalf("got %d %s", response.StatusCode, body)
			}
			if response, body := w.answer(); response.StatusCode != 200 || !strings.HasPrefix(body, `{"keys":`) {
				t.Errorf("the second request: %d %s", response.StatusCode, body)
			}
		})
	}
}

// PRO-07: a body is read up to its limit and no further, whatever its length
// is said to be, and the connection ends.
func TestALargeBodyIsNotRead(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	const tooMuch = grants.MaxBodyBytes + 1
	for rule, c := range map[string]struct{ field, body string }{
		"with its length":    {"Content-Length: 9751756", strings.Repeat("a", tooMuch)},
		"with a false one":   {"Content-Length: 9223372036854775807", strings.Repeat("a", tooMuch)},
		"chunked, in one":    {"Transfer-Encoding: chunked", "94ccc0\r\n" + strings.Repeat("a", tooMuch)},
		"chunked, in chunks": {"Transfer-Encoding: chunked", strings.Repeat("400\r\n"+strings.Repeat("a", 1024)+"\r\n", 64) + "400\r\na"},
	} {
		for _, path := range []string{tokenEndpoint, introspectEndpoint, revokeEndpoint, dialectEndpoint} {
			t.Run(rule+" at "+path, func(t *testing.T) {
				w := s.dial(t)
				// An answer that waits for more comes when reading times out.
				if err := w.conn.SetDeadline(time.Now().Add(readTimeout - time.Second)); err != nil {
					t.Fatal(err)
				}
				w.send("POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n" + c.field + "\r\n\r\n" + c.body)
				// No more is sent: an answer shows that no more was wanted.
				response, body := w.answer()
				if response.StatusCode != http.StatusRequestEntityTooLarge || !response.Close || !strings.HasPrefix(body, `{"error":"invalid_request"`) {
					t.Errorf("got %d, close %v: %s", response.StatusCode, response.Close, body)
				}
				w.mustBeOver()
			})
		}
	}
}

// PRO-07: half a body is no body.
func TestABodyShorterThanItsLength(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	form := url.Values{"grant_type": {grants.ClientCredentials}, "client_id": {testOperator}, "client_secret": {testOperatorSecret}}.Encode()
	w := s.dial(t)
	w.send(fmt.Sprintf("POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", formType, len(form)+1, form))
	if err := w.conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if response, body := w.answer(); response.StatusCode != 400 || !strings.Contains(body, "the body could not be read") {
		t.Errorf("got %d %s", response.StatusCode, body)
	}
	w.mustBeOver()
}

// A chunked body is a body (RFC 9112 §7.1), extensions and all.
func TestAChunkedRequestIsAnswered(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	form := url.Values{"grant_type": {grants.ClientCredentials}, "client_id": {testOperator}, "client_secret": {testOperatorSecret}}.Encode()
	w := s.dial(t)
	w.send("POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n")
	w.send(fmt.Sprintf("%x;name=value\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", 10, form[:10], len(form)-10, form[10:]))
	if response, body := w.answer(); response.StatusCode != 200 || !response.Close {
		t.Errorf("got %d, close %v: %s", response.StatusCode, response.Close, body)
	}
	w.mustBeOver()
}

// PRO-34: a client that lost the answer asks again. That costs one more token,
// and the log holds neither.
func TestARequestIsRepeatedAfterALostAnswer(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	token := acme.idp.token(nil)
	form := exchangeForm(token, "client_id", acme.clientID, "client_secret", acme.secret).Encode()
	w := s.dial(t)
	w.send(fmt.Sprintf("POST /oauth2/token HTTP/1.1\r\nHost: x\r\nX-Request-Id: 1\r\nIdempotency-Key: 1\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", formType, len(form), form))
	if err := w.conn.Close(); err != nil { // without a look at the answer
		t.Fatal(err)
	}
	again := s.do("POST", tokenEndpoint, form, header("Content-Type", formType), header("X-Request-Id", "1"), header("Idempotency-Key", "1")).mustBe(t, 200)
	eventually(t, "the first request ends", func() bool { return strings.Count(s.log.String(), `"grant_type":"`+grants.TokenExchange) == 2 })
	records, err := s.p.store.Exchanges(t.Context(), acme.id, everything(), page(10))
	if err != nil || len(records) > 2 {
		t.Errorf("%d attempts on record: %v", len(records), err)
	}
	s.mustNotLog(token, acme.secret, again.text("access_token"), "eyJ")
}
