package remote

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// FetchTimeout bounds one fetch: name resolution, connection, TLS and body.
const FetchTimeout = 5 * time.Second

const (
	connectTimeout = 2 * time.Second      // for each address
	maxHeaderBytes = 32 << 10             // of the head, and of those of 1xx answers before it (RFC 9110 §15.2)
	maxRawBytes    = 8 * MaxDocumentBytes // of a body that comes in chunks of one byte
	maxRetryAfter  = 10 * time.Minute
)

// Words of FetchError. There are few of them, so that whoever registers a key
// URL cannot use the answers to explore a network.
const (
	WordAddress     = "address_not_allowed"
	WordUnreachable = "unreachable"
	WordTimeout     = "timeout"
	WordTLS         = "tls"
	WordRedirect    = "redirect"
	WordStatus      = "status"
	WordTooLarge    = "too_large"
	WordEncoding    = "encoding"
	WordContent     = "content"
)

// FetchError says in one word why keys could not be fetched. Its text is fit
// for strangers; what it wraps is for the log only.
type FetchError struct {
	Word string // one of the Word constants

	cause      error         // never holds bytes of the document
	retryAfter time.Duration // as asked for by the server; 0 when it did not ask
}

// Error implements error.
func (e *FetchError) Error() string { return "the keys cannot be fetched: " + e.Word }

// Unwrap gives the cause, which may name addresses.
func (e *FetchError) Unwrap() error { return e.cause }

func failed(word string, cause error) *FetchError { return &FetchError{Word: word, cause: cause} }

// fetcher makes bounded, guarded GET requests.
type fetcher struct {
	guard   *guard
	roots   *x509.CertPool
	timeout time.Duration
	dial    func(ctx context.Context, to netip.AddrPort, plain bool) (net.Conn, error)
}

func newFetcher(config Config) *fetcher {
	f := &fetcher{guard: newGuard(config), roots: config.RootCAs, timeout: FetchTimeout}
	f.dial = func(ctx context.Context, to netip.AddrPort, plain bool) (net.Conn, error) {
		dialer := &net.Dialer{Timeout: connectTimeout, Control: f.guard.control(plain)}
		return dialer.DialContext(ctx, "tcp", to.String())
	}
	return f
}

// get fetches one document. Every error is a *FetchError.
func (f *fetcher) get(ctx context.Context, raw string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	// Again, although registration did: rules and rows may have changed since.
	t, err := f.guard.check(raw)
	if err != nil {
		return nil, failed(WordAddress, err)
	}
	conn, err := f.connect(ctx, t)
	if err != nil {
		return nil, classify(ctx, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	response, err := roundTrip(ctx, conn, raw)
	if err != nil {
		return nil, classify(ctx, err)
	}
	data, err := read(response) // closing its body would read it to its end
	if err != nil {
		return nil, classify(ctx, err)
	}
	return data, nil
}

// connect resolves the name once and dials those very addresses.
func (f *fetcher) connect(ctx context.Context, t *target) (net.Conn, error) {
	addresses, err := f.guard.resolve(ctx, t)
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	for _, address := range addresses {
		if conn, err = f.dial(ctx, address, t.plain); err == nil {
			break
		}
	}
	if err != nil || t.plain {
		return conn, err
	}
	secure := tls.Client(conn, &tls.Config{ServerName: t.host, RootCAs: f.roots, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, failed(WordTLS, err)
	}
	return secure, nil
}

// roundTrip asks and reads the head of the answer. By hand, because
// http.Transport dials without the deadline of the request and writes into the
// log what a server sends unasked; and a Client would follow redirects.
func roundTrip(ctx context.Context, conn net.Conn, raw string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, raw, nil)
	if err != nil {
		return nil, err
	}
	request.Close = true
	request.Header.Set("Accept", "application/jwk-set+json, application/json, application/x-pem-file, */*;q=0.5")
	request.Header.Set("Accept-Encoding", "identity")
	request.Header.Set("User-Agent", "cambio")
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: conn, N: maxHeaderBytes}
	reader := bufio.NewReader(limited)
	response, err := http.ReadResponse(reader, request)
	for err == nil && response.StatusCode < 200 {
		response, err = http.ReadResponse(reader, request)
	}
	limited.N = maxRawBytes
	return response, err
}

// read takes the body of an answer that is what was asked for.
func read(response *http.Response) ([]byte, error) {
	switch code := response.StatusCode; {
	case code == 301 || code == 302 || code == 303 || code == 307 || code == 308: // CVE-2026-49478
		return nil, failed(WordRedirect, nil)
	case code != http.StatusOK:
		err := failed(WordStatus, errors.New("status "+strconv.Itoa(code)))
		if code == http.StatusTooManyRequests {
			err.retryAfter = retryAfter(response.Header.Get("Retry-After"))
		}
		return nil, err
	}
	for _, encoding := range response.Header.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return nil, failed(WordEncoding, nil)
		}
	}
	if !mayHoldKeys(response.Header.Get("Content-Type")) {
		return nil, failed(WordContent, errors.New("a media type that holds no keys"))
	}
	if response.ContentLength > MaxDocumentBytes {
		return nil, failed(WordTooLarge, nil)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, MaxDocumentBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxDocumentBytes {
		return nil, failed(WordTooLarge, nil)
	}
	return data, nil
}

// mayHoldKeys refuses pages, pictures and forms: a host where strangers upload
// files is no key URL. Other types are judged by their content.
func mayHoldKeys(contentType string) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	kind, _, _ := strings.Cut(media, "/")
	switch kind {
	case "image", "audio", "video", "multipart":
		return false
	}
	return media != "text/html"
}

// retryAfter reads delay-seconds (RFC 9110 §10.2.3), within reason.
func retryAfter(header string) time.Duration {
	seconds, err := strconv.ParseUint(header, 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

// classify gives every failure its word. Errors of net/http quote the answer,
// so their text goes no further.
func classify(ctx context.Context, err error) *FetchError {
	var known *FetchError
	isKnown := errors.As(err, &known)
	var network *net.OpError
	isNetwork := errors.As(err, &network)
	var timeout interface{ Timeout() bool }
	var dns *net.DNSError
	switch {
	case errors.Is(err, errNotAllowed):
		return failed(WordAddress, errNotAllowed)
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return failed(WordTimeout, context.Cause(ctx))
	case isKnown:
		return known
	case isNetwork && network.Op == "remote error": // an alert after the handshake
		return failed(WordTLS, err)
	case isNetwork, errors.As(err, &dns):
		return failed(WordUnreachable, err)
	}
	return failed(WordUnreachable, errors.New("no well-formed HTTP answer"))
}
