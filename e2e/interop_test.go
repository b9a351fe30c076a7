package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// provider is npm oidc-provider, an identity provider nobody here wrote.
type provider struct {
	Issuer        string `json:"issuer"`
	JWKSURI       string `json:"jwks_uri"`
	TokenEndpoint string `json:"token_endpoint"`
	ClientID      string `json:"client_id"`
	ClientSecret  string `json:"client_secret"`
}

func startProvider(t *testing.T, audience string, permissions ...string) *provider {
	t.Helper()
	list, err := json.Marshal(permissions)
	if err != nil {
		t.Fatal(err)
	}
	var p provider
	startProgram(t, "oidc-provider.mjs", &p, "AUDIENCE="+audience, "PERMISSIONS="+string(list), "SUBJECT=auth0|5934aafe4e52d93452b1c90")
	return &p
}

// mint gets a token of the provider.
func (p *provider) mint(t *testing.T) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.TokenEndpoint, strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(p.ClientID, p.ClientSecret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("oidc-provider answers %s: %v", response.Status, err)
	}
	return answer.AccessToken
}

// A real identity provider mints, the shipped binary exchanges, a real resource
// server library verifies; then introspection, revocation and a graceful stop.
func TestRealProviderAndRealResourceServer(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		for _, algorithm := range []string{"ES256", "RS256", "EdDSA"} {
			t.Run(algorithm, func(t *testing.T) {
				const scope = "lockHolder.identifier:NO.919424508.east"
				c := serve(t, "CAMBIO_DATABASE_URL="+databaseURL, "CAMBIO_SIGNING_ALG="+algorithm,
					"CAMBIO_SECRET_KEY=9IWxj+ymKZgJCUpBR8ci6USmiS7/eyo0Jb8Tp8p0Ae0=", "CAMBIO_SUBJECT_AUDIENCES=https://cambio.test", "CAMBIO_DEFAULT_AUDIENCE=https://api.test-"+algorithm)
				idp := startProvider(t, "https://cambio.test", scope, "something:else")
				id, secret := c.register(idp, algorithm)

				answer := c.form("/oauth2/token", id, secret, url.Values{
					"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
					"subject_token":      {idp.mint(t)},
					"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
				}, http.StatusOK)
				token := answer["access_token"].(string)
				claims := verifyWithJose(t, c, "https://api.test-"+algorithm, token)
				want := object{"sub": idp.Issuer + "#auth0|5934aafe4e52d93452b1c90", "scope": scope, "client_id": id, "subject_issuer": idp.Issuer}
				for name, value := range want {
					if claims[name] != value {
						t.Errorf("claim %s: %v, want %v", name, claims[name], value)
					}
				}
				form := url.Values{"token": {token}}
				if a := c.form("/oauth2/introspect", id, secret, form, 200); a["active"] != true || a["scope"] != scope {
					t.Errorf("introspection: %v", a)
				}
				c.form("/oauth2/revoke", id, secret, form, 200)
				if a := c.form("/oauth2/introspect", id, secret, form, 200); a["active"] != false || len(a) != 1 {
					t.Errorf("introspection after revocation: %v", a)
				}
				c.stop()
			})
		}
	})
}

// register makes an integrator that trusts the provider and gives its client.
func (c *cambio) register(idp *provider, suffix string) (id, secret string) {
	c.t.Helper()
	integrator := c.admin("POST", "/integrators", object{"name": "Acme"}, 201)["id"].(string)
	holders := c.admin("GET", "/lock-holders", nil, 200)["items"].([]any)
	if len(holders) == 0 {
		holders = append(holders, c.admin("POST", "/lock-holders", object{
			"name": "East", "country_iso": "NO", "organization_id": "919424508", "organization_id_suffix": "east",
		}, 201))
	}
	c.admin("PUT", "/integrators/"+integrator+"/lock-holders/"+holders[0].(object)["id"].(string), nil, 204)
	c.admin("POST", "/integrators/"+integrator+"/key-urls", object{"issuer": idp.Issuer, "url": idp.JWKSURI}, 201)
	client := c.admin("POST", "/integrators/"+integrator+"/clients", object{"client_name": "backend " + suffix}, 201)
	return client["client_id"].(string), client["client_secret"].(string)
}

// verifyWithJose lets npm jose verify a token with nothing but our metadata.
func verifyWithJose(t *testing.T, c *cambio, audience, token string) object {
	t.Helper()
	answer := answers(t, "jose.mjs", []string{"ISSUER=" + c.url, "AUDIENCE=" + audience}, token)[0]
	claims, verified := answer["claims"].(object)
	if !verified {
		t.Fatalf("jose refuses our token: %v", answer)
	}
	return claims
}
