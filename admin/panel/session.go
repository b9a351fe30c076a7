package panel

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/cambio-oauth/cambio/admin"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
	"github.com/cambio-oauth/cambio/registry"
)

// Limits of a session (ADM-06).
const (
	idleLimit     = 30 * time.Minute
	absoluteLimit = 8 * time.Hour
	touchInterval = time.Minute // how exactly the idle time is known
	tokenBytes    = 32
	liveHeader    = "X-Cambio-Live"
)

// Role says what somebody is to the panel. It is said apart from the caller,
// where an integrator that is missing would be the operator.
type Role string

// The two roles.
const (
	RoleOperator   Role = "operator"
	RoleIntegrator Role = "integrator"
)

// sound tells whether a person is one: of a role, and with the caller that goes
// with it.
func (p *Person) sound() bool {
	if p.Caller.ClientID == "" {
		return false
	}
	return p.Role == RoleOperator && p.Caller.IntegratorID == "" || p.Role == RoleIntegrator && p.Caller.IntegratorID != ""
}

// Person is who is signed in.
type Person struct {
	Role       Role                `json:"role"`
	Name       string              `json:"name"` // for people
	Caller     admin.Caller        `json:"caller"`
	Claims     *accesstoken.Claims `json:"claims,omitempty"` // of who signed in as a client
	SignedInAt time.Time           `json:"signed_in_at"`
}

// cookieName: a browser sends a __Host- cookie to this host only, by https, and
// no other host can set it.
func (p *Panel) cookieName() string {
	if p.secure {
		return "__Host-cambio"
	}
	return "cambio"
}

func (p *Panel) cookie(name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge, Secure: p.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// begin signs somebody in: under a new token, whatever the browser had before
// (session fixation).
func (p *Panel) begin(r *http.Request, person Person) (*http.Cookie, error) {
	if !person.sound() {
		return nil, errors.New("whoever signs in at the panel is an operator or an integrator's person")
	}
	if err := p.end(r); err != nil {
		return nil, err
	}
	raw := make([]byte, tokenBytes)
	_, _ = rand.Read(raw) // never fails
	token := base64.RawURLEncoding.EncodeToString(raw)
	now := p.config.Now()
	person.SignedInAt = now
	data, err := json.Marshal(person)
	if err != nil {
		return nil, err
	}
	session := registry.Session{TokenHash: hashOf(token), Person: data, SeenAt: now, ExpiresAt: now.Add(absoluteLimit)}
	if err := p.config.Sessions.CreateSession(r.Context(), session); err != nil {
		return nil, err
	}
	p.config.Log.InfoContext(r.Context(), "somebody signed in at the panel", "client_id", person.Caller.ClientID, "integrator_id", person.Caller.IntegratorID)
	return p.cookie(p.cookieName(), token, 0), nil
}

// end ends the session of a request, on every replica.
func (p *Panel) end(r *http.Request) error {
	cookie, err := r.Cookie(p.cookieName())
	if err != nil || cookie.Value == "" {
		return nil
	}
	return p.config.Sessions.EndSession(r.Context(), hashOf(cookie.Value))
}

func hashOf(token string) []byte {
	hash := sha256.Sum256([]byte(token))
	return hash[:]
}

// person gives who is signed in, or nil.
func (p *Panel) person(r *http.Request) (*Person, error) {
	cookie, err := r.Cookie(p.cookieName())
	if err != nil || len(cookie.Value) != base64.RawURLEncoding.EncodedLen(tokenBytes) { // none of ours: no question to the database
		return nil, nil
	}
	ctx, now, hash := r.Context(), p.config.Now(), hashOf(cookie.Value)
	session, err := p.config.Sessions.Session(ctx, hash)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !now.Before(session.ExpiresAt) || now.Sub(session.SeenAt) >= idleLimit {
		return nil, p.config.Sessions.EndSession(ctx, hash)
	}
	person := &Person{}
	if err := json.Unmarshal(session.Person, person); err != nil || !person.sound() {
		return nil, p.config.Sessions.EndSession(ctx, hash)
	}
	alive, err := p.alive(ctx, person)
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		err = errors.Join(&problem{Status: http.StatusForbidden, Title: "You are signed out", Detail: refused.Detail}, p.config.Sessions.EndSession(ctx, hash))
	}
	if err != nil || !alive {
		return nil, err
	}
	// What the script asks by itself is no use: nobody need be there.
	if now.Sub(session.SeenAt) >= touchInterval && r.Header.Get(liveHeader) == "" {
		err = p.config.Sessions.TouchSession(ctx, hash, now)
	}
	return person, err
}

// alive: a client that was disabled, whose secret was replaced at once or whose
// tokens were revoked is signed out. Who came from the identity provider has no
// token.
func (p *Panel) alive(ctx context.Context, person *Person) (bool, error) {
	if person.Claims == nil {
		return p.held(ctx, person)
	}
	return p.config.Alive(ctx, person.Claims, person.SignedInAt)
}
