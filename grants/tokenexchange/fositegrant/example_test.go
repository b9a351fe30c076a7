package fositegrant_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/ory/fosite"

	"github.com/cambio-oauth/cambio/grants/tokenexchange/fositegrant"
)

// acme is an integrator: the issuer it trusts, the key its tokens are signed
// with, and the one lock holder it manages.
type acme struct{ key *ecdsa.PublicKey }

// ForIntegrator is whom a client's integrator trusts.
func (a acme) ForIntegrator(_ context.Context, integratorID, issuer string) ([]fositegrant.Policy, error) {
	if integratorID != "acme" || issuer != "https://acme.example/" {
		return nil, nil
	}
	trust := fositegrant.Trust{Issuer: issuer, Audiences: []string{"https://as.example"}, Algorithms: []string{"ES256"}}
	return []fositegrant.Policy{{Policy: trust, IntegratorID: integratorID, Entitlements: a}}, nil
}

// Clientless: no exchange without a client here.
func (acme) Clientless(context.Context, string) ([]fositegrant.Policy, error) { return nil, nil }

// Find gives the keys of an issuer; a real server fetches and caches them.
func (a acme) Find(_ context.Context, query fositegrant.KeyQuery) ([]fositegrant.Key, error) {
	return []fositegrant.Key{{ID: query.KeyID, Public: a.key}}, nil
}

// LockHolder is what the integrator is entitled to.
func (acme) Scope(string) (string, bool) { return "", false }

func (acme) LockHolder(i fositegrant.Identifier) (id string, managed, known bool) {
	known = i.CountryISO == "NO" && i.OrganizationID == "919424508"
	return "lock-holder-1", known, known
}

// Known are the resource servers a token may be asked for.
func (acme) Known(context.Context, string) (bool, error) { return false, nil }

// Default is the audience of a token that was asked for none.
func (acme) Default() string { return "https://api.example" }

// authenticate stands for the server's own client authentication.
func authenticate(_ context.Context, r *http.Request, _ url.Values) (fosite.Client, error) {
	id, secret, _ := r.BasicAuth()
	if id != "acme-app" || secret != "secret" {
		return nil, fosite.ErrInvalidClient
	}
	return &fosite.DefaultClient{ID: id, GrantTypes: fosite.Arguments{"urn:ietf:params:oauth:grant-type:token-exchange"}}, nil
}

// ExampleHandler adds RFC 8693 to a bare fosite: no other package of this
// repository, no storage, and fosite's own writers.
func ExampleHandler() {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	integrator := acme{&key.PublicKey}

	exchanger := &fositegrant.Exchanger{
		Issuer: "https://as.example", Policies: integrator, Targets: integrator,
		Verifier: &fositegrant.Verifier{Keys: fositegrant.KeysFunc(integrator.Find), Now: clock}, MaxLifetime: time.Hour, Now: clock,
	}
	handler := &fositegrant.Handler{
		Exchange: exchanger.Exchange,
		Issue: func(_ context.Context, d *fositegrant.Decision) (string, time.Time, error) {
			return "token-for-" + d.Subject, d.ExpiresAt, nil
		},
		ClientOf: func(c fosite.Client) *fositegrant.Client {
			return &fositegrant.Client{ID: c.GetID(), IntegratorID: "acme"}
		},
		Now: clock,
	}
	provider := fosite.NewOAuth2Provider(nil, &fosite.Config{
		TokenEndpointHandlers: fosite.TokenEndpointHandlers{handler}, ClientAuthenticationStrategy: authenticate,
	})
	endpoint := func(w http.ResponseWriter, r *http.Request) {
		request, err := provider.NewAccessRequest(r.Context(), r, &fosite.DefaultSession{})
		if err != nil {
			provider.WriteAccessError(r.Context(), w, request, err)
			return
		}
		response, err := provider.NewAccessResponse(r.Context(), request)
		if err != nil {
			provider.WriteAccessError(r.Context(), w, request, err)
			return
		}
		provider.WriteAccessResponse(r.Context(), w, request, response)
	}

	// What acme's identity provider signed for one of its users.
	signer, _ := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	subjectToken, _ := jwt.Signed(signer).Claims(map[string]any{
		"iss": "https://acme.example/", "sub": "jane", "aud": "https://as.example", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"permissions": []string{"lockHolder.identifier:NO.919424508.east", "lockHolder.identifier:SE.5560.", "integrator.admin"},
	}).Serialize()

	for _, token := range []string{subjectToken, "forged"} {
		form := url.Values{
			"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
			"subject_token":      {token},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		}
		r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("acme-app", "secret")
		w := httptest.NewRecorder()
		endpoint(w, r)
		fmt.Println(w.Code, w.Body)
	}

	// Output:
	// 200 {"access_token":"token-for-jane","expires_in":300,"issued_token_type":"urn:ietf:params:oauth:token-type:access_token","scope":"lockHolder.identifier:NO.919424508.east","token_type":"Bearer"}
	// 400 {"error":"invalid_request","error_description":"the subject token was not accepted"}
}
