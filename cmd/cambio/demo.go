package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cambio-oauth/cambio/grants"
)

const (
	demoOperator    = "operator"
	demoPermissions = "lockHolder.identifier:NO.919424508.east,lockHolder.identifier:NO.425234653.north,read:everything"
)

// runDemo shows the main job on a server of its own.
func runDemo(cmd *cobra.Command, _ []string) error {
	once, err := cmd.Flags().GetBool("once")
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "cambio-demo-")
	if err != nil {
		return err
	}
	err = demonstrate(cmd.Context(), cmd.OutOrStdout(), folder, once)
	return errors.Join(err, os.RemoveAll(folder))
}

func demonstrate(ctx context.Context, out io.Writer, folder string, once bool) error {
	secret, err := randomHex()
	if err != nil {
		return err
	}
	values, err := load("", map[string]string{
		"listen": demoAddress(), "ops_listen": "", "database_url": "sqlite://" + filepath.Join(folder, "cambio.db"),
		"key_url_allow": "127.0.0.1/32", "shutdown_delay": "0s", "operator_client_id": demoOperator, "operator_client_secret": secret,
	}, nil)
	if err != nil {
		return err
	}
	c, err := newConfig(values)
	if err != nil {
		return err
	}
	p, err := start(ctx, c, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return err
	}
	idp, err := newDemoIDP(c.issuer)
	if err != nil {
		return errors.Join(err, p.shutdown())
	}
	tour := &tour{ctx: ctx, out: out, issuer: c.issuer, idp: idp, operatorSecret: secret}
	if err = tour.run(); err == nil && !once {
		tour.invite()
		<-ctx.Done()
		fmt.Fprintln(out)
	}
	return errors.Join(err, idp.close(), p.shutdown())
}

// demoAddress is the usual one, unless somebody has it.
func demoAddress() string {
	const usual = "127.0.0.1:8080"
	listener, err := net.Listen("tcp", usual)
	if err != nil {
		return "127.0.0.1:0"
	}
	_ = listener.Close()
	return usual
}

func randomHex() (string, error) {
	var random [24]byte
	_, err := rand.Read(random[:])
	return hex.EncodeToString(random[:]), err
}

// tour is one walk down the main road, over HTTP like anybody else's.
type tour struct {
	ctx            context.Context
	out            io.Writer
	issuer         string
	idp            *demoIDP
	operatorSecret string
	operatorToken  string

	integratorID           string
	clientID, clientSecret string
	apiID, apiSecret       string
	subjectToken, foreign  string
	accessToken            string
}

func (t *tour) run() error {
	fmt.Fprintf(t.out, "cambio %s, a demonstration on embedded SQLite\n", buildVersion())
	fmt.Fprintf(t.out, "  authorization server  %s\n  identity provider     %s (the integrator's own; here it signs in anybody)\n", t.issuer, t.idp.URL)
	for _, step := range []func() error{t.prepare, t.mint, t.exchange, t.introspect, t.refuse, t.revoke} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// prepare is what an operator does once for each integrator.
func (t *tour) prepare() error {
	t.heading("The operator gets a token for the admin API (client credentials, RFC 6749 section 4.4)")
	answer, err := t.post("/oauth2/token", demoOperator, t.operatorSecret, url.Values{
		"grant_type": {grants.ClientCredentials}, "scope": {grants.ScopeAdmin},
	})
	if err != nil {
		return err
	}
	t.operatorToken = answer["access_token"].(string)

	t.heading("The operator registers the integrator, its lock holder, its key URL and a client, and the platform's API")
	integrator, err := t.admin("/integrators", map[string]any{"name": "Acme Coworking"})
	if err != nil {
		return err
	}
	t.integratorID = integrator["id"].(string)
	holder, err := t.admin("/lock-holders", map[string]any{
		"name": "Acme East", "country_iso": "NO", "organization_id": "919424508", "organization_id_suffix": "east",
	})
	if err != nil {
		return err
	}
	of := "/integrators/" + t.integratorID
	if err := t.link(of + "/lock-holders/" + holder["id"].(string)); err != nil {
		return err
	}
	if _, err := t.admin(of+"/key-urls", map[string]any{"issuer": t.idp.URL, "url": t.idp.URL + ".well-known/jwks.json"}); err != nil {
		return err
	}
	client, err := t.admin(of+"/clients", map[string]any{"client_name": "backend"})
	if err != nil {
		return err
	}
	t.clientID, t.clientSecret = client["client_id"].(string), client["client_secret"].(string)
	api, err := t.admin("/resource-servers", map[string]any{"name": "Lock API", "audience": "https://locks.example"})
	if err != nil {
		return err
	}
	t.apiID, t.apiSecret = api["client_id"].(string), api["client_secret"].(string)
	return nil
}

// mint is what happens when a user signs in at the integrator.
func (t *tour) mint() (err error) {
	t.heading("A user signs in at the integrator's identity provider, which signs a JWT: the subject token")
	t.subjectToken, err = t.fetch(t.idp.URL + "token?permissions=" + url.QueryEscape(demoPermissions))
	if err != nil {
		return err
	}
	t.decoded("subject token", t.subjectToken)
	t.foreign, err = t.fetch(t.idp.URL + "token?aud=https%3A%2F%2Fsomebody-else.example&permissions=" + url.QueryEscape(demoPermissions))
	return err
}

func (t *tour) exchange() error {
	t.heading("The integrator exchanges it for an access token of the platform (RFC 8693)")
	answer, err := t.post("/oauth2/token", t.clientID, t.clientSecret, t.exchangeForm(t.subjectToken))
	if err != nil {
		return err
	}
	t.accessToken = answer["access_token"].(string)
	t.decoded("access token", t.accessToken)
	t.note("Three permissions went in. One became a scope: the lock holder this integrator manages.")
	return nil
}

func (t *tour) exchangeForm(subjectToken string) url.Values {
	return url.Values{
		"grant_type": {grants.TokenExchange}, "subject_token_type": {grants.TokenTypeJWT}, "subject_token": {subjectToken},
		"audience": {"https://locks.example"},
	}
}

func (t *tour) introspect() error {
	t.heading("The platform's API asks whether the token is good (RFC 7662)")
	answer, err := t.post("/oauth2/introspect", t.apiID, t.apiSecret, url.Values{"token": {t.accessToken}})
	if err == nil && answer["active"] != true {
		err = errors.New("the token ought to be active")
	}
	return err
}

func (t *tour) refuse() error {
	t.heading("A token that was signed for somebody else is refused, and the client learns why")
	answer, err := t.send("/oauth2/token", t.clientID, t.clientSecret, t.exchangeForm(t.foreign))
	if err == nil && answer["reason"] != string(grants.AudienceMismatch) {
		err = errors.New("the token ought to be refused for its audience")
	}
	return err
}

func (t *tour) revoke() error {
	t.heading("The integrator revokes its token (RFC 7009), and it is dead at the next question")
	if _, err := t.post("/oauth2/revoke", t.clientID, t.clientSecret, url.Values{"token": {t.accessToken}}); err != nil {
		return err
	}
	answer, err := t.post("/oauth2/introspect", t.apiID, t.apiSecret, url.Values{"token": {t.accessToken}})
	if err == nil && answer["active"] != false {
		err = errors.New("the token ought to be inactive")
	}
	return err
}
