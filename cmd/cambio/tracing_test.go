package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// collector is an OpenTelemetry collector. Protobuf holds texts as they are, so
// that they are found in it.
type collector struct {
	mu    sync.Mutex
	spans bytes.Buffer
	url   string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if r.URL.Path == "/v1/traces" {
			_, _ = io.Copy(&c.spans, r.Body)
		}
	}))
	t.Cleanup(s.Close)
	c.url = s.URL
	return c
}

// received ends a server, which sends what is left, and gives all that came.
func (c *collector) received(t *testing.T, s *server) string {
	t.Helper()
	if err := s.p.tracing.close(context.Background()); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spans.String()
}

const (
	foreignTrace  = "0af7651916cd43dd8448eb211c80319c"
	foreignParent = "00-" + foreignTrace + "-b7ad6b7169203331-01"
)

// A span says which route, which grant and what became of it, and nothing of
// who was behind it.
func TestSpansOfRequests(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	t.Setenv("OTEL_SERVICE_NAME", "cambio-of-this-test")
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	subject := acme.idp.token(object{"sub": "planted-subject"})
	issued := acme.exchange(subject).mustBe(t, http.StatusOK)
	refused := acme.exchange(acme.idp.token(object{"aud": "https://elsewhere.example"})).mustBe(t, http.StatusBadRequest)
	s.introspect(issued.text("access_token")).mustBe(t, http.StatusOK)
	s.do("POST", tokenEndpoint+"?planted-query=1", "").mustBe(t, http.StatusBadRequest)
	s.do("GET", "/planted-path", "").mustBe(t, http.StatusNotFound)
	s.do("PLANTED-METHOD", tokenEndpoint, "").mustBe(t, http.StatusMethodNotAllowed)
	s.admin("GET", "/integrators/"+acme.id+"/clients/"+acme.clientID, nil).mustBe(t, http.StatusOK)
	lines := s.log.lines(t, refused.header.Get(requestIDHeader))
	spans := c.received(t, s)
	for _, want := range []string{
		"cambio-of-this-test", "POST /oauth2/token", "POST /oauth2/introspect", grants.TokenExchange, "audience_mismatch", "invalid_request",
		"GET /admin/v1/integrators/{integrator}/clients/{client_id}", acme.id, refused.header.Get(requestIDHeader), "_OTHER",
	} {
		if !strings.Contains(spans, want) {
			t.Errorf("no %s in the spans", want)
		}
	}
	for _, secret := range append(planted(s, acme), subject, issued.text("access_token"), "planted-subject", "planted-query", "planted-path", "PLANTED-METHOD", acme.clientID, "127.0.0.1") {
		if strings.Contains(spans, secret) {
			t.Errorf("%.20s... is in the spans", secret)
		}
	}
	if len(lines) != 1 || len(lines[0]["trace_id"].(string)) != 32 {
		t.Errorf("the log does not name the trace: %v", lines)
	}
}

func planted(s *server, p *party) []string {
	return []string{s.token, p.secret, testOperatorSecret, testSecretKey}
}

// Whose trace a request is part of is believed of trusted proxies only.
func TestWhoseTraceIsTaken(t *testing.T) {
	trace, err := hex.DecodeString(foreignTrace)
	if err != nil {
		t.Fatal(err)
	}
	for trusted, taken := range map[string]bool{"": false, "10.0.0.0/8": false, "127.0.0.0/8": true} {
		c := newCollector(t)
		t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.url+"/v1/traces")
		s := startServer(t, storagetest.SQLite(t), map[string]string{"trusted_proxies": trusted})
		s.post(tokenEndpoint, anonymous, url.Values{}, header("traceparent", foreignParent), header("baggage", "planted=baggage"))
		spans := c.received(t, s)
		if got := strings.Contains(spans, string(trace)); got != taken || !strings.Contains(spans, "POST /oauth2/token") {
			t.Errorf("trusting %q: taken is %v", trusted, got)
		}
		if strings.Contains(spans, "baggage") {
			t.Error("baggage is in the spans")
		}
	}
}

// Without an endpoint nothing stands between the listener and the doors.
func TestTracingIsOffUnlessAskedFor(t *testing.T) {
	for _, environment := range []map[string]string{
		{}, {"OTEL_SERVICE_NAME": "x"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
	} {
		t.Run("", func(t *testing.T) {
			for name, value := range environment {
				t.Setenv(name, value)
			}
			off, err := newTracing(t.Context(), nil, slog.New(slog.DiscardHandler))
			if off != nil || err != nil {
				t.Fatalf("it is on with %v (%v)", environment, err)
			}
			if next := http.NewServeMux(); off.requests(next) != http.Handler(next) {
				t.Error("a wrapper is there")
			}
		})
	}
}

// A wrong value stops the start, and does not say what it is.
func TestWrongTracingVariables(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT":        "user:planted@collector:4318",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "/v1/traces",
		"OTEL_EXPORTER_OTLP_PROTOCOL":        "grpc",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			t.Setenv(name, value)
			_, err := newTracing(t.Context(), nil, slog.New(slog.DiscardHandler))
			if err == nil || !strings.HasPrefix(err.Error(), name+": ") || strings.Contains(err.Error(), "planted") {
				t.Errorf("got %v", err)
			}
		})
	}
}
