package oidc

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	rp "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/cambio-oauth/cambio/admin/panel"
	"github.com/cambio-oauth/cambio/grants/strictjson"
)

// CallbackPath is where the provider sends the browser back to, below the
// issuer. It is registered there as it stands.
const CallbackPath = panel.Prefix + "oidc/callback"

// Config is what signing in at an identity provider needs.
type Config struct {
	Issuer       string
	ClientID     string
	ClientSecret string // empty: a public client, which PKCE alone protects
	Scopes       []string
	RedirectURL  string // this server's issuer with CallbackPath
	// Operators are who this is true of.
	Operators Rule
	// IntegratorClaim holds the id of the integrator whose people they are. Empty:
	// nobody but operators.
	IntegratorClaim Claim
	// Integrator tells whether an integrator is active. registry.ErrNotFound: there
	// is none with this id.
	Integrator func(ctx context.Context, id string) (active bool, err error)
	Now        func() time.Time
}

// Provider is an identity provider. It implements panel.Provider.
type Provider struct {
	config   Config
	host     string
	client   *http.Client
	metadata metadata
}

// New makes a provider. It asks it nothing yet: a provider that is down keeps
// nobody from starting the server.
func New(config Config) (*Provider, error) {
	issuer, err := url.Parse(config.Issuer)
	if err != nil {
		return nil, err
	}
	return &Provider{config: config, host: issuer.Host, client: newClient(), metadata: newMetadata()}, nil
}

// Host implements panel.Provider.
func (p *Provider) Host() string { return p.host }

// pending is what the browser that was sent away has to bring back.
type pending struct {
	State    string `json:"state"`    // RFC 6749 §10.12: the answer is for this browser
	Nonce    string `json:"nonce"`    // Core §3.1.2.1: so is the ID token
	Verifier string `json:"verifier"` // RFC 7636: so is the code
}

func (p pending) whole() bool { return p.State != "" && p.Nonce != "" && p.Verifier != "" }

// Start implements panel.Provider.
func (p *Provider) Start(ctx context.Context) (target string, kept []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	found, err := p.discovered(ctx)
	if err != nil {
		return "", nil, err
	}
	fresh := pending{State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier()}
	if kept, err = json.Marshal(fresh); err != nil {
		return "", nil, err
	}
	return p.flow(found).AuthCodeURL(fresh.State, rp.Nonce(fresh.Nonce), oauth2.S256ChallengeOption(fresh.Verifier)), kept, nil
}

// random gives 256 bits.
func random() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}

func (p *Provider) flow(found *found) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.config.ClientID, ClientSecret: p.config.ClientSecret, Endpoint: found.endpoint,
		RedirectURL: p.config.RedirectURL, Scopes: p.config.Scopes,
	}
}

// Finish implements panel.Provider.
func (p *Provider) Finish(ctx context.Context, kept []byte, answer url.Values) (*panel.Person, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var began pending
	if err := json.Unmarshal(kept, &began); err != nil || !began.whole() {
		return nil, errors.Join(errors.New("what the browser brought back is not what it was given"), err)
	}
	found, err := p.discovered(ctx)
	if err != nil {
		return nil, err
	}
	code, err := p.code(found, began, answer)
	if err != nil {
		return nil, err
	}
	idToken, err := p.exchange(ctx, found, code, began.Verifier)
	if err != nil {
		return nil, err
	}
	claims, err := p.verify(ctx, found, idToken, began.Nonce)
	if err != nil {
		return nil, err
	}
	return p.person(ctx, claims)
}

// code reads the answer that the browser brought (RFC 6749 §4.1.2).
func (p *Provider) code(found *found, began pending, answer url.Values) (string, error) {
	for name, values := range answer {
		if len(values) > 1 { // RFC 6749 §3.1
			return "", refuse(nil, "The identity provider's answer holds %s twice. Begin again.", shown(name, 32))
		}
	}
	// Login CSRF (RFC 9700 §4.7.1): the answer to somebody else's sign-in.
	if subtle.ConstantTimeCompare([]byte(answer.Get("state")), []byte(began.State)) != 1 {
		return "", refuse(nil, "This answer of the identity provider belongs to another sign-in, which was begun before or in another browser. Begin again.")
	}
	// Mix-up (RFC 9207 §2.4): the answer of another provider, of errors too.
	if iss := answer.Get("iss"); answer.Has("iss") && iss != p.config.Issuer || !answer.Has("iss") && found.namesItself {
		return "", refuse(fmt.Errorf("iss %q in the answer, want %q", shown(iss, 200), p.config.Issuer),
			"This is not an answer of the identity provider that you were sent to. Begin again.")
	}
	if answer.Has("error") {
		return "", refusedBy(answer)
	}
	code := answer.Get("code")
	if code == "" {
		return "", refuse(nil, "The identity provider's answer holds no code. Begin again.")
	}
	return code, nil
}

// refusedBy tells what the provider says, which is text of strangers.
func refusedBy(answer url.Values) error {
	text := shown(answer.Get("error"), 64)
	if description := shown(answer.Get("error_description"), 200); description != "" {
		text += ": " + description
	}
	return refuse(nil, "The identity provider did not sign you in. It says: %s", text)
}

// exchange redeems the code (RFC 6749 §4.1.3, RFC 7636 §4.5).
func (p *Provider) exchange(ctx context.Context, found *found, code, verifier string) (idToken string, err error) {
	token, err := p.flow(found).Exchange(rp.ClientContext(ctx, p.client), code, oauth2.VerifierOption(verifier))
	if failed := (*oauth2.RetrieveError)(nil); errors.As(err, &failed) {
		what := fmt.Errorf("the token endpoint answered %s %s", failed.Response.Status, strings.TrimSpace(shown(failed.ErrorCode, 64)+" "+shown(failed.ErrorDescription, 200)))
		if failed.ErrorCode == "invalid_grant" {
			return "", refuse(what, "The identity provider does not take this code any more: it was used already, or it took too long. Begin again.")
		}
		return "", what // without the body, which may hold tokens
	}
	if err != nil {
		return "", bounded(err)
	}
	idToken, ok := token.Extra("id_token").(string)
	if !ok || idToken == "" {
		return "", errors.New("the token endpoint answered without an ID token")
	}
	return idToken, nil
}

// verify judges an ID token (Core §3.1.3.7) and gives its claims. Signature,
// iss, aud and exp are the library's; it reads JSON loosely, so the rest is read
// strictly: a name that stands twice would be checked once and used once.
func (p *Provider) verify(ctx context.Context, found *found, idToken, nonce string) (strictjson.Members, error) {
	keys := &watchedKeys{KeySet: found.keys}
	token, err := rp.NewVerifier(p.config.Issuer, keys, &rp.Config{
		ClientID: p.config.ClientID, SupportedSigningAlgs: found.algorithms, Now: p.config.Now,
	}).Verify(ctx, idToken)
	if keys.failed != nil {
		return nil, bounded(keys.failed)
	}
	if err != nil {
		return nil, unverified(bounded(err))
	}
	claims, err := strictjson.Object(keys.payload)
	if err != nil {
		return nil, unverified(err)
	}
	// Replay of an ID token of another sign-in (Core §3.1.3.7 11).
	if signed, _ := claims.Text("nonce"); subtle.ConstantTimeCompare([]byte(signed), []byte(nonce)) != 1 {
		return nil, unverified(errors.New("the nonce is of another sign-in"))
	}
	// A token that was made for another client which may name us too (Core §3.1.3.7 4, 5).
	if azp, ok := claims.Text("azp"); claims["azp"] != nil && azp != p.config.ClientID || !ok && len(token.Audience) > 1 {
		return nil, unverified(fmt.Errorf("azp is %q and not this client", shown(azp, 200)))
	}
	return claims, nil
}

func unverified(cause error) error {
	return refuse(cause, "What the identity provider signed cannot be believed: %s. Begin again; if that does not help, an operator of this platform has to look at its registration there.", cause)
}

// watchedKeys tells keys that cannot be fetched from signatures that are wrong,
// and keeps what was signed.
type watchedKeys struct {
	rp.KeySet
	payload []byte
	failed  error
}

// VerifySignature implements rp.KeySet.
func (w *watchedKeys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := w.KeySet.VerifySignature(ctx, token)
	if errors.Unwrap(err) != nil { // only what went wrong on the way to the keys is wrapped
		w.failed = err
	}
	w.payload = payload
	return payload, err
}

// refuse says to somebody why they cannot sign in, and to the log what was
// wrong.
func refuse(cause error, format string, args ...any) error {
	return &panel.Refused{Detail: fmt.Sprintf(format, args...), Cause: cause}
}
