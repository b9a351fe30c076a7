package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

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

// R9: a key URL that hangs, asked for by more requests than there are places,
// keeps nobody else from being served.
func TestAHangingKeyURLTakesNobodysPlace(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, bob := s.newParty("Acme"), s.newParty("Bob")
	holder := acme.manage("919424508", "east")
	bob.share(holder)
	released := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-released
		acme.idp.serve(w, r)
	}))
	defer hanging.Close()
	release := sync.OnceFunc(func() { close(released) })
	defer release()
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"url": hanging.URL + "/jwks.json"}).mustBe(t, http.StatusOK)
	form := exchangeForm(acme.idp.token(nil))
	var waiting sync.WaitGroup
	answers := make(chan answer, 50)
	for range cap(answers) {
		waiting.Go(func() { answers <- s.post(tokenEndpoint, acme.authenticated(), form) })
	}
	eventually(t, "they wait for the keys", func() bool { return s.gauge("go_goroutines") > 100 && s.gauge("cambio_requests_in_flight") == 0 })
	bob.exchange(bob.idp.token(nil)).mustBe(t, http.StatusOK)
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
