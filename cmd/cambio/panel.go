package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cambio-oauth/cambio/admin"
	"github.com/cambio-oauth/cambio/admin/panel"
	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// panel makes the admin panel.
func (p *program) panel(api *admin.API, verifier *accesstoken.Verifier, tokens http.Handler) (*panel.Panel, error) {
	key, err := p.config.derive("panel")
	if err != nil {
		return nil, err
	}
	provider, err := p.signInOfPeople()
	if err != nil {
		return nil, err
	}
	return panel.New(panel.Config{
		Ask:      api.Ask,
		Sessions: p.store,
		SignIn:   clientSignIn{tokens, verifier, p.directory.Snapshot}.signIn,
		Alive:    p.stillSignedIn,
		Setup:    firstOperator{p, &atomic.Bool{}},
		Provider: provider,
		Issuer:   p.config.issuer,
		Key:      key,
		Version:  buildVersion(),
		Now:      p.config.now,
		Log:      p.log,
	})
}

// clientSignIn signs somebody in at the panel as a client: by a token that the
// token endpoint gives for its credentials. There is one door for credentials,
// with its limits and its record.
type clientSignIn struct {
	tokens   http.Handler
	verifier *accesstoken.Verifier
	known    func() (*registry.Snapshot, error)
}

func (s clientSignIn) signIn(r *http.Request, clientID, secret string) (*accesstoken.Claims, error) {
	known, err := s.known()
	if err != nil {
		return nil, err
	}
	// One attempt, for the scope that the client can have: each is in the record.
	scope := grants.ScopeAdmin
	if client := known.Client(clientID); client != nil && client.Owner == registry.OwnerIntegrator {
		scope = grants.ScopeIntegratorAdmin
	}
	token, err := s.ask(r, clientID, secret, scope)
	if err != nil {
		return nil, err
	}
	claims, err := s.verifier.Verify(r.Context(), token)
	if err == nil && (claims.IntegratorID == "") != claims.HasScope(grants.ScopeAdmin) {
		err = panel.ErrNotAllowed
	}
	return claims, err
}

// stillSignedIn: a token is as good as its generations; who signed in with a
// secret goes with the last secret that there was then.
func (p *program) stillSignedIn(ctx context.Context, claims *accesstoken.Claims, since time.Time) (bool, error) {
	live, err := alive(p.store)(ctx, claims)
	if err != nil || !live {
		return false, err
	}
	return p.store.HasSecretSince(ctx, claims.ClientID, since)
}

func (s clientSignIn) ask(r *http.Request, clientID, secret, scope string) (token string, err error) {
	form := url.Values{"grant_type": {grants.ClientCredentials}, "scope": {scope}}
	ask, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	ask.RemoteAddr, ask.Header["X-Forwarded-For"] = r.RemoteAddr, r.Header["X-Forwarded-For"] // whose limits these are
	ask.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	ask.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(secret)) // RFC 6749 §2.3.1
	answer := admin.Recorded(s.tokens, ask)
	switch answer.Status {
	case http.StatusOK:
		var body struct {
			AccessToken string `json:"access_token"`
		}
		err := json.Unmarshal(answer.Body, &body)
		return body.AccessToken, err
	case http.StatusUnauthorized:
		return "", panel.ErrCredentials
	case http.StatusBadRequest: // invalid_scope, unauthorized_client
		return "", panel.ErrNotAllowed
	case http.StatusTooManyRequests:
		return "", panel.ErrTooMany
	}
	return "", fmt.Errorf("the token endpoint answered %d", answer.Status)
}

// firstOperator makes the operator's client where none is configured.
type firstOperator struct {
	p     *program
	found *atomic.Bool // there is one, and will be
}

const firstOperatorID = "operator"

// Needed implements panel.Setup.
func (f firstOperator) Needed(ctx context.Context) (bool, error) {
	if f.found.Load() {
		return false, nil
	}
	found, err := f.p.store.HasOperator(ctx)
	if err == nil && found {
		f.found.Store(true)
	}
	return !found, err
}

// Create implements panel.Setup.
func (f firstOperator) Create(ctx context.Context) (clientID, secret string, err error) {
	if secret, err = registry.NewClientSecret(); err != nil {
		return "", "", err
	}
	ctx = registry.WithEvent(ctx, &registry.PendingEvent{AuditEvent: registry.AuditEvent{
		ClientID: "the link for setting up", Action: "create", Kind: "clients", ObjectID: firstOperatorID,
	}})
	err = f.p.store.CreateFirstOperator(ctx, &registry.Client{
		ClientID: firstOperatorID, Owner: registry.OwnerOperator, Name: "operator", AuthMethod: registry.AuthBasic,
		GrantTypes: []string{grants.ClientCredentials}, Scopes: []string{grants.ScopeAdmin}, Status: registry.Active,
		Secrets: []registry.ClientSecret{{Hash: f.p.directory.pepper.Hash(secret)}},
	})
	if err == nil {
		f.p.changed(ctx)
	}
	return firstOperatorID, secret, err
}

// invite prints how to get into the panel of a server that has no operator yet,
// to a terminal only: the link must be in no log.
func (p *program) invite(ctx context.Context, out *os.File) error {
	if !isTerminal(out) {
		return nil
	}
	return printSetupLink(ctx, p.config, p.store, out)
}

func printSetupLink(ctx context.Context, c *config, store *storage.Store, out io.Writer) error {
	issuer := cmp.Or(c.issuer, "http://"+c.listen)
	found, err := store.HasOperator(ctx)
	if err != nil {
		return err
	}
	if found {
		_, err = fmt.Fprintf(out, "panel: %s%s\n", issuer, panel.Prefix)
		return err
	}
	key, err := c.derive("panel")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "There is no operator yet. Open this link within an hour to become it:\n\n  %s\n\n", panel.SetupLink(issuer, key, c.now()))
	return err
}

// setupLink is a command: for servers whose output is a log.
func setupLink(ctx context.Context, c *config, store *storage.Store, out io.Writer) error {
	if err := c.ensureSecretKey(newLogger(os.Stderr, c.logLevel)); err != nil {
		return err
	}
	return printSetupLink(ctx, c, store, out)
}
