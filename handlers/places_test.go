package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/cambio-oauth/cambio/grants"
)

// crowd is a server of one place, whose requests wait until they are let go,
// aside or not.
type crowd struct {
	*Server
	aside   bool
	began   chan struct{}
	proceed chan struct{}
}

func newCrowd(aside bool) *crowd {
	return &crowd{
		Server: &Server{
			config: Config{Now: time.Now, Log: slog.New(slog.DiscardHandler), Observe: func(context.Context, Event) {}},
			limits: newLimits(time.Now), places: newPlaces(1, 1),
		},
		aside: aside, began: make(chan struct{}), proceed: make(chan struct{}),
	}
}

func (c *crowd) serve(w http.ResponseWriter, r *http.Request, event *Event) {
	if _, refusal := readForm(w, r); refusal != nil {
		c.refuse(w, r, event, refusal)
		return
	}
	goOn := func() {}
	if c.aside {
		goOn = StepAside(r.Context())
	}
	c.began <- struct{}{}
	<-c.proceed
	goOn()
	c.answer(w, r, event, http.StatusOK, struct{}{})
}

func (c *crowd) ask() *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/oauth2/token", strings.NewReader("grant_type=x"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	c.watched("token", c.serve).ServeHTTP(w, r)
	return w
}

// A request past the last place is turned away at once, to come again; one that
// is over gives its place back.
func TestPlaces(t *testing.T) {
	c := newCrowd(false)
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- c.ask() }()
	<-c.began
	if w := c.ask(); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "temporarily_unavailable") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	c.proceed <- struct{}{}
	if w := <-first; w.Code != http.StatusOK {
		t.Errorf("the first: %d", w.Code)
	}
	if atOnce, most, turnedAway := c.Load(); atOnce != 0 || most != 1 || turnedAway != 1 {
		t.Errorf("%d of %d, %d turned away", atOnce, most, turnedAway)
	}
}

// A request that finds everybody at work waits in line for its turn, and is
// turned away when that takes too long.
func TestLine(t *testing.T) {
	c := newCrowd(false)
	c.places = newPlaces(2, 1)
	answers := make(chan *httptest.ResponseRecorder)
	for range 2 {
		go func() { answers <- c.ask() }()
	}
	<-c.began
	for atOnce := 0; atOnce < 2; atOnce, _, _ = c.Load() {
		time.Sleep(time.Millisecond)
	}
	select {
	case <-c.began:
		t.Fatal("two are at work at one place")
	default:
	}
	c.proceed <- struct{}{}
	<-c.began
	c.places.longest = 0
	if w := c.ask(); w.Code != http.StatusServiceUnavailable {
		t.Errorf("who stood in line for too long: %d", w.Code)
	}
	c.proceed <- struct{}{}
	for range 2 {
		if w := <-answers; w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if atOnce, _, turnedAway := c.Load(); atOnce != 0 || turnedAway != 1 || len(c.places.work) != 0 {
		t.Errorf("%d are still here and %d at work, %d were turned away", atOnce, len(c.places.work), turnedAway)
	}
}

// Refusals have their turns, but for those who would wait too long for theirs,
// and those who are gone do not wait at all.
func TestRefusalsTakeTurns(t *testing.T) {
	p := newPlaces(1, 1)
	p.refusals = rate.NewLimiter(rate.Every(time.Hour), 1)
	p.turnAway(t.Context())
	p.turnAway(t.Context()) // in an hour: at once
	p.refusals = rate.NewLimiter(rate.Every(20*time.Millisecond), 1)
	p.turnAway(t.Context())
	began := time.Now()
	p.turnAway(t.Context())
	if took := time.Since(began); took < 10*time.Millisecond {
		t.Errorf("the second of a burst of one was refused after %s", took)
	}
	p.refusals = rate.NewLimiter(rate.Every(longestToRefusal-time.Second/2), 1)
	p.turnAway(t.Context())
	gone, leave := context.WithCancel(t.Context())
	leave()
	began = time.Now()
	if refusal := p.turnAway(gone); refusal.Code != grants.TemporarilyUnavailable || time.Since(began) > time.Second {
		t.Errorf("%v after %s", refusal, time.Since(began))
	}
}

// Whoever waits for somebody else's server takes nobody's place meanwhile.
func TestStepAside(t *testing.T) {
	c := newCrowd(true)
	answers := make(chan *httptest.ResponseRecorder)
	for range 3 {
		go func() { answers <- c.ask() }()
		<-c.began
	}
	if atOnce, _, _ := c.Load(); atOnce != 0 {
		t.Errorf("%d places are taken by those who wait", atOnce)
	}
	for range 3 {
		c.proceed <- struct{}{}
		if w := <-answers; w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if atOnce, _, turnedAway := c.Load(); atOnce != 0 || turnedAway != 0 {
		t.Errorf("%d places are still taken, %d were turned away", atOnce, turnedAway)
	}
}
