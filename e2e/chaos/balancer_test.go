//go:build linux

package chaos

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// connectionFailed marks an answer of the balancer to a request that a replica
// took and did not answer: a client would have seen its connection break.
const connectionFailed = "X-Connection-Failed"

// balancer hands requests to the replicas in turn. It asks each for /readyz and
// leaves out those that are not ready, unless none is. A request is tried again
// elsewhere only if the connection was refused before a byte was sent.
type balancer struct {
	backends []*backend
	turn     atomic.Uint64
	server   *httptest.Server
	done     chan struct{}
}

type backend struct {
	replica   *replica
	transport *http.Transport
	out       atomic.Bool
}

const (
	checkInterval = 100 * time.Millisecond
	checkTimeout  = 500 * time.Millisecond
)

func newBalancer(t *testing.T, replicas []*replica) *balancer {
	b := &balancer{done: make(chan struct{})}
	for _, r := range replicas {
		b.backends = append(b.backends, &backend{replica: r, transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second}})
	}
	for _, backend := range b.backends {
		go b.watch(backend)
	}
	b.server = httptest.NewServer(b)
	t.Cleanup(func() {
		close(b.done)
		b.server.CloseClientConnections()
		b.server.Close()
	})
	return b
}

func (b *balancer) watch(backend *backend) {
	for {
		select {
		case <-b.done:
			backend.transport.CloseIdleConnections()
			return
		case <-time.After(checkInterval):
			backend.out.Store(!backend.replica.ready(checkTimeout))
		}
	}
}

// order gives the backends to try, those in rotation first.
func (b *balancer) order() []*backend {
	var in, out []*backend
	start := int(b.turn.Add(1))
	for i := range b.backends {
		backend := b.backends[(start+i)%len(b.backends)]
		if backend.out.Load() {
			out = append(out, backend)
		} else {
			in = append(in, backend)
		}
	}
	return append(in, out...)
}

// ServeHTTP implements http.Handler.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	for _, backend := range b.order() {
		response, err := backend.send(r, body)
		if errors.Is(err, syscall.ECONNREFUSED) {
			backend.out.Store(true)
			continue
		}
		if err != nil {
			break
		}
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		if err != nil {
			break
		}
		for name, values := range response.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(response.StatusCode)
		_, _ = w.Write(data)
		return
	}
	w.Header().Set(connectionFailed, "1")
	w.WriteHeader(http.StatusBadGateway)
}

func (b *backend) send(r *http.Request, body []byte) (*http.Response, error) {
	// No GetBody: net/http would send it again by itself.
	request, err := http.NewRequestWithContext(r.Context(), r.Method, b.replica.url()+r.URL.RequestURI(), io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return nil, err
	}
	request.ContentLength = int64(len(body))
	request.Header = r.Header.Clone()
	return b.transport.RoundTrip(request)
}
