package registry

import "time"

// KeySource names the keys behind a key URL. The integrator belongs to it: two
// integrators that register the same URL share nothing.
type KeySource struct {
	IntegratorID string
	URL          string
	Format       string // auto, jwks or pem
}

// KeyDocument is what is known of the keys behind a key URL: those of the last
// fetch that succeeded, on whichever replica, and how the last one went.
type KeyDocument struct {
	Source      KeySource
	Epoch       int64 // of the key URL when the keys were fetched; older ones are not used
	FoundFormat string
	Keys        []PublishedKey // the published ones first, then the last ones that are gone
	Warnings    []KeyWarning
	FetchedAt   time.Time // last success; zero: none yet

	FailingSince time.Time // first failure since then; zero: the last fetch succeeded
	FailedAt     time.Time // last failure
	Failure      string    // its word
}

// FailingKeyURL is a key URL whose keys could not be fetched when that was last
// tried.
type FailingKeyURL struct {
	ID, IntegratorID, IntegratorName, Issuer, URL, Failure string

	FetchedAt    time.Time // last success; zero: none yet
	FailingSince time.Time
}

// PublishedKey is one public key and what happened to it.
type PublishedKey struct {
	ID         string `json:"kid,omitempty"`
	Unnamed    bool   `json:"unnamed,omitempty"` // of a format without key ids
	Type       string `json:"kty"`               // RSA, EC or OKP
	Curve      string `json:"crv,omitempty"`
	Bits       int    `json:"bits"`
	Algorithm  string `json:"alg,omitempty"`     // as the document says
	Thumbprint string `json:"thumbprint"`        // RFC 7638, SHA-256
	Problem    string `json:"problem,omitempty"` // why it must not verify anything
	Public     []byte `json:"spki"`              // RFC 5280 §4.1.2.7
	FirstSeen  int64  `json:"first_seen"`        // microseconds since 1970, as all times here
	LastSeen   int64  `json:"last_seen"`         // as of the last fetch that had it
	Removed    bool   `json:"removed,omitempty"` // no longer published
	LastUsed   int64  `json:"-"`                 // to verify a signature; 0: never; kept apart
}

// KeyWarning is something that the owner of a key document should know.
type KeyWarning struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// KeyUse says when a key last verified a signature.
type KeyUse struct {
	Source     KeySource
	Thumbprint string
	At         time.Time
}

// KeysOutliveOutage is how long keys are used after the last fetch that
// succeeded.
const KeysOutliveOutage = 24 * time.Hour

// KeysUnavailable says in one word why keys cannot be fetched. It is fit for
// everyone, and an error.
type KeysUnavailable struct {
	Word string
	// JWKSURI is what a discovery document, found instead of keys, names.
	JWKSURI string
	Issuer  string // likewise
}

// Error implements error.
func (e *KeysUnavailable) Error() string { return "the keys cannot be fetched: " + e.Word }
