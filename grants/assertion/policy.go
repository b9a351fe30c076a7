package assertion

import (
	"context"
	"crypto"
	"encoding/json"
	"strings"
	"time"
)

// Bounds of what a subject token may say.
const (
	Leeway             = 60 * time.Second // on nbf and iat, for clocks that differ; exp has none
	DefaultMaxLifetime = 24 * time.Hour   // exp - iat
	MaxSubjectBytes    = 255
	MaxIDBytes         = 255 // jti
	MaxAudiences       = 64
	maxKeyAttempts     = 8 // keys without a key id that are tried for one token
)

// Policy is what one integrator accepts from one issuer.
type Policy struct {
	Issuer     string   // compared byte by byte (RFC 8725 §3.8)
	Audiences  []string // the audience must hold at least one; empty accepts nothing
	Algorithms []string // JWS names, such as RS256; empty accepts nothing
	// AudienceClaims are where the audience is: the first of them that the
	// token has. Empty means aud.
	AudienceClaims []string
	Required       []RequiredClaim
	Condition      Condition // nil: none

	Keys         KeyRef        // whose keys
	KeysEpoch    int64         // keys fetched under an older one are not used
	AllowIDToken bool          // accept ID tokens, which were meant for a client
	AllowIDJAG   bool          // accept identity assertions (ID-JAG)
	MaxLifetime  time.Duration // exp - iat; 0 means DefaultMaxLifetime
	SingleUse    bool          // the token must have a jti, by which it can be used up
}

// RequiredClaim is a claim that the token must have, by name or JSON Pointer: of
// one of the values, if there are any.
type RequiredClaim struct {
	Claim  string
	Values []string
}

// Condition is what the claims of a verified token must fulfil besides.
type Condition interface {
	// Holds judges; found says what it saw where the answer is no.
	Holds(claims map[string]json.RawMessage) (holds bool, found string)
	// String gives the condition for people.
	String() string
}

// KeyRef names the keys of one key URL. The integrator belongs to it: two
// integrators that register the same URL share nothing (CVE-2026-49998).
type KeyRef struct {
	IntegratorID string
	URL          string
	Format       string // auto, jwks or pem
}

// place is the URL for people: a query may hold a password.
func (r KeyRef) place() string {
	place, _, _ := strings.Cut(r.URL, "?")
	return place
}

// Key is one public key of a key URL.
type Key struct {
	ID        string // kid; empty when the document gives none
	Algorithm string // the JWK's own alg; empty when it names none
	Public    crypto.PublicKey
	// Unnamed marks keys of a format that has no key ids (PEM). They are
	// candidates for every kid.
	Unnamed bool
	// Problem, when not empty, says why the key must not verify anything.
	Problem string
	// Used, when not nil, is told of each signature that the key verified.
	Used func(at time.Time)
}

// KeyQuery asks for the keys that may have signed a token.
type KeyQuery struct {
	Ref   KeyRef
	KeyID string // kid of the token; empty when it has none
	// Renew asks for newer keys than those that did not verify.
	Renew bool
	// Epoch rises when the integrator asks for its keys to be fetched anew:
	// what was fetched under an older one is not an answer.
	Epoch int64
}

// Keys finds keys: those whose ID is the one asked for, the unnamed ones, or
// all of them when no ID is asked for. An error means that the keys are not
// available; that no key fits is an empty answer.
type Keys interface {
	Find(ctx context.Context, query KeyQuery) ([]Key, error)
}

// KeysFunc makes a function satisfy Keys.
type KeysFunc func(ctx context.Context, query KeyQuery) ([]Key, error)

// Find implements Keys.
func (f KeysFunc) Find(ctx context.Context, query KeyQuery) ([]Key, error) { return f(ctx, query) }
