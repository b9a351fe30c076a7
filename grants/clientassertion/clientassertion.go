package clientassertion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/grants/jws"
)

// Type is the client_assertion_type (RFC 7523 §2.2).
const Type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Bounds of an assertion.
const (
	MaxBytes    = 16 << 10
	MaxLifetime = time.Hour // from now to exp: as long its jti has to be remembered
	leeway      = 60 * time.Second
	maxIDBytes  = 255
)

// Algorithms are those an assertion may be signed with. What a client
// registered its key for limits them further.
func Algorithms() []string {
	return []string{"RS256", "PS256", "ES256", "EdDSA", "Ed25519"}
}

// Assertion is a client assertion that is well formed. Nothing it says is
// proved yet.
type Assertion struct {
	ClientID string // iss and sub
	ID       string // jti
	Audience []string
	Expires  time.Time

	signed *jws.Token
	starts time.Time // the later one of iat and nbf; zero when there is neither
}

// Parse bounds and reads an assertion. Its refusals tell only of what was sent,
// so they are fit for strangers.
func Parse(raw string) (*Assertion, *grants.Refusal) {
	signed, err := jws.ParseJWT(raw, MaxBytes)
	switch {
	case errors.Is(err, jws.ErrTooLarge):
		return nil, refuse("is larger than %d bytes", MaxBytes)
	case errors.Is(err, jws.ErrHeaderNotAllowed):
		return nil, refuse("has a header that is not allowed: crit, b64, zip, enc or cty")
	case err != nil:
		return nil, refuse("is not a well-formed signed JWT")
	}
	switch signed.Type {
	case "", "jwt", "client-authentication+jwt": // RFC 8725 §3.11, draft-ietf-oauth-rfc7523bis
	default:
		return nil, refuse("has a typ that was made for another purpose")
	}
	if !slices.Contains(Algorithms(), signed.Algorithm) {
		return nil, refuse("must be signed with one of %s", strings.Join(Algorithms(), " "))
	}
	a := &Assertion{signed: signed}
	if refusal := a.readNames(); refusal != nil {
		return nil, refusal
	}
	return a, a.readTimes()
}

// readNames: RFC 7523 §3 items 1 and 2, RFC 7521 §4.2: a client speaks for
// itself. OpenID Connect Core §9 requires jti, and so do we.
func (a *Assertion) readNames() *grants.Refusal {
	members := a.signed.Members
	issuer, _ := members.Text("iss")
	subject, _ := members.Text("sub")
	if issuer == "" || issuer != subject {
		return refuse("must have the client_id as iss and as sub")
	}
	id, _ := members.Text("jti")
	if id == "" || len(id) > maxIDBytes {
		return refuse("must have a jti of 1 to %d bytes, a new one each time", maxIDBytes)
	}
	audience, ok := members.TextOrTexts("aud")
	if !ok || len(audience) == 0 {
		return refuse("must have an aud")
	}
	a.ClientID, a.ID, a.Audience = subject, id, audience
	return nil
}

func (a *Assertion) readTimes() *grants.Refusal {
	read := func(claim string) (time.Time, bool) {
		raw, ok := a.signed.Members[claim]
		if !ok {
			return time.Time{}, true
		}
		return assertion.NumericDate(raw)
	}
	expires, soundExp := read("exp")
	issued, soundIat := read("iat")
	notBefore, soundNbf := read("nbf")
	if expires.IsZero() || !soundExp || !soundIat || !soundNbf {
		return refuse("must have exp, and may have iat and nbf, as numbers of seconds since 1970")
	}
	a.Expires, a.starts = expires, issued
	if notBefore.After(issued) {
		a.starts = notBefore
	}
	return nil
}

// Keys are those a client registered.
type Keys struct {
	Source assertion.Keys
	Ref    assertion.KeyRef
	Epoch  int64 // keys fetched under an older one are not used
}

// Replays remembers which assertions were used.
type Replays interface {
	// Consume uses up the assertion of this client and jti until it has
	// expired, and tells whether this was the first time.
	Consume(ctx context.Context, clientID, tokenID string, expiresAt time.Time) (first bool, err error)
}

// Verifier verifies client assertions.
type Verifier struct {
	// Audiences are the names this server goes by: its issuer and its
	// endpoints.
	Audiences []string
	Replays   Replays
	Now       func() time.Time
}

// CheckClaims judges all that needs no key. Like those of Parse, its refusals
// are fit for strangers.
func (v *Verifier) CheckClaims(a *Assertion) *grants.Refusal {
	now := v.Now()
	// All of them, not one: an assertion that is meant for others too can be
	// replayed by them (audience injection, rfc7523bis).
	if slices.ContainsFunc(a.Audience, func(aud string) bool { return !slices.Contains(v.Audiences, aud) }) {
		return refuse("must have no aud but this server: %s", v.Audiences[0])
	}
	switch {
	case !a.Expires.After(now):
		return refuse("expired %s ago", now.Sub(a.Expires).Round(time.Second))
	case a.Expires.Sub(now) > MaxLifetime+leeway:
		return refuse("must expire within %s", MaxLifetime)
	case a.starts.After(now.Add(leeway)):
		return refuse("is not yet valid: iat or nbf lies %s in the future", a.starts.Sub(now).Round(time.Second))
	}
	return nil
}

// Verify judges the signature, and uses the assertion up when that was good: it
// authenticates once. A refusal for anything but our own failures is fixed, so
// that it tells nothing of the client.
func (v *Verifier) Verify(ctx context.Context, a *Assertion, keys Keys) *grants.Refusal {
	verifier := &assertion.Verifier{Keys: keys.Source, Now: v.Now}
	refusal := verifier.VerifySignature(ctx, a.signed, &assertion.Policy{Algorithms: Algorithms(), Keys: keys.Ref, KeysEpoch: keys.Epoch})
	switch {
	case refusal != nil && refusal.Code == grants.TemporarilyUnavailable:
		return grants.Unavailable(refusal.Reason, "the keys of the client cannot be fetched at the moment", refusal.Cause)
	case refusal != nil:
		return &grants.Refusal{Code: grants.InvalidClient, Description: "client authentication failed", Cause: refusal}
	}
	first, err := v.Replays.Consume(ctx, a.ClientID, a.ID, a.Expires)
	if err != nil {
		return grants.Unavailable(grants.DatabaseUnavailable, "whether the client assertion was used before cannot be told at the moment", err)
	}
	if !first {
		return refuse("was used before: each request needs one with a new jti")
	}
	return nil
}

func refuse(format string, args ...any) *grants.Refusal {
	return &grants.Refusal{Code: grants.InvalidClient, Description: "the client assertion " + fmt.Sprintf(format, args...)}
}
