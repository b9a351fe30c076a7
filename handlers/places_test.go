package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
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
			limits: newLimits(time.Now), places: &places{free: make(chan struct{}, 1)},
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
