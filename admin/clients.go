package admin

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/registry"
)

// clientInput uses the names of RFC 7591 where it has any.
type clientInput struct {
	Name           string            `json:"client_name"`
	AuthMethod     string            `json:"token_endpoint_auth_method"`
	JWKS           json.RawMessage   `json:"jwks"`             // null: none, or there is a jwks_uri
	JWKSURI        *string           `json:"jwks_uri"`         // null: none
	GrantTypes     []string          `json:"grant_types"`      // null: those that fit the method
	Scope          *string           `json:"scope"`            // null: none set
	AccessTokenTTL *registry.Seconds `json:"access_token_ttl"` // seconds; null: the server's
	AllowedOrigins []string          `json:"allowed_origins"`
	Status         registry.Status   `json:"status"`
}

type clientView struct {
	objectView
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"` // in the creating answer only
	clientInput
	LastUsedAt time.Time    `json:"last_used_at,omitzero"`
	Secrets    []secretView `json:"secrets"`
}

// secretView is a secret that works, and nothing of the secret.
type secretView struct {
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// shownClient is a client with what is known of it besides, and with its new
// secret, which is known while it is made and never again.
type shownClient struct {
	registry.Client
	state  registry.ClientState
	secret string
}

func (a *API) shownClient(ctx context.Context, integratorID, clientID string) (*shownClient, error) {
	c, err := a.config.Store.Client(ctx, integratorID, clientID)
	if err != nil {
		return nil, err
	}
	list, err := a.showClients(ctx, []registry.Client{*c})
	if err != nil {
		return nil, err
	}
	return &list[0], nil
}

func (a *API) showClients(ctx context.Context, clients []registry.Client) ([]shownClient, error) {
	states, err := a.config.Store.ClientStates(ctx, clients)
	if err != nil {
		return nil, err
	}
	shown := make([]shownClient, len(clients))
	for i, c := range clients {
		shown[i] = shownClient{Client: c, state: states[c.ClientID]}
	}
	return shown, nil
}

func (a *API) viewClient(c *shownClient) any {
	view := clientView{
		objectView: viewOf(c.Object), ClientID: c.ClientID, ClientSecret: c.secret, clientInput: clientMembers(&c.Client),
		LastUsedAt: c.state.LastUsed, Secrets: []secretView{},
	}
	for _, secret := range c.state.Secrets {
		if secret.ExpiresAt.IsZero() || a.config.Now().Before(secret.ExpiresAt) {
			view.Secrets = append(view.Secrets, secretView{secret.CreatedAt, secret.ExpiresAt})
		}
	}
	return view
}

func (a *API) clients() collection[shownClient, clientInput] {
	store := a.config.Store
	return collection[shownClient, clientInput]{
		path: "/integrators/{integrator}/clients",
		id:   "client_id",
		fresh: func(integratorID string) *shownClient {
			return &shownClient{Client: registry.Client{
				Owner: registry.OwnerIntegrator, IntegratorID: integratorID,
				AuthMethod: registry.AuthBasic, AllowedOrigins: []string{}, Status: registry.Active,
			}}
		},
		input: func(c *shownClient) clientInput { return clientMembers(&c.Client) },
		apply: func(in clientInput, c *shownClient) error { return applyClient(in, &c.Client) },
		view:  a.viewClient,
		key:   func(c *shownClient) (string, *registry.Object) { return c.ClientID, &c.Object },
		list: func(ctx context.Context, integratorID string, page registry.Page) ([]shownClient, error) {
			list, err := store.Clients(ctx, integratorID, page)
			if err != nil {
				return nil, err
			}
			return a.showClients(ctx, list)
		},
		get: a.shownClient,
		create: func(ctx context.Context, caller Caller, c *shownClient) error {
			err := a.service.createClient(ctx, caller, c)
			c.state.Secrets = c.Secrets
			return err
		},
		update: func(ctx context.Context, caller Caller, was, c *shownClient) error {
			if c.AuthMethod == registry.AuthKey {
				c.state.Secrets = nil // they are deleted
			}
			return a.service.updateClient(ctx, caller, &was.Client, &c.Client)
		},
		remove:  store.DeleteClient,
		natural: []string{"client_name"},
		named: func(ctx context.Context, integratorID string, key map[string]string) ([]shownClient, error) {
			list, err := store.ClientsNamed(ctx, integratorID, key["client_name"])
			if err != nil {
				return nil, err
			}
			return a.showClients(ctx, list)
		},
	}
}

func clientMembers(c *registry.Client) clientInput {
	in := clientInput{
		Name: c.Name, AuthMethod: c.AuthMethod, JWKS: json.RawMessage("null"), GrantTypes: c.GrantTypes,
		AllowedOrigins: c.AllowedOrigins, Status: c.Status,
	}
	if c.JWKS != "" {
		in.JWKS = json.RawMessage(c.JWKS)
	}
	if c.JWKSURI != "" {
		in.JWKSURI = &c.JWKSURI
	}
	if c.Scopes != nil {
		scope := strings.Join(c.Scopes, " ")
		in.Scope = &scope
	}
	if c.AccessTokenTTL > 0 {
		ttl := registry.Seconds(c.AccessTokenTTL)
		in.AccessTokenTTL = &ttl
	}
	return in
}

func applyClient(in clientInput, c *registry.Client) error {
	c.Name, c.AuthMethod, c.GrantTypes, c.Status = in.Name, in.AuthMethod, in.GrantTypes, in.Status
	c.AllowedOrigins = in.AllowedOrigins
	c.JWKS, c.JWKSURI = "", ""
	if text := string(in.JWKS); text != "null" {
		c.JWKS = text
	}
	if in.JWKSURI != nil {
		c.JWKSURI = *in.JWKSURI
	}
	if c.GrantTypes == nil {
		c.GrantTypes = []string{grants.ClientCredentials, grants.TokenExchange}
		if c.Public() { // RFC 6749 §4.4: client credentials need credentials
			c.GrantTypes = []string{grants.TokenExchange}
		}
	}
	c.Scopes, c.AccessTokenTTL = nil, 0
	var faults registry.Invalid
	if in.Scope != nil {
		c.Scopes = slices.DeleteFunc(strings.Split(*in.Scope, " "), func(s string) bool { return s == "" })
		c.Scopes = append([]string{}, c.Scopes...) // nothing must not become "no limit" on the way
		faults.Add(len(c.Scopes) > 0 || *in.Scope == "", "/scope", "invalid", "want scope-tokens, an empty text for a client that may have none, or null for a client without scope")
	}
	if in.AccessTokenTTL != nil {
		c.AccessTokenTTL = time.Duration(*in.AccessTokenTTL)
		faults.Add(*in.AccessTokenTTL > 0, "/access_token_ttl", "invalid", "want 1 to 86400 seconds")
	}
	return faults.Err()
}
