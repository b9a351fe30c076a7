package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"github.com/cambio-oauth/cambio/handlers"
)

const (
	requestIDHeader   = "X-Request-Id"
	maxRequestIDBytes = 64
)

type requestIDKey struct{}

// identified gives every request an id, which its answer carries and every line
// that is logged for it. One that comes along is taken from trusted proxies
// only: a stranger could choose another's, and hide among his lines.
func identified(trusted []netip.Prefix, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := newRequestID()
		if brought := r.Header.Values(requestIDHeader); len(brought) == 1 && validRequestID(brought[0]) && handlers.FromProxy(r, trusted) {
			id = brought[0]
		}
		w.Header().Set(requestIDHeader, id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

func newRequestID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(id[:])
}

func validRequestID(id string) bool {
	return id != "" && len(id) <= maxRequestIDBytes && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// requestLog adds the id of the request in the context to every line.
type requestLog struct{ slog.Handler }

// Handle implements slog.Handler.
func (l requestLog) Handle(ctx context.Context, record slog.Record) error {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		record = record.Clone()
		record.AddAttrs(slog.String("request_id", id))
	}
	if span := spanOf(ctx); span != nil {
		record.AddAttrs(slog.String("trace_id", span.SpanContext().TraceID().String()))
	}
	return l.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (l requestLog) WithAttrs(attributes []slog.Attr) slog.Handler {
	return requestLog{l.Handler.WithAttrs(attributes)}
}

// WithGroup implements slog.Handler.
func (l requestLog) WithGroup(name string) slog.Handler { return requestLog{l.Handler.WithGroup(name)} }
