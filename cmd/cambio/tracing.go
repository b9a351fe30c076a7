package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"github.com/gorilla/mux"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/cambio-oauth/cambio/handlers"
)

// tracing makes a span of every request. A nil one does nothing.
type tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	trusted  []netip.Prefix
}

// newTracing reads OpenTelemetry's own variables, and gives nil unless one of
// them names where to send the spans.
func newTracing(ctx context.Context, trusted []netip.Prefix, log *slog.Logger) (*tracing, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return nil, nil
	}
	wanted := false
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		endpoint := os.Getenv(name)
		if u, err := url.Parse(endpoint); endpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			return nil, fmt.Errorf("%s: want a URL such as http://collector:4318", name) // without the value: it can hold a password
		}
		wanted = wanted || endpoint != ""
	}
	if !wanted {
		return nil, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"} {
		if protocol := os.Getenv(name); protocol != "" && protocol != "http/protobuf" {
			return nil, fmt.Errorf("%s: want http/protobuf, found %q", name, protocol)
		}
	}
	otel.SetLogger(logr.Discard()) // it would log variables that it cannot read, headers with secrets for one
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	// What the environment says of the service stands over what we say.
	described, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "cambio"), attribute.String("service.version", buildVersion())), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces cannot be sent", "error", err) }))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(described))
	return &tracing{provider, provider.Tracer("github.com/cambio-oauth/cambio"), trusted}, nil
}

type spanKey struct{}

// spanOf gives the span of a request, or nil. It is not under OpenTelemetry's
// own key: fosite would make spans below it, with the texts of errors in them.
func spanOf(ctx context.Context) trace.Span {
	span, _ := ctx.Value(spanKey{}).(trace.Span)
	return span
}

// requests makes a span of every request. Whose trace it is part of is believed
// of trusted proxies only: strangers could write into other people's.
func (t *tracing) requests(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, parent := r.Context(), context.Background()
		if handlers.FromProxy(r, t.trusted) {
			parent = propagation.TraceContext{}.Extract(parent, propagation.HeaderCarrier(r.Header))
		}
		method := knownMethod(r.Method)
		_, span := t.tracer.Start(parent, method, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("http.request.method", method), attribute.String("cambio.request_id", w.Header().Get(requestIDHeader))))
		answered := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			span.SetAttributes(attribute.Int("http.response.status_code", answered.status))
			if answered.status >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, "")
			}
			span.End()
		}()
		next.ServeHTTP(answered, r.WithContext(context.WithValue(ctx, spanKey{}, span)))
	})
}

// routes names the spans of a router by the route, never by the path: ids and
// whatever strangers write stand in that.
func (t *tracing) routes(router *mux.Router) {
	if t == nil {
		return
	}
	router.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if span, route := spanOf(r.Context()), mux.CurrentRoute(r); span != nil && route != nil {
				if template, err := route.GetPathTemplate(); err == nil {
					span.SetName(knownMethod(r.Method) + " " + template)
					span.SetAttributes(attribute.String("http.route", template))
				}
			}
			next.ServeHTTP(w, r)
		})
	})
}

// observe adds what became of a request at the OAuth endpoints.
func (t *tracing) observe(ctx context.Context, e handlers.Event) {
	span := spanOf(ctx)
	if t == nil || span == nil {
		return
	}
	for _, a := range []struct{ key, value string }{
		{"cambio.grant_type", e.Grant}, {"cambio.integrator_id", e.IntegratorID},
		{"error.type", string(e.Code)}, {"cambio.reason", string(e.Reason)},
	} {
		if a.value != "" {
			span.SetAttributes(attribute.String(a.key, a.value))
		}
	}
}

// close sends what is left.
func (t *tracing) close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// knownMethod keeps to the methods that there are: one that a stranger made up
// is none of ours to spread.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "_OTHER"
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
