package remote

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// chain makes a certificate for *.test hosts, valid around now, by an authority
// that may speak only for the given domains; nil means for all.
func chain(now time.Time, domains ...string) (leaf tls.Certificate, root *x509.Certificate) {
	authority, key := ecKey(elliptic.P256()), ecKey(elliptic.P256())
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		PermittedDNSDomains: domains, PermittedDNSDomainsCritical: domains != nil,
	}
	root = sign(ca, ca, authority, authority)
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "idp.test"}, DNSNames: []string{"idp.test"},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Minute),
	}
	return tls.Certificate{Certificate: [][]byte{sign(server, root, key, authority).Raw}, PrivateKey: key}, root
}

func sign(template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by))))
}

// serveTLS runs a key URL on loopback and gives its port.
func serveTLS(t *testing.T, config *tls.Config, handler http.HandlerFunc, http2 bool) (server *httptest.Server, port string) {
	t.Helper()
	server = httptest.NewUnstartedServer(handler)
	server.TLS, server.EnableHTTP2 = config, http2
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	return server, must(port, err)
}

// SSRF-13, SSRF-15. No setting skips verification: Config has none.
func TestTLS(t *testing.T) {
	now := time.Now()
	good, root := chain(now)
	expired, expiredRoot := chain(now.Add(-10 * time.Minute))
	future, futureRoot := chain(now.Add(10 * time.Minute))
	within, withinRoot := chain(now, "test")
	outside, outsideRoot := chain(now, "example.com")
	with := func(cert tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }
	old := func(low, high uint16) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{good}, MinVersion: low, MaxVersion: high}
	}
	suite := func(id uint16) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{id}}
	}
	clientCert := with(good)
	clientCert.ClientAuth = tls.RequireAnyClientCert
	for _, c := range []struct {
		rule   string
		config *tls.Config
		root   *x509.Certificate
		host   string
		word   string
	}{
		{"a certificate that is trusted", with(good), root, "idp.test", ""},
		{"the name in capitals", with(good), root, "IDP.Test", ""},
		{"the name with a final dot", with(good), root, "idp.test.", ""},
		{"an authority for this domain", with(within), withinRoot, "idp.test", ""},
		{"TLS 1.2", old(tls.VersionTLS10, tls.VersionTLS12), root, "idp.test", ""},
		{"an authority for another domain", with(outside), outsideRoot, "idp.test", WordTLS},
		{"an authority that nobody knows", with(good), futureRoot, "idp.test", WordTLS},
		{"a certificate signed by itself", &tls.Config{}, root, "example.com", WordTLS},
		{"a certificate for another name", with(good), root, "other.test", WordTLS},
		{"a certificate for a name, not for the address", with(good), root, "127.0.0.1", WordTLS},
		{"an expired certificate", with(expired), expiredRoot, "idp.test", WordTLS},
		{"a certificate of the future", with(future), futureRoot, "idp.test", WordTLS},
		{"TLS 1.0", old(tls.VersionTLS10, tls.VersionTLS10), root, "idp.test", WordTLS},
		{"TLS 1.1", old(tls.VersionTLS10, tls.VersionTLS11), root, "idp.test", WordTLS},
		{"RC4", suite(tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA), root, "idp.test", WordTLS},
		{"a server that wants a client certificate", clientCert, root, "idp.test", WordTLS},
	} {
		t.Run(c.rule, func(t *testing.T) {
			_, port := serveTLS(t, c.config, write(named("a")), false)
			config := Config{Allow: loopback, LookupNetIP: answer("127.0.0.1"), RootCAs: x509.NewCertPool()}
			config.RootCAs.AddCert(c.root)
			keys, err := newSource(t, config).Find(t.Context(), query("https://"+c.host+":"+port+"/keys", "a"))
			if c.word != "" {
				wantWord(t, err, c.word)
			} else if err != nil || len(keys) != 1 {
				t.Error(err)
			}
		})
	}
}

// SSRF-15.
func TestTLSOfAnAddress(t *testing.T) {
	server, _ := serveTLS(t, nil, write(named("a")), false)
	config := Config{Allow: loopback, RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(server.Certificate())
	if _, err := newSource(t, config).Find(t.Context(), query(server.URL, "a")); err != nil {
		t.Error(err)
	}
}

// SSRF-15.
func TestAServerWithoutTLS(t *testing.T) {
	url := strings.Replace(serve(t, write(named("a"))), "http", "https", 1)
	_, err := newSource(t, Config{Allow: loopback}).Find(t.Context(), query(url, "a"))
	wantWord(t, err, WordTLS)
}

// HTTP/2 has limits of its own, which are not ours: it is never negotiated.
func TestHTTP2IsNotSpoken(t *testing.T) {
	cert, root := chain(time.Now())
	for rule, protocols := range map[string][]string{"offered first": {"h2", "http/1.1"}, "offered alone": {"h2"}} {
		t.Run(rule, func(t *testing.T) {
			spoken := make(chan string, 1)
			_, port := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: protocols}, func(w http.ResponseWriter, r *http.Request) {
				spoken <- r.Proto + " " + r.TLS.NegotiatedProtocol
				w.Write(named("a"))
			}, true)
			config := Config{Allow: loopback, LookupNetIP: answer("127.0.0.1"), RootCAs: x509.NewCertPool()}
			config.RootCAs.AddCert(root)
			must(newSource(t, config).Find(t.Context(), query("https://idp.test:"+port+"/keys", "a")))
			if got := <-spoken; got != "HTTP/1.1 " {
				t.Errorf("spoke %s", got)
			}
		})
	}
}

// KEY-03. A TLS connection says good-bye before it closes.
func TestAPeerThatReadsNothingCostsFiveSeconds(t *testing.T) {
	against(t, nil, func(t *testing.T, h *hostile) {
		cert, root := chain(time.Now())
		h.fetcher.roots = x509.NewCertPool()
		h.fetcher.roots.AddCert(root)
		h.play(func(conn net.Conn) {
			secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}})
			if secure.Handshake() == nil {
				drip(statusLine+"\r\n", strings.Repeat("a", 100))(secure)
			}
		})
		start := time.Now()
		_, err := h.Find(t.Context(), query(secureURL, ""))
		wantWord(t, err, WordTimeout)
		if waited := time.Since(start); waited != FetchTimeout {
			t.Errorf("it took %s", waited)
		}
	})
}

// buffered takes what the peer sends at once, as a kernel does.
type buffered struct {
	net.Conn
	pages chan []byte
	page  []byte
}

func newBuffered(conn net.Conn) *buffered {
	b := &buffered{Conn: conn, pages: make(chan []byte, 64)}
	go func() {
		defer close(b.pages)
		for {
			page := make([]byte, 4096)
			n, err := conn.Read(page)
			if err != nil {
				return
			}
			b.pages <- page[:n]
		}
	}()
	return b
}

func (b *buffered) Read(p []byte) (int, error) {
	if len(b.page) == 0 {
		page, open := <-b.pages
		if !open {
			return 0, io.EOF
		}
		b.page = page
	}
	n := copy(p, b.page)
	b.page = b.page[n:]
	return n, nil
}

// KEY-01, KEY-03: encryption changes no limit.
func TestAttacksInsideTLS(t *testing.T) {
	for _, a := range []attack{
		{"silence after the handshake", silence, WordTimeout, FetchTimeout, 0},
		{"silence in the body", reply(statusLine + "Content-Length: 100\r\n\r\n{"), WordTimeout, FetchTimeout, 0},
		{"one byte a second in the body", drip(statusLine+"\r\n", strings.Repeat("a", 100)), WordTimeout, FetchTimeout, 0},
		{"a body without end", endlessly(statusLine+"\r\n", strings.Repeat("a", 4096)), WordTooLarge, 0, 0},
		{"1xx without end", endlessly("", "HTTP/1.1 103 Early Hints\r\n\r\n"), WordUnreachable, 0, 0},
	} {
		t.Run(a.rule, func(t *testing.T) {
			against(t, nil, func(t *testing.T, h *hostile) {
				cert, root := chain(time.Now()) // whose validity is of the bubble
				h.fetcher.roots = x509.NewCertPool()
				h.fetcher.roots.AddCert(root)
				h.play(func(conn net.Conn) {
					secure := tls.Server(newBuffered(conn), &tls.Config{Certificates: []tls.Certificate{cert}})
					if secure.Handshake() == nil {
						a.script(secure)
					}
				})
				start := time.Now()
				_, err := h.Find(t.Context(), query(secureURL, ""))
				wantWord(t, err, a.word)
				if waited := time.Since(start); waited != a.waits {
					t.Errorf("it took %s, want %s", waited, a.waits)
				}
				const records = 64 << 10 // of TLS, read ahead and around the data
				if n := h.read.Load(); n > wireBytes+records {
					t.Errorf("%d bytes were read", n)
				}
			})
		})
	}
}
