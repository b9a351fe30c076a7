package registry

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// Methods of client authentication (RFC 7591 §2) that a client may register.
const (
	AuthBasic = "client_secret_basic"
	AuthPost  = "client_secret_post"
	AuthKey   = "private_key_jwt"
	AuthNone  = "none"
)

// Bounds of clients: all of them are held in memory by every replica.
const (
	MaxClients       = 1000 // of an integrator
	MaxClientSecrets = 5    // at once
	MaxClientScopes  = 256
	MaxJWKSBytes     = 16 << 10
)

// ClientState is what is known of a client besides what somebody registered.
type ClientState struct {
	LastUsed time.Time      // when it last got a token; zero: never
	Secrets  []ClientSecret // without their hashes, the oldest first
}

// ClientTerms are what a client is stored under besides its own members.
type ClientTerms struct {
	// AnyScope lets the client have scopes that its integrator is not entitled
	// to: an operator knows what it does.
	AnyScope bool
}

// MaxAccessTokenTTL bounds access_token_ttl.
const MaxAccessTokenTTL = 24 * time.Hour

// Validate reports what is wrong with a client. Which grant types exist, and
// whether a scope is one, is for the caller's vocabulary to say.
func (c *Client) Validate(grantTypes []string, validScope func(string) bool) error {
	var faults Invalid
	faults.Add(ValidName(c.Name), "/client_name", "invalid", "want 1 to 1024 bytes of printable text")
	faults.Add(slices.Contains([]string{AuthBasic, AuthPost, AuthKey, AuthNone}, c.AuthMethod), "/token_endpoint_auth_method", "invalid",
		"want client_secret_basic, client_secret_post, private_key_jwt or none")
	keyed := c.AuthMethod == AuthKey
	faults.Add(keyed == (c.JWKS != "" || c.JWKSURI != ""), "/jwks", "invalid", "want jwks or jwks_uri with private_key_jwt, and neither with another method")
	faults.Add(len(c.JWKS) <= MaxJWKSBytes, "/jwks", "invalid", "want at most 16 KiB")
	faults.Add(c.JWKS == "" || c.JWKSURI == "", "/jwks_uri", "invalid", "want jwks or jwks_uri, not both (RFC 7591 section 2)")
	known := !slices.ContainsFunc(c.GrantTypes, func(g string) bool { return !slices.Contains(grantTypes, g) })
	faults.Add(known && unique(c.GrantTypes), "/grant_types", "invalid", "want some of "+strings.Join(grantTypes, " "))
	faults.Add(!c.Public() || !slices.Contains(c.GrantTypes, "client_credentials"), "/grant_types", "invalid",
		"a client without credentials may not use client_credentials (RFC 6749 section 4.4)")
	sound := !slices.ContainsFunc(c.Scopes, func(s string) bool { return !validScope(s) })
	faults.Add(len(c.Scopes) <= MaxClientScopes, "/scope", "invalid", "want at most 256 scope-tokens")
	faults.Add(sound && unique(c.Scopes), "/scope", "invalid", "want scope-tokens of RFC 6749 section 3.3, each once, separated by single spaces")
	faults.Add(c.AccessTokenTTL >= 0 && c.AccessTokenTTL <= MaxAccessTokenTTL, "/access_token_ttl", "invalid", "want 1 to 86400 seconds")
	faults.Add(!slices.ContainsFunc(c.AllowedOrigins, func(o string) bool { return !validOrigin(o) }) && len(c.AllowedOrigins) <= 64,
		"/allowed_origins", "invalid", "want at most 64 origins, such as https://app.example")
	faults.checkStatus(c.Status)
	return faults.Err()
}

// validOrigin: exactly what a browser sends in Origin (RFC 6454 §6.2).
func validOrigin(origin string) bool {
	u, err := url.Parse(origin)
	ascii := !strings.ContainsFunc(origin, func(r rune) bool { return r <= ' ' || r > '~' })
	return err == nil && ascii && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" &&
		origin == u.Scheme+"://"+strings.ToLower(u.Host) &&
		!strings.HasSuffix(origin, ":") && !(u.Scheme == "https" && u.Port() == "443") && !(u.Scheme == "http" && u.Port() == "80")
}

// KeySource names the keys behind a client's jwks_uri.
func (c *Client) KeySource() KeySource {
	return KeySource{IntegratorID: c.IntegratorID, URL: c.JWKSURI, Format: FormatJWKS}
}
