package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// gauge reads a metric without labels.
func (s *server) gauge(name string) float64 {
	s.t.Helper()
	families, err := s.p.metrics.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			metric := family.GetMetric()[0]
			return metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	s.t.Fatalf("no metric %s", name)
	return 0
}

// DOS-10: as many as can be worked on are; one more is told to come again, at
// once; and whoever sends a request slowly takes nobody's place.
func TestTooManyAtOnce(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	released := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-released
		acme.idp.serve(w, r)
	}))
	defer hanging.Close()
	release := sync.OnceFunc(func() { close(released) })
	defer release()
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"url": hanging.URL + "/jwks.json"}).mustBe(t, http.StatusOK)

	slow, err := net.Dial("tcp", s.p.public.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := slow.Write([]byte("POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nx")); err != nil {
		t.Fatal(err)
	}
	form := exchangeForm(acme.idp.token(nil))
	places := int(s.gauge("cambio_requests_in_flight_limit"))
	var waiting sync.WaitGroup
	answers := make(chan answer, places)
	for range places {
		waiting.Go(func() { answers <- s.post(tokenEndpoint, acme.authenticated(), form) })
	}
	eventually(t, "all places are taken", func() bool { return int(s.gauge("cambio_requests_in_flight")) == places })
	began := time.Now()
	a := s.post(tokenEndpoint, acme.authenticated(), form)
	a.mustRefuse(t, http.StatusServiceUnavailable, grants.TemporarilyUnavailable, "")
	if a.header.Get("Retry-After") != "1" || time.Since(began) > 2*time.Second {
		t.Errorf("Retry-After %q after %s", a.header.Get("Retry-After"), time.Since(began))
	}
	s.post(introspectEndpoint, basic(testOperator, testOperatorSecret), url.Values{"token": {"x"}}).mustBe(t, http.StatusServiceUnavailable) // never active:false
	s.do("GET", "/.well-known/jwks.json", "").mustBe(t, http.StatusOK)
	if n := s.gauge("cambio_requests_turned_away_total"); n != 2 {
		t.Errorf("%v were turned away, want 2", n)
	}
	release()
	waiting.Wait()
	close(answers)
	for a := range answers {
		a.mustBe(t, http.StatusOK)
	}
	if n := s.gauge("cambio_requests_in_flight"); n != 0 {
		t.Errorf("%v are still counted", n)
	}
}

// At the end a replica says first that it goes, and goes on answering until
// whoever sends it requests can have heard.
func TestShutdownDelay(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), map[string]string{"shutdown_delay": "500ms"})
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	ended := make(chan error)
	go func() { ended <- s.p.shutdown() }()
	eventually(t, "it is not ready", func() bool { _, err := s.p.ready(t.Context()); return err != nil })
	acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", s.p.public.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}
