package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// FetchTimeout bounds one fetch: name resolution, connection, TLS and body.
const FetchTimeout = 5 * time.Second

const (
	connectTimeout = 2 * time.Second // for each address
	maxDials       = 8               // one answer of the DNS can name thousands of other people's hosts
	maxHeaderBytes = 32 << 10
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
	guard     *guard
	roots     *x509.CertPool
	timeout   time.Duration
	dial      func(ctx context.Context, to netip.AddrPort, plain bool) (net.Conn, error)
	transport *http.Transport
}

func newFetcher(config Config) *fetcher {
	f := &fetcher{guard: newGuard(config), roots: config.RootCAs, timeout: FetchTimeout}
	f.dial = func(ctx context.Context, to netip.AddrPort, plain bool) (net.Conn, error) {
		dialer := &net.Dialer{Timeout: connectTimeout, Control: f.guard.control(plain)}
		return dialer.DialContext(ctx, "tcp", to.String())
	}
	f.transport = &http.Transport{
		Proxy:                  nil, // a proxy of the environment would dial for us, past the guard
		DialContext:            f.connect,
		DialTLSContext:         f.connectTLS,
		DisableKeepAlives:      true, // the next fetch is minutes away and may be of another address
		DisableCompression:     true, // 256 KiB can hold a gigabyte
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	return f
}

// get fetches one document. Every error is a *FetchError.
func (f *fetcher) get(ctx context.Context, raw string) (*served, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	ctx = context.WithValue(ctx, fetchKey{}, ctx)
	// Again, although registration did: rules and rows may have changed since.
	if _, err := f.guard.check(raw); err != nil {
		return nil, failed(WordAddress, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, raw, nil)
	if err != nil {
		return nil, classify(ctx, err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json, application/x-pem-file, */*;q=0.5")
	request.Header.Set("Accept-Encoding", "identity")
	request.Header.Set("User-Agent", "cambio")
	response, err := f.transport.RoundTrip(request) // a Client would follow redirects
	if err != nil {
		return nil, classify(ctx, err)
	}
	defer response.Body.Close()
	data, err := read(response)
	if err != nil {
		return nil, classify(ctx, err)
	}
	return &served{data, response.Header.Values("Cache-Control")}, nil
}

// fetchKey finds the context of a fetch in those that the transport dials with.
// It detaches them, so that a dial may outlive its request; ours must not.
type fetchKey struct{}

func fetchContext(ctx context.Context) context.Context {
	if fetch, ok := ctx.Value(fetchKey{}).(context.Context); ok {
		return fetch
	}
	return ctx
}

// connect resolves the name once and dials those very addresses.
func (f *fetcher) connect(ctx context.Context, _, address string) (net.Conn, error) {
	conn, err := f.dialTarget(fetchContext(ctx), address, true)
	if err != nil {
		return nil, err
	}
	return newAskedConn(conn), nil
}

func (f *fetcher) connectTLS(ctx context.Context, _, address string) (net.Conn, error) {
	ctx = fetchContext(ctx)
	conn, err := f.dialTarget(ctx, address, false)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(conn, &tls.Config{ServerName: host, RootCAs: f.roots, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		if ctx.Err() != nil {
			return nil, failed(WordTimeout, err)
		}
		return nil, failed(WordTLS, err)
	}
	return newAskedConn(secure), nil
}

// askedConn hears nothing before it has asked: what a server says unasked,
// net/http prints to the standard error of the process.
type askedConn struct {
	net.Conn
	ask   sync.Once
	asked chan struct{}
}

func newAskedConn(conn net.Conn) *askedConn {
	return &askedConn{Conn: conn, asked: make(chan struct{})}
}

func (c *askedConn) Read(p []byte) (int, error) {
	<-c.asked
	return c.Conn.Read(p)
}

func (c *askedConn) Write(p []byte) (int, error) {
	c.ask.Do(func() { close(c.asked) })
	return c.Conn.Write(p)
}

func (c *askedConn) Close() error {
	c.ask.Do(func() { close(c.asked) })
	return c.Conn.Close()
}

func (f *fetcher) dialTarget(ctx context.Context, address string, plain bool) (net.Conn, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, err
	}
	addresses, err := f.guard.resolve(ctx, &target{host: host, port: uint16(port), plain: plain})
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	for _, address := range addresses[:min(len(addresses), maxDials)] {
		if conn, err = f.dial(ctx, address, plain); err == nil {
			// TLS would wait up to 5 s more for a peer that takes no farewell.
			context.AfterFunc(ctx, func() { conn.Close() })
			return conn, nil
		}
	}
	return nil, err
}

// read takes the body of an answer that is what was asked for.
func read(response *http.Response) ([]byte, error) {
	switch code := response.StatusCode; {
	case code == 301 || code == 302 || code == 303 || code == 307 || code == 308: // CVE-2026-49478
		return nil, failed(WordRedirect, nil)
	case code != http.StatusOK:
		err := failed(WordStatus, errors.New("status "+strconv.Itoa(code)))
		if code == http.StatusTooManyRequests {
			err.retryAfter = retryAfter(response.Header)
		}
		return nil, err
	}
	for _, encoding := range response.Header.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return nil, failed(WordEncoding, nil)
		}
	}
	if !mayHoldKeys(response.Header.Values("Content-Type")) {
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

// mayHoldKeys refuses pages, pictures and forms, however carelessly labelled: a
// host where strangers upload files is no key URL. Other types are judged by
// their content.
func mayHoldKeys(contentTypes []string) bool {
	for _, contentType := range contentTypes {
		contentType = strings.ToLower(contentType)
		for _, refused := range []string{"image/", "audio/", "video/", "multipart/", "text/html"} {
			if strings.HasPrefix(contentType, refused) {
				return false
			}
		}
	}
	return true
}

// retryAfter reads both forms of Retry-After (RFC 9110 §10.2.3), within reason.
// A date is compared with the server's own clock.
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	seconds, err := strconv.ParseUint(value, 10, 31)
	if err == nil || errors.Is(err, strconv.ErrRange) { // 31 bits of seconds fit a Duration
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	until, untilErr := http.ParseTime(value)
	now, nowErr := http.ParseTime(header.Get("Date"))
	if untilErr != nil || nowErr != nil {
		return 0
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
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
