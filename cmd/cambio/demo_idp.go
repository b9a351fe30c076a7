package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// demoIDP is an identity provider for the demonstration: it signs in anybody,
// on loopback, with a key that lives as long as the process.
type demoIDP struct {
	URL      string // its issuer
	audience string
	key      jose.JSONWebKey
	signer   jose.Signer
	server   *http.Server
}

// newDemoIDP starts an identity provider whose tokens are for audience.
func newDemoIDP(audience string) (*demoIDP, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	key := jose.JSONWebKey{Key: private, KeyID: "demo-1", Algorithm: "RS256", Use: "sig"}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	idp := &demoIDP{URL: "http://" + listener.Addr().String() + "/", audience: audience, key: key, signer: signer}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /.well-known/jwks.json", idp.jwks)
	routes.HandleFunc("GET /token", idp.token)
	idp.server = &http.Server{Handler: routes, ReadHeaderTimeout: readHeaderTimeout}
	go func() { _ = idp.server.Serve(listener) }()
	return idp, nil
}

func (i *demoIDP) close() error { return i.server.Close() }

func (i *demoIDP) jwks(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{i.key.Public()}})
}

// token gives a subject token: GET /token?sub=…&aud=…&permissions=…,…
func (i *demoIDP) token(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	subject, audience, permissions := query.Get("sub"), query.Get("aud"), query.Get("permissions")
	if subject == "" {
		subject = "auth0|5934aafe4e52d93452b1c90"
	}
	if audience == "" {
		audience = i.audience
	}
	token, err := i.sign(subject, audience, strings.FieldsFunc(permissions, func(c rune) bool { return c == ',' }))
	if err != nil {
		http.Error(w, "cannot sign", http.StatusInternalServerError)
		return
	}
	_, _ = w.Write([]byte(token + "\n"))
}

func (i *demoIDP) sign(subject, audience string, permissions []string) (string, error) {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": i.URL, "sub": subject, "aud": []string{audience, i.URL + "userinfo"},
		"iat": now.Unix(), "exp": now.Add(2 * time.Hour).Unix(), "scope": "openid email name", "permissions": permissions,
	})
	if err != nil {
		return "", err
	}
	signed, err := i.signer.Sign(claims)
	if err != nil {
		return "", errors.New("cannot sign")
	}
	return signed.CompactSerialize()
}
