package oidc

import (
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// Bounds of what a provider may do to us.
const (
	timeout        = 10 * time.Second // for all of one step, so that its page is out before the connection's end
	maxAnswerBytes = 1 << 20
	maxHeaderBytes = 64 << 10
	maxRedirects   = 3
)

// newClient makes the client by which the provider is asked. Connections are
// not kept: people sign in seldom.
func newClient() *http.Client {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeaderBytes,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: timeout,
	}
	return &http.Client{Transport: boundedTransport{transport}, Timeout: timeout, CheckRedirect: sameHost}
}

// sameHost: a redirect elsewhere would take the code and the secret along.
func sameHost(to *http.Request, via []*http.Request) error {
	from := via[0].URL
	if len(via) > maxRedirects || to.URL.Scheme != from.Scheme || to.URL.Host != from.Host {
		return errors.New("the provider redirects to another host, or too often")
	}
	return nil
}

// boundedTransport gives answers that end with an error after 1 MiB.
type boundedTransport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = http.MaxBytesReader(nil, answer.Body, maxAnswerBytes)
	return answer, nil
}

// bounded shortens an error: the library quotes answers as a whole.
func bounded(err error) error { return errors.New(shown(err.Error(), 300)) }

// shown makes text of strangers fit to be shown and logged: one line, cut, and
// nothing that turns what stands beside it around.
func shown(text string, most int) string {
	clean := []rune(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsGraphic(r), unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "")))
	if len(clean) > most {
		return string(clean[:most-1]) + "…"
	}
	return string(clean)
}
