package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"
	"github.com/ory/fosite"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
	"github.com/cambio-oauth/cambio/grants/clientassertion"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
)

// oneClient knows one client, and accepts every secret but "wrong".
type oneClient struct{}

func (oneClient) Find(_ context.Context, _ string, proves func(*Client) bool) (*Client, bool, error) {
	client := &Client{Client: grants.Client{ID: "app", IntegratorID: "acme", GrantTypes: []string{grants.ClientCredentials, grants.TokenExchange}}}
	return client, proves(client), nil
}

func (oneClient) Matches(_ *Client, secret string) bool { return secret != "wrong" }

// fosite.md §2.1, PRO-29: fosite fills empty fields of its Config on first use,
// without a lock, with what it would do by default: bcrypt, wildcards, a key
// fetcher without a guard. What it asks for is there, and what is not there it
// never asks for, whatever the request.
func TestFositeFillsInNothing(t *testing.T) {
	refusal := grants.RefuseToken(grants.Malformed, "x", "y", "z")
	s := New(Config{
		Issuer: "https://cambio.example", Clients: oneClient{}, Now: time.Now, Log: slog.New(slog.DiscardHandler), Observe: func(context.Context, Event) {},
		Verifier: &accesstoken.Verifier{Issuer: "https://cambio.example", Now: time.Now},
		Exchange: func(context.Context, tokenexchange.Request) (*tokenexchange.Decision, error) {
			return &tokenexchange.Decision{}, refusal
		},
		Record: func(context.Context, Attempt) error { return nil },
	})
	config := s.provider.Config.(*fosite.Config)
	if config.SendDebugMessagesToClients {
		t.Error("debug messages are sent to clients")
	}
	if config.ScopeStrategy == nil || config.AudienceMatchingStrategy == nil || config.ClientSecretsHasher == nil || config.ClientAuthenticationStrategy == nil {
		t.Error("a strategy is fosite's own")
	}
	before := emptyFields(config)
	router := mux.NewRouter()
	s.Mount(router)
	exchange := url.Values{"grant_type": {grants.TokenExchange}, "subject_token": {"x"}, "subject_token_type": {grants.TokenTypeJWT}}
	for rule, c := range map[string]struct {
		path   string
		form   url.Values
		secret string
		status int
	}{
		"an exchange":                       {tokenPath, exchange, "right", 400},
		"an exchange without a client":      {tokenPath, exchange, "", 400},
		"an exchange with a wrong secret":   {tokenPath, exchange, "wrong", 401},
		"client credentials":                {tokenPath, url.Values{"grant_type": {grants.ClientCredentials}, "scope": {"a.*"}, "audience": {"x"}}, "right", 400},
		"a client assertion":                {tokenPath, url.Values{"grant_type": {grants.ClientCredentials}, "client_assertion_type": {clientassertion.Type}, "client_assertion": {"a.b.c"}}, "", 401},
		"an introspection":                  {introspectPath, url.Values{"token": {"x"}}, "right", 200},
		"an introspection by a wrong one":   {introspectPath, url.Values{"token": {"x"}}, "wrong", 401},
		"a revocation":                      {revokePath, url.Values{"token": {"x"}}, "right", 200},
		"a revocation without a credential": {revokePath, url.Values{"token": {"x"}}, "", 401},
	} {
		t.Run(rule, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, c.path, strings.NewReader(c.form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if c.secret != "" {
				r.SetBasicAuth("app", c.secret)
			}
			w := httptest.NewRecorder()
			router.ServeHTTP(w, r)
			if w.Code != c.status {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if after := emptyFields(config); !reflect.DeepEqual(after, before) {
				t.Errorf("fosite filled in some of %v: left are %v", before, after)
			}
		})
	}
}

func emptyFields(config *fosite.Config) []string {
	var names []string
	value := reflect.ValueOf(config).Elem()
	for i := range value.NumField() {
		if value.Field(i).IsZero() {
			names = append(names, value.Type().Field(i).Name)
		}
	}
	return names
}
