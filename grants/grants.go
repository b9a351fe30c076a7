package grants

import "time"

// Grant types (RFC 6749 §4.4, RFC 7523 §2.1, RFC 8693 §2.1).
const (
	ClientCredentials = "client_credentials"
	JWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	TokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// Token types (RFC 8693 §3).
const (
	TokenTypeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	TokenTypeIDToken     = "urn:ietf:params:oauth:token-type:id_token"
	TokenTypeJWT         = "urn:ietf:params:oauth:token-type:jwt"
)

// Scopes of Cambio itself. They come from the scope of a client and never
// from an exchange.
const (
	ScopeAdmin           = "admin"
	ScopeIntegratorAdmin = "integrator.admin"
)

// Limits of the wire; past one of them a request is refused, never cut.
const (
	MaxBodyBytes         = 64 << 10
	MaxSubjectTokenBytes = 32 << 10
	MaxRequestedScopes   = 64
	MaxGrantedScopeBytes = 8 << 10
	MaxTargets           = 16 // audience and resource values together
)

// Generations of the integrator and the client a token was issued to. A token
// of an older generation is dead: raising a counter revokes everything issued
// before, without clocks and without a row per token.
type Generations struct {
	Integrator int64
	Client     int64
}

// IsOwnScope tells whether scope is one of Cambio's own, which no foreign
// permission may become.
func IsOwnScope(scope string) bool {
	return scope == ScopeAdmin || scope == ScopeIntegratorAdmin
}

// ValidScope tells whether scope is one scope-token of RFC 6749 §3.3:
// 1*( %x21 / %x23-5B / %x5D-7E ).
func ValidScope(scope string) bool {
	if scope == "" {
		return false
	}
	for i := range len(scope) {
		if c := scope[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// Client is what a grant must know about whoever asks.
type Client struct {
	ID                 string
	IntegratorID       string // empty: a client of no integrator (the operator's, a resource server's)
	IntegratorDisabled bool
	Public             bool          // it has no credentials, so nobody knows who it is
	GrantTypes         []string      // that it may use
	Scopes             []string      // nil: none set, which each grant reads in its own way
	MaxLifetime        time.Duration // of issued tokens; 0: no limit of its own
	Generations        Generations
}
