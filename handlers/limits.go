package handlers

import (
	"context"
	"net/netip"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
)

// The limits of one replica: so many a second, and so many at once after a
// pause. Only failures are counted, except where nobody authenticates. The
// numbers leave room for honest mistakes by clients that send every failing
// request twice, or four times.
const (
	// Wrong credentials for one client from one address: a secret cannot be
	// guessed at this speed, and a deployment with an old one is soon noticed.
	guessesPerSecond = 2
	guessesAtOnce    = 100
	// Failures of one address, which may be a whole office. A forged token can
	// cost eight signatures of 4096 bits: a twentieth of a core.
	strangerFailuresPerSecond = 20
	strangerFailuresAtOnce    = 500
	// Failures of one authenticated client: a backend relays the mistakes of
	// all of its users, expired tokens above all.
	clientFailuresPerSecond = 50
	clientFailuresAtOnce    = 500
	// Exchanges without credentials, of one subject at one issuer: a user has a
	// few devices and exchanges once an hour.
	subjectExchangesPerSecond = 5
	subjectExchangesAtOnce    = 200
	// The same from one address: a carrier's NAT, at nine in the morning.
	visitorExchangesPerSecond = 20
	visitorExchangesAtOnce    = 500
	// The same at one issuer: some two million users an hour, and a tenth of
	// what one core can issue.
	issuerExchangesPerSecond = 500
	issuerExchangesAtOnce    = 2000
)

// limits keep those who fail, and those whom nobody knows, from taking more
// than their share.
type limits struct {
	guesses  *buckets // by address and client
	failures *buckets // by address
	clients  *buckets // by client: failures, too
	subjects *buckets // by integrator, issuer, public client and subject
	visitors *buckets // by integrator, issuer, public client and address
	issuers  *buckets // by integrator, issuer and public client
}

func newLimits(now func() time.Time) *limits {
	return &limits{
		guesses:  newBuckets(now, guessesPerSecond, guessesAtOnce),
		failures: newBuckets(now, strangerFailuresPerSecond, strangerFailuresAtOnce),
		clients:  newBuckets(now, clientFailuresPerSecond, clientFailuresAtOnce),
		subjects: newBuckets(now, subjectExchangesPerSecond, subjectExchangesAtOnce),
		visitors: newBuckets(now, visitorExchangesPerSecond, visitorExchangesAtOnce),
		issuers:  newBuckets(now, issuerExchangesPerSecond, issuerExchangesAtOnce),
	}
}

// tooMany is the cause of a refusal that is answered 429 (RFC 6585 §4).
type tooMany struct{ wait time.Duration }

func (*tooMany) Error() string { return "a rate limit is reached" }

// retryAfter gives whole seconds, rounded up (RFC 9110 §10.2.3).
func (t *tooMany) retryAfter() int64 { return max(1, int64((t.wait+time.Second-1)/time.Second)) }

func refuseFailures(wait time.Duration) *grants.Refusal {
	return refuseTooMany(wait, "too many requests have failed: wait before the next one")
}

func refuseTooMany(wait time.Duration, description string) *grants.Refusal {
	return &grants.Refusal{Code: grants.TemporarilyUnavailable, Description: description, Cause: &tooMany{wait}}
}

// failuresOf gives the bucket that a caller's failures are taken from: the
// client's, once it has authenticated, so that nobody else can empty it; the
// address's before.
func (l *limits) failuresOf(n *note) (*buckets, limitKey) {
	if n.verified {
		return l.clients, limitKey{clientID: n.client.ID}
	}
	return l.failures, limitKey{address: n.address}
}

// charge takes a failure from its bucket. When that is empty, whoever failed
// is told to wait instead. What failed because of us costs nothing, nor what a
// limit has refused already; but keys that cannot be fetched are no failure of
// ours when a stranger asks for them.
func (l *limits) charge(n *note, refusal *grants.Refusal) *grants.Refusal {
	ours := refusal.Code == grants.TemporarilyUnavailable || refusal.Code == grants.ServerError
	if ours && (refusal.Reason != grants.KeysUnavailable || n.verified) {
		return refusal
	}
	failures, key := l.failuresOf(n)
	if wait := failures.take(key); wait > 0 {
		return refuseFailures(wait)
	}
	return refusal
}

// exchange decides within the limits. They are asked before what costs: keys
// and signatures.
func (s *Server) exchange(ctx context.Context, r tokenexchange.Request) (*tokenexchange.Decision, error) {
	note := noteOf(ctx)
	failures, key := s.limits.failuresOf(note)
	if wait := failures.wait(key); wait > 0 {
		return &tokenexchange.Decision{}, refuseFailures(wait)
	}
	if note.verified {
		return s.config.Exchange(ctx, r)
	}
	// Whoever presents no credentials, or those of a public client, which are
	// none, is limited in what is granted, too. Only what is granted counts, or
	// anybody could close an issuer with forged tokens.
	clientID := ""
	if r.Client != nil {
		clientID = r.Client.ID
	}
	r.Admit = func(claimed tokenexchange.Claimed) *grants.Refusal {
		wait := time.Duration(0)
		for _, ceiling := range s.limits.ceilings(note.address, clientID, claimed) {
			wait = max(wait, ceiling.limit.wait(ceiling.key))
		}
		if wait > 0 {
			return refuseTooMany(wait, "too many exchanges without client authentication: wait before the next one")
		}
		return nil
	}
	decision, err := s.config.Exchange(ctx, r)
	if err == nil {
		claimed := tokenexchange.Claimed{IntegratorID: decision.IntegratorID, Issuer: decision.Issuer, Subject: decision.Subject}
		for _, ceiling := range s.limits.ceilings(note.address, clientID, claimed) {
			ceiling.limit.take(ceiling.key)
		}
	}
	return decision, err
}

type ceiling struct {
	limit *buckets
	key   limitKey
}

// ceilings are what an exchange without client authentication counts towards.
func (l *limits) ceilings(address netip.Addr, clientID string, claimed tokenexchange.Claimed) [3]ceiling {
	issuer := limitKey{integratorID: claimed.IntegratorID, issuer: claimed.Issuer, clientID: clientID}
	visitor, subject := issuer, issuer
	visitor.address, subject.subject = address, claimed.Subject
	return [...]ceiling{{l.issuers, issuer}, {l.visitors, visitor}, {l.subjects, subject}}
}
