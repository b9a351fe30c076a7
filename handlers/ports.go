package handlers

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
	"github.com/cambio-oauth/cambio/grants/clientassertion"
	"github.com/cambio-oauth/cambio/grants/permissions"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
)

// Config is what the doors need.
type Config struct {
	Issuer  string // issuer identifier, byte-exact in tokens and metadata
	Clients Clients
	// Assertions judges those by which clients authenticate.
	Assertions *clientassertion.Verifier
	// Exchange decides about token exchanges.
	Exchange func(ctx context.Context, r tokenexchange.Request) (*tokenexchange.Decision, error)
	Targets  tokenexchange.Targets
	Minter   *accesstoken.Minter
	Verifier *accesstoken.Verifier
	// Alive tells whether a token that verifies is neither revoked nor of an
	// older generation. An error means that nobody can tell.
	Alive func(ctx context.Context, claims *accesstoken.Claims) (bool, error)
	// Revoke makes a token dead; nil means that this is durable.
	Revoke func(ctx context.Context, jti string, expiresAt time.Time) error
	// Record keeps the record of an attempt. When it fails no token leaves.
	Record func(ctx context.Context, a Attempt) error
	// JWKS is the document of our public keys, Algorithms what they sign with.
	JWKS       func() []byte
	Algorithms func() []string
	// Sign gives the compact JWS of a payload under the active key, with typ in
	// its header.
	Sign        func(ctx context.Context, typ string, payload []byte) (string, error)
	MaxLifetime time.Duration // ceiling of an issued token's life
	Now         func() time.Time
	Log         *slog.Logger
	// Proxies are believed when they say for whom they ask.
	Proxies []netip.Prefix
	// Observe is told of every finished request, for metrics.
	Observe func(context.Context, Event)
}

// Clients knows the registered clients.
type Clients interface {
	// Find gives a client, nil when there is none of that id or it is
	// disabled, and what proves says of it; an error when nobody can tell.
	// Before it says "no" it makes sure that its knowledge is current, for an
	// unknown client and for a wrong secret alike.
	Find(ctx context.Context, clientID string, proves func(*Client) bool) (client *Client, proven bool, err error)
	// Matches tells whether secret is one of the client's. It takes as long
	// for a client that does not exist, which is nil.
	Matches(client *Client, secret string) bool
}

// Client is a registered client as the doors see it.
type Client struct {
	grants.Client
	Keys           *clientassertion.Keys // of private_key_jwt; then there is no secret
	AllowedOrigins []string
	Operator       bool   // may introspect every token
	Audience       string // of a resource server: may introspect tokens for it
	Registration   any    // what Clients made it from; the doors do not look inside
}

// Attempt is the record of one attempt to get a token.
type Attempt struct {
	At           time.Time
	GrantType    string
	IntegratorID string
	ClientID     string
	Issuer       string
	Subject      string
	KeyID        string
	Granted      []string
	Dropped      []permissions.Dropped
	TokenID      string // jti; empty when refused
	ExpiresAt    time.Time
	Refusal      *grants.Refusal // nil when granted
	Stranger     bool            // whoever tried did not authenticate

	SubjectTokenHash string               // tokenexchange.Request.SubjectTokenHash
	Audit            *tokenexchange.Audit // nil: no change was on trial
}

// Event is one finished request.
type Event struct {
	// IntegratorID is not for metrics: there are any number of them.
	IntegratorID string
	Endpoint     string // token, introspect, revoke, metadata, jwks
	Grant        string // of the token endpoint: a known grant type or empty
	Status       int
	Code         grants.Code
	Reason       grants.Reason
	Duration     time.Duration
	TurnedAway   bool // with thousands of others: it has no line in the log
}
