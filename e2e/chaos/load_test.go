//go:build linux

package chaos

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sample is one answer.
type sample struct {
	began  time.Time
	took   time.Duration
	status int // 0: the connection broke
}

func (s sample) ended() time.Time { return s.began.Add(s.took) }

// load is a number of clients, each of which sends one request after the other
// through the balancer and writes down what was acknowledged.
type load struct {
	rig     *rig
	ledger  *ledger
	pause   time.Duration // between requests of one client
	stop    atomic.Bool
	clients sync.WaitGroup

	mu      sync.Mutex
	samples []sample
	wrong   []string // answers that may never be
}

// startLoad starts clients; each waits a while between two requests.
func (r *rig) startLoad(clients int, pause time.Duration) *load {
	l := &load{rig: r, ledger: newLedger(r.t), pause: pause}
	for n := range clients {
		c := &loadClient{load: l, subject: fmt.Sprintf("user|%d", n)}
		c.subjectToken = r.subjectToken(c.subject)
		l.clients.Go(c.run)
	}
	r.t.Cleanup(l.end)
	return l
}

// end lets requests under way come to their end.
func (l *load) end() {
	l.stop.Store(true)
	l.clients.Wait()
}

// finish ends the load, says what was wrong, and gives all answers.
func (l *load) finish() samples {
	l.rig.t.Helper()
	l.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range l.wrong[:min(len(l.wrong), 10)] {
		l.rig.t.Error(text)
	}
	if len(l.wrong) > 10 {
		l.rig.t.Errorf("and %d more wrong answers", len(l.wrong)-10)
	}
	return l.samples
}

// soFar gives the answers up to now.
func (l *load) soFar() samples {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.samples)
}

// held is a token of a load client.
type held struct {
	jti, token      string
	revoking, ended bool
}

type loadClient struct {
	load         *load
	subject      string
	subjectToken string
	tokens       []*held
}

// maxHeld is how many tokens a client looks after; the ledger keeps them all.
const maxHeld = 50

func (c *loadClient) run() {
	for !c.load.stop.Load() {
		status := 0
		switch n := rand.IntN(100); {
		case n < 60 || len(c.tokens) == 0:
			status = c.exchange()
		case n < 80:
			status = c.introspect(c.tokens[rand.IntN(len(c.tokens))])
		default:
			status = c.revoke(c.tokens[rand.IntN(len(c.tokens))])
		}
		if status != http.StatusOK {
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(c.load.pause)
	}
}

func (c *loadClient) exchange() int {
	began := time.Now()
	status, answer, _ := c.load.rig.exchange(c.load.rig.balancer.server.URL, c.subjectToken)
	c.load.note("exchange", began, status, answer)
	if status != http.StatusOK {
		return status
	}
	token, _ := answer["access_token"].(string)
	jti, expires, err := claimsOf(token)
	if err != nil {
		c.load.complain("an exchange was answered %v: %v", answer, err)
		return status
	}
	c.load.ledger.write(entry{Event: issued, JTI: jti, Token: token, Expires: expires})
	if len(c.tokens) == maxHeld {
		c.tokens = c.tokens[1:]
	}
	c.tokens = append(c.tokens, &held{jti: jti, token: token})
	return status
}

func (c *loadClient) introspect(h *held) int {
	began := time.Now()
	status, answer, _ := c.load.rig.introspect(c.load.rig.balancer.server.URL, h.token)
	c.load.note("introspect", began, status, answer)
	if status != http.StatusOK {
		return status
	}
	active, ok := answer["active"].(bool)
	switch {
	case !ok:
		c.load.complain("an introspection was answered %v", answer)
	case active && h.ended:
		c.load.complain("revoked token %s is active", h.jti)
	case !active && !h.revoking:
		c.load.complain("live token %s is not active", h.jti)
	}
	return status
}

func (c *loadClient) revoke(h *held) int {
	if !h.revoking {
		c.load.ledger.write(entry{Event: revoking, JTI: h.jti})
		h.revoking = true
	}
	began := time.Now()
	status, answer, _ := c.load.rig.revoke(c.load.rig.balancer.server.URL, h.token)
	c.load.note("revoke", began, status, answer)
	if status == http.StatusOK && !h.ended {
		h.ended = true
		c.load.ledger.write(entry{Event: revoked, JTI: h.jti})
	}
	return status
}

// note keeps an answer. Whatever happens to the server, good credentials and
// good tokens are answered 200 or 503, or not at all.
func (l *load) note(what string, began time.Time, status int, answer object) {
	took := time.Since(began)
	if status != 0 && status != http.StatusOK && status != http.StatusServiceUnavailable {
		l.complain("%s was answered %d %v", what, status, answer)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.samples = append(l.samples, sample{began, took, status})
}

func (l *load) complain(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

// samples are answers in the order in which they came.
type samples []sample

// during gives the requests that began in a span of time.
func (s samples) during(from, to time.Time) samples {
	var some samples
	for _, one := range s {
		if one.began.After(from) && one.began.Before(to) {
			some = append(some, one)
		}
	}
	return some
}

// with gives those of one status.
func (s samples) with(status int) samples {
	var some samples
	for _, one := range s {
		if one.status == status {
			some = append(some, one)
		}
	}
	return some
}

// gap is the longest time without a success.
func (s samples) gap() time.Duration {
	longest := time.Duration(0)
	good := s.with(http.StatusOK)
	for i := 1; i < len(good); i++ {
		longest = max(longest, good[i].ended().Sub(good[i-1].ended()))
	}
	return longest.Round(time.Millisecond)
}

// percentile gives how long the share p of the answers took at most.
func (s samples) percentile(p float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	all := make([]time.Duration, len(s))
	for i, one := range s {
		all[i] = one.took
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(p*float64(len(all))))].Round(time.Millisecond)
}

func (s samples) String() string {
	return fmt.Sprintf("%d requests: %d × 200, %d × 503, %d broken", len(s), len(s.with(200)), len(s.with(503)), len(s.with(0)))
}
