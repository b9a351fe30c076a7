package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cambio-oauth/cambio/handlers"
	"github.com/cambio-oauth/cambio/registry"
)

// metrics are of bounded labels only: nothing a caller sends becomes one.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// newMetrics makes the metrics; keyURLs counts the key URLs in use by state,
// dropped the attempts without a record by cause; ready is asked at every scrape.
func newMetrics(keyURLs func() map[string]int, dropped func() map[string]int64, ready func() bool) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cambio_requests_total", Help: "Finished requests of the OAuth endpoints.",
		}, []string{"endpoint", "grant_type", "status", "error", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cambio_request_duration_seconds", Help: "Duration of requests of the OAuth endpoints.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"endpoint"}),
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "cambio_build_info", Help: "Always 1."}, []string{"version"})
	build.WithLabelValues(buildVersion()).Set(1)
	m.registry.MustRegister(m.requests, m.duration, build, keyURLStates(keyURLs), droppedRecords(dropped), readiness(ready),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// watchConfiguration adds how many objects cannot be read.
func (m *metrics) watchConfiguration(snapshot func() (*registry.Snapshot, error)) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cambio_unreadable_objects", Help: "Clients and key URLs whose rows hold what no version of this program wrote; whoever needs one is answered 503.",
	}, func() float64 {
		s, err := snapshot()
		if err != nil {
			return 0
		}
		return float64(s.Unreadable())
	}))
}

// watchLoad adds how many requests are worked on, and turned away.
func (m *metrics) watchLoad(load func() (atOnce, most int, turnedAway int64)) {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	m.registry.MustRegister(
		gauge("cambio_requests_in_flight", "Requests of the OAuth endpoints that have been read and not answered.", func() float64 { n, _, _ := load(); return float64(n) }),
		gauge("cambio_requests_in_flight_limit", "How many can be at once; others are turned away with 503.", func() float64 { _, n, _ := load(); return float64(n) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "cambio_requests_turned_away_total", Help: "Requests that would have been too many at once."},
			func() float64 { _, _, n := load(); return float64(n) }),
	)
}

// counts is a collector that counts once a scrape, by one label.
type counts[N int | int64] struct {
	description *prometheus.Desc
	kind        prometheus.ValueType
	count       func() map[string]N
}

func keyURLStates(count func() map[string]int) counts[int] {
	return counts[int]{prometheus.NewDesc("cambio_key_urls",
		"Key URLs that somebody asked for within a day, by the state of their keys on this replica.", []string{"state"}, nil), prometheus.GaugeValue, count}
}

func readiness(ready func() bool) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cambio_ready", Help: "1 when /readyz would say ok, else 0."}, func() float64 {
		if ready() {
			return 1
		}
		return 0
	})
}

func droppedRecords(count func() map[string]int64) counts[int64] {
	return counts[int64]{prometheus.NewDesc("cambio_exchange_records_dropped_total",
		"Attempts to get a token of which no record was kept: refused ones past their integrator's quota, and those that the log could not take or write.", []string{"cause"}, nil), prometheus.CounterValue, count}
}

// Describe implements prometheus.Collector.
func (c counts[N]) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- c.description }

// Collect implements prometheus.Collector.
func (c counts[N]) Collect(collected chan<- prometheus.Metric) {
	for label, n := range c.count() {
		collected <- prometheus.MustNewConstMetric(c.description, c.kind, float64(n), label)
	}
}

func (m *metrics) observe(e handlers.Event) {
	m.requests.WithLabelValues(e.Endpoint, e.Grant, strconv.Itoa(e.Status), string(e.Code), string(e.Reason)).Inc()
	m.duration.WithLabelValues(e.Endpoint).Observe(e.Duration.Seconds())
}

// tellOfCrowds logs how many requests were turned away since it was last called:
// they have no line of their own.
func (p *program) tellOfCrowds() func(context.Context) error {
	told := int64(0)
	return func(ctx context.Context) error {
		atOnce, most, turnedAway := p.load()
		if turnedAway > told {
			p.log.WarnContext(ctx, "too many requests at once: some were turned away", "count", turnedAway-told, "in_flight", atOnce, "limit", most)
			told = turnedAway
		}
		return nil
	}
}

// opsHandler is for the operator's network only: the public listener has none
// of it.
func (p *program) opsHandler() http.Handler {
	routes := http.NewServeMux()
	routes.Handle("GET /metrics", promhttp.HandlerFor(p.metrics.registry, promhttp.HandlerOpts{}))
	routes.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	routes.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		note, err := p.ready(r.Context())
		if lack := (*unready)(nil); errors.As(err, &lack) {
			p.log.WarnContext(r.Context(), "not ready", "lack", lack.what, "error", lack.cause)
			http.Error(w, lack.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok" + note + "\n"))
	})
	return routes
}

// unready is why a replica should be asked nothing. What is said aloud; the
// cause stays in the log.
type unready struct {
	what  string
	cause error
}

func (u *unready) Error() string { return "not ready: " + u.what }

// ready: nobody has asked us to stop, the database answers and has the schema
// that this program needs, and there is a key to sign with. Other people's key
// URLs are not our readiness. A schema that is further than the program is
// noted only: migrations leave the release before them working, and while a
// fleet is upgraded all but the first replica are older than the schema.
func (p *program) ready(ctx context.Context) (note string, err error) {
	select {
	case <-p.draining:
		return "", &unready{what: "shutting down"}
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := p.store.Ping(ctx); err != nil {
		return "", &unready{"database", err}
	}
	if _, err := p.directory.Snapshot(); err != nil {
		return "", &unready{"database", err}
	}
	applied, known, err := p.store.SchemaVersions(ctx)
	switch {
	case ctx.Err() != nil:
		return "", &unready{"database", err}
	case err != nil:
		return "", &unready{"schema", err}
	case applied < known:
		return "", &unready{"schema", fmt.Errorf("the database is at version %d, this program needs %d", applied, known)}
	case applied > known:
		note = fmt.Sprintf(", the schema is newer than this program (%d, %d)", applied, known)
	}
	if !p.ring.Ready() {
		return "", &unready{what: "signing key"}
	}
	return note, nil
}
