package tokenexchange

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/grants/permissions"
)

// Request is a token exchange request, already checked for its shape by the
// door (one value per parameter, bounded).
type Request struct {
	SubjectToken       string
	SubjectTokenType   string
	RequestedTokenType string
	ActorToken         string
	ActorTokenType     string
	Scopes             []string // nil: the parameter was left out
	Audiences          []string
	Resources          []string
	Client             *grants.Client // nil: no client at all
	// Assertion says that the token came as an authorization grant (RFC 7523
	// §2.1) and not to be exchanged: it may be an identity assertion, and a
	// refusal of it is invalid_grant.
	Assertion bool
	// IntegratorID, when it is set, is the only integrator whose key URLs are
	// looked at. Explaining a token of another's would tell about the other.
	IntegratorID string
	// Admit is asked before anything is done that costs: keys and signatures.
	// Nil admits everybody.
	Admit func(Claimed) *grants.Refusal
}

// SubjectTokenHash names the subject token without giving it away: the SHA-256
// of its text as it was sent, in hex; empty without one. It is for finding an
// attempt by a token at hand. Nothing may be keyed on it: an ECDSA signature
// has a twin (RFC 7518 §3.4), so one token has two texts.
func (r Request) SubjectTokenHash() string {
	if r.SubjectToken == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(r.SubjectToken))
	return hex.EncodeToString(sum[:])
}

// Claimed is whose a token says it is. Nobody has verified that yet.
type Claimed struct {
	IntegratorID string // whose key URL would judge it
	Issuer       string
	Subject      string
}

// Policy is the trust of one integrator in one issuer, with what it entitles to.
type Policy struct {
	assertion.Policy

	KeyURLID             string
	IntegratorID         string
	IntegratorGeneration int64
	IntegratorDisabled   bool
	Permissions          permissions.Source // where they are in the subject token
	Entitlements         permissions.Entitlements
	Audited              *Change // nil: none
}

// Change is what a policy would become, were a change to its key URL in force.
// Whoever is judged by the policy is judged by the change, too, without effect.
type Change struct {
	ID string // of this change, and of no other
	assertion.Policy
	Permissions permissions.Source
}

// Policies finds policies. An error means that they cannot be read; that none
// applies is an empty answer.
type Policies interface {
	// ForIntegrator gives the policies of one integrator for one issuer.
	ForIntegrator(ctx context.Context, integratorID, issuer string) ([]Policy, error)
	// Clientless gives the policies for one issuer of any integrator that
	// allows exchanges without a client.
	Clientless(ctx context.Context, issuer string) ([]Policy, error)
}

// Replays remembers which subject tokens were used up.
type Replays interface {
	// Consume uses up the token of this integrator, issuer and jti until it
	// has expired, and tells whether this was the first time. Of any number
	// at once, one is the first.
	Consume(ctx context.Context, integratorID, issuer, tokenID string, expiresAt time.Time) (first bool, err error)
	// Consumed tells whether the token was used up, and changes nothing.
	Consumed(ctx context.Context, integratorID, issuer, tokenID string) (bool, error)
}

// Targets knows the resource servers a token may be issued for.
type Targets interface {
	// Known tells whether a target may be named in a request; an error means
	// that nobody can tell.
	Known(ctx context.Context, target string) (bool, error)
	// Default is the audience of a token for which no target was named.
	Default() string
}

// Decision is what was found out about a request. When the exchange was
// refused it holds what had been established by then, for the record.
type Decision struct {
	IntegratorID  string
	ClientID      string // clientless: the integrator's id
	Issuer        string // iss of the subject token
	Subject       string // its sub
	KeyID         string // its kid
	Scopes        []string
	LockHolderIDs []string
	Dropped       []permissions.Dropped
	Audience      []string
	ExpiresAt     time.Time // the latest: the subject token's and the limits'
	Generations   grants.Generations
	Audit         *Audit // nil: no change is being audited

	SubjectTokenHash string // Request.SubjectTokenHash
}

// Audit is what would have been decided, were the change in force.
type Audit struct {
	ChangeID string
	Refusal  *grants.Refusal // nil: granted
	Lost     []string        // of what is granted either way: scopes that would not have been
	Gained   []string        // the other way round
}

// PlatformSubject is the sub of the issued token: unique across integrators,
// because two issuers may use the same sub for different people.
func (d *Decision) PlatformSubject() string { return d.Issuer + "#" + d.Subject }
