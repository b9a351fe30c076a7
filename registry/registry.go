package registry

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Status of an integrator, a client or a key URL.
type Status string

// The two statuses.
const (
	Active   Status = "active"
	Disabled Status = "disabled"
)

// Object is what every stored object has.
type Object struct {
	ID        string // UUIDv7
	CreatedAt time.Time
	UpdatedAt time.Time
	Revision  int64 // raised by every change; the ETag
}

// Integrator is an organisation that brings users of its own.
type Integrator struct {
	Object
	Name       string
	Status     Status
	Generation int64 // of its tokens; raising it kills all that were issued before
}

// KeyURL is an integrator's issuer, the URL of its public keys, and the rules
// for its subject tokens.
type KeyURL struct {
	Object
	IntegratorID string
	Issuer       string
	URL          string
	Format       string // auto, jwks or pem
	TokenRules
	Clientless bool
	SingleUse  bool   // a subject token is exchanged once
	Audited    Change // on trial beside the rules; nil: none
	Status     Status
	KeysEpoch  int64 // set by the store: keys fetched under an older one are not used
}

// Source names the keys of a key URL.
func (k *KeyURL) Source() KeySource {
	return KeySource{IntegratorID: k.IntegratorID, URL: k.URL, Format: k.Format}
}

// Owner says whose a client is.
type Owner string

// Owners of clients.
const (
	OwnerIntegrator     Owner = "integrator"
	OwnerOperator       Owner = "operator"
	OwnerResourceServer Owner = "resource_server"
)

// Client is an OAuth client.
type Client struct {
	Object
	ClientID         string
	Owner            Owner
	IntegratorID     string // of OwnerIntegrator
	ResourceServerID string // of OwnerResourceServer
	Name             string
	AuthMethod       string // one of the Auth constants
	JWKS             string // JSON; of private_key_jwt, unless there is a JWKSURI
	JWKSURI          string
	GrantTypes       []string // RFC 7591 names
	Scopes           []string // nil: none set
	AccessTokenTTL   time.Duration
	AllowedOrigins   []string
	Status           Status
	Generation       int64
	Secrets          []ClientSecret
}

// Public tells whether the client has no credentials.
func (c *Client) Public() bool { return c.AuthMethod == "none" }

// ClientSecret is the keyed hash of a secret; the secret itself is nowhere.
type ClientSecret struct {
	Hash      []byte
	CreatedAt time.Time // set by the store
	ExpiresAt time.Time // zero: does not end
}

// LockHolder is an organisation, or a part of one, that owns locks.
type LockHolder struct {
	Object
	Name                 string
	CountryISO           string
	OrganizationID       string
	OrganizationIDSuffix string
}

// ScopeRule gives a scope for a permission: an integrator's entitlement outside
// lock holders. Rules are tried in the order in which they were made.
type ScopeRule struct {
	Object
	IntegratorID string
	Permission   string // exact, or a beginning and one *
	Scope        string // may hold $1, what the * matched
}

// ResourceServer is an API of the platform.
type ResourceServer struct {
	Object
	Name     string
	Audience string
	ClientID string // of its introspection credentials
}

// SigningKey is one of our keys; its private half is sealed.
type SigningKey struct {
	ID        string // kid
	Algorithm string
	State     string // next, active or retired
	Public    []byte // JWK
	Sealed    []byte // private JWK, sealed
	CreatedAt time.Time
	RetiredAt time.Time // zero unless retired
}

// Results of an exchange.
const (
	ResultGranted = "granted"
	ResultRefused = "refused"
)

// Exchange is the record of one attempt to get a token, accepted or refused.
// It holds no token.
type Exchange struct {
	ID           string // UUIDv7
	At           time.Time
	GrantType    string
	Result       string // granted or refused
	Code         string // error code, when refused
	Reason       string // reason, when the subject token was refused
	IntegratorID string
	ClientID     string
	Issuer       string
	Subject      string
	KeyID        string
	Granted      []string
	Dropped      []Dropped
	TokenID      string // jti of the issued token
	ExpiresAt    time.Time

	// SubjectTokenHash is the SHA-256 of the subject token as it was sent, in
	// lower-case hex. It is for finding an attempt and is no key: an ECDSA
	// signature has a twin.
	SubjectTokenHash string
	Audit            *Audit // nil: no change was on trial
}

// Audit is what a change on trial would have done in one attempt.
type Audit struct {
	ChangeID string // KeyURL.AuditID
	Result   string // granted or refused
	Code     string // error code, when refused
	Reason   string
	Lost     []string // scopes that were granted, and would not have been
	Gained   []string // the other way round
}

// AuditSummary is what a change on trial would have done in all attempts since
// the trial began.
type AuditSummary struct {
	Exchanges   int64
	Granted     int64            // as it was
	WouldFail   int64            // granted, and would have been refused
	WouldPass   int64            // refused, and would have been granted
	Reasons     map[string]int64 // of those that would have been refused: the reason, or else the error code
	Lost        map[string]int64 // by scope, where something would still have been granted
	Gained      map[string]int64 // by scope, where something was granted
	First, Last time.Time        // attempts that were counted
	Incomplete  bool             // there are more kinds of attempts than are counted
}

// CountsKept is how long counts of attempts are kept.
const CountsKept = 31 * 24 * time.Hour

// ExchangeCount is how many attempts of one hour had one outcome.
type ExchangeCount struct {
	Hour   time.Time // when it began
	Result string    // granted or refused
	Reason string    // of a refusal, or else its error code
	Count  int64
}

// ExchangeFilter names records; what is empty names all.
type ExchangeFilter struct {
	Result, Reason, ClientID, Issuer, Subject, KeyID, TokenID, SubjectTokenHash string

	From, To time.Time // From included, To not
}

// Dropped is a permission that became no scope, and why.
type Dropped struct {
	Permission string `json:"permission"`
	Reason     string `json:"reason"`
}

// Name rules: printable text, short enough for a line.
const maxNameBytes = 1024

// ValidName tells whether s can name something for people.
func ValidName(s string) bool {
	visible := strings.ContainsFunc(s, func(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) })
	return visible && len(s) <= maxNameBytes && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
		})
}

// Validate reports what is wrong with an integrator.
func (i *Integrator) Validate() error {
	var faults Invalid
	faults.Add(ValidName(i.Name), "/name", "invalid", "want 1 to 1024 bytes of printable text")
	faults.checkStatus(i.Status)
	return faults.Err()
}

// Validate reports what is wrong with a resource server.
func (r *ResourceServer) Validate() error {
	var faults Invalid
	faults.Add(ValidName(r.Name), "/name", "invalid", "want 1 to 1024 bytes of printable text")
	faults.Add(ValidAudience(r.Audience), "/audience", "invalid", "want 1 to 512 bytes of printable ASCII without spaces")
	return faults.Err()
}

func (i *Invalid) checkStatus(s Status) {
	i.Add(s == Active || s == Disabled, "/status", "invalid", "want active or disabled")
}

// ValidAudience: printable ASCII without space, so that it can stand in every
// list and message unchanged; short enough to be indexed with a URL beside it.
func ValidAudience(s string) bool {
	return s != "" && len(s) <= 512 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func unique(list []string) bool {
	sorted := slices.Sorted(slices.Values(list))
	return len(slices.Compact(sorted)) == len(list)
}
