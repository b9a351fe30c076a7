package admin

import (
	"context"
	"log/slog"
	"time"

	"github.com/cambio-oauth/cambio/admin/presets"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
	"github.com/cambio-oauth/cambio/registry"
)

// Config is what the room needs.
type Config struct {
	Store    Store
	Issuer   string // ours; a key URL must not name it
	Verifier *accesstoken.Verifier
	// Alive tells whether a token that verifies is neither revoked nor of an
	// older generation.
	Alive func(ctx context.Context, claims *accesstoken.Claims) (bool, error)
	// Audiences are the aud values of tokens for this API.
	Audiences []string
	// SubjectAudiences are those a subject token may name when its key URL
	// names none.
	SubjectAudiences []string
	// Keys are those of key URLs.
	Keys Keys
	// Explain decides about a subject token as the exchange does, by the same
	// code, and says why. It stores nothing.
	Explain func(ctx context.Context, q Question) (*Explanation, error)
	// CheckCondition tells what is wrong with the condition of a key URL, or
	// which claims it names.
	CheckCondition func(text string) (claims []string, err error)
	// Presets are the identity providers that are known.
	Presets *presets.Catalogue
	// SigningKeys are this server's own.
	SigningKeys SigningKeys
	// Pepper is the key of client secret hashes.
	Pepper registry.Pepper
	// Answers seals the answers that are kept to be given again.
	Answers Sealer
	// CursorKey authenticates cursors.
	CursorKey []byte
	// Changed is called after each committed change, so that this replica
	// knows of it before the answer leaves.
	Changed func(ctx context.Context)
	Now     func() time.Time
	Log     *slog.Logger
}

// Sealer seals what nobody may read in the database, each for a row of its own.
type Sealer interface {
	Seal(row string, secret []byte) ([]byte, error)
	Open(row string, sealed []byte) ([]byte, error)
}

// SigningKeys are what signs this server's tokens.
type SigningKeys interface {
	// Keys lists them without their private halves.
	Keys() []registry.SigningKey
	// RotateWhenPublished makes the next one sign, as soon as every replica
	// publishes it. ErrConflict: somebody else did, a moment ago.
	RotateWhenPublished(ctx context.Context) error
}

// Keys fetches other people's keys. An error of a fetch is a
// *registry.KeysUnavailable.
type Keys interface {
	// CheckURL tells what is wrong with a URL, without fetching it.
	CheckURL(url string) error
	// CheckPublicURL is CheckURL without the networks that the operator
	// allows: they are for key URLs that an operator registers.
	CheckPublicURL(url string) error
	// SharedKeys tells whether the keys at a URL are known to sign the tokens of
	// every tenant of a provider, and whether any of them may get a token for
	// whatever audience it likes.
	SharedKeys(url string) (shared, anyAudience bool)
	// CheckKeys tells what is wrong with a JWKS that a client registers, in
	// words that hold nothing of it.
	CheckKeys(jwks []byte) error
	// Check fetches now and keeps nothing; from those networks only for the
	// trusted.
	Check(ctx context.Context, source registry.KeySource, trusted bool) (*registry.KeyDocument, error)
	// Refresh fetches now, and makes what it finds all that counts.
	Refresh(ctx context.Context, source registry.KeySource) (*registry.KeyDocument, error)
}

// Store keeps what the room manages. Errors are registry's.
type Store interface {
	// Alone makes reads and changes as one: nobody else changes anything between
	// them, and an error takes all of them back.
	Alone(ctx context.Context, do func(inside Store) error) error
	integrators
	keyURLs
	clients
	lockHolders
	scopeRules
	resourceServers
	registry.Inside
	Exchanges(ctx context.Context, integratorID string, filter registry.ExchangeFilter, page registry.Page) ([]registry.Exchange, error)
	ExchangeCounts(ctx context.Context, integratorID string, from, to time.Time) ([]registry.ExchangeCount, error)
	AuditEvents(ctx context.Context, filter registry.AuditFilter, page registry.Page) ([]registry.AuditEvent, error)
	Answer(ctx context.Context, caller, key string) (*registry.Answer, error)
	AuditSummary(ctx context.Context, integratorID, changeID string) (*registry.AuditSummary, error)
}

type integrators interface {
	IntegratorsNamed(ctx context.Context, name string) ([]registry.Integrator, error)
	CreateIntegrator(ctx context.Context, i *registry.Integrator) error
	Integrator(ctx context.Context, id string) (*registry.Integrator, error)
	Integrators(ctx context.Context, page registry.Page) ([]registry.Integrator, error)
	UpdateIntegrator(ctx context.Context, i *registry.Integrator) error
	DeleteIntegrator(ctx context.Context, id string) error
	RevokeIntegratorTokens(ctx context.Context, id string) error
	RevokeSubjectTokens(ctx context.Context, integratorID, subject string) error
}

type keyURLs interface {
	KeyURLsAt(ctx context.Context, integratorID, issuer, url string) ([]registry.KeyURL, error)
	CreateKeyURL(ctx context.Context, k *registry.KeyURL, terms registry.KeyURLTerms) error
	KeyURL(ctx context.Context, integratorID, id string) (*registry.KeyURL, error)
	KeyURLs(ctx context.Context, integratorID string, page registry.Page) ([]registry.KeyURL, error)
	UpdateKeyURL(ctx context.Context, k *registry.KeyURL, terms registry.KeyURLTerms) error
	DeleteKeyURL(ctx context.Context, integratorID, id string, terms registry.KeyURLTerms) error
	FailingKeyURLs(ctx context.Context, limit int) ([]registry.FailingKeyURL, error)
}

type clients interface {
	ClientsNamed(ctx context.Context, integratorID, name string) ([]registry.Client, error)
	CreateClient(ctx context.Context, c *registry.Client, terms registry.ClientTerms) error
	Client(ctx context.Context, integratorID, clientID string) (*registry.Client, error)
	Clients(ctx context.Context, integratorID string, page registry.Page) ([]registry.Client, error)
	UpdateClient(ctx context.Context, c *registry.Client, terms registry.ClientTerms) error
	DeleteClient(ctx context.Context, integratorID, clientID string) error
	AddClientSecret(ctx context.Context, integratorID, clientID string, secret registry.ClientSecret, overlap time.Duration) ([]registry.ClientSecret, error)
	ClientStates(ctx context.Context, clients []registry.Client) (map[string]registry.ClientState, error)
}

type lockHolders interface {
	LockHoldersOf(ctx context.Context, countryISO, organizationID, suffix string) ([]registry.LockHolder, error)
	CreateLockHolder(ctx context.Context, h *registry.LockHolder) error
	LockHolder(ctx context.Context, id string) (*registry.LockHolder, error)
	LockHolders(ctx context.Context, page registry.Page) ([]registry.LockHolder, error)
	UpdateLockHolder(ctx context.Context, h *registry.LockHolder) error
	DeleteLockHolder(ctx context.Context, id string) error
	LinkedLockHolder(ctx context.Context, integratorID, id string) (*registry.LockHolder, error)
	LinkedLockHolders(ctx context.Context, integratorID string, page registry.Page) ([]registry.LockHolder, error)
	Link(ctx context.Context, link registry.Link) error
	Unlink(ctx context.Context, link registry.Link) error
}

type scopeRules interface {
	ScopeRulesFor(ctx context.Context, integratorID, permission string) ([]registry.ScopeRule, error)
	CreateScopeRule(ctx context.Context, r *registry.ScopeRule) error
	ScopeRule(ctx context.Context, integratorID, id string) (*registry.ScopeRule, error)
	ScopeRules(ctx context.Context, integratorID string, page registry.Page) ([]registry.ScopeRule, error)
	UpdateScopeRule(ctx context.Context, r *registry.ScopeRule) error
	DeleteScopeRule(ctx context.Context, integratorID, id string) error
}

type resourceServers interface {
	ResourceServersFor(ctx context.Context, audience string) ([]registry.ResourceServer, error)
	CreateResourceServer(ctx context.Context, r *registry.ResourceServer, c *registry.Client) error
	ResourceServer(ctx context.Context, id string) (*registry.ResourceServer, error)
	ResourceServers(ctx context.Context, page registry.Page) ([]registry.ResourceServer, error)
	UpdateResourceServer(ctx context.Context, r *registry.ResourceServer) error
	DeleteResourceServer(ctx context.Context, id string) error
}
