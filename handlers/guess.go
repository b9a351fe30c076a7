package handlers

import (
	"time"

	"github.com/cambio-oauth/cambio/grants"
)

// guess is one attempt to authenticate, within the limits.
type guess struct {
	limits *limits
	at     limitKey      // one client from one address
	wait   time.Duration // more than 0: a limit is reached, and nobody knows whether the credentials are right
}

func (l *limits) guess(n *note, clientID string) *guess {
	return &guess{limits: l, at: limitKey{address: n.address, clientID: clientID}}
}

// within makes proves ask the limits, and end the search when one is reached.
// Past the limit of a client right credentials are not looked at either, or
// the answers would go on telling which guess was right. Past that of the
// address they are, since it may be everybody's; but wrong ones are not looked
// up again in the database, which is the dear part.
func (g *guess) within(proves func(*Client) bool) func(*Client) bool {
	return func(client *Client) bool {
		if g.wait = g.limits.guesses.wait(g.at); g.wait > 0 {
			return true
		}
		if proves(client) {
			return true
		}
		if g.wait = g.limits.failures.wait(limitKey{address: g.at.address}); g.wait > 0 {
			g.limits.guesses.take(g.at)
			return true
		}
		return false
	}
}

// failed takes what wrong credentials cost. What failed because of us is free.
func (g *guess) failed(refusal *grants.Refusal) {
	if refusal.Code == grants.InvalidClient {
		g.limits.guesses.take(g.at)
	}
}
