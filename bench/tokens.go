package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// provider signs subject tokens and publishes its key.
type provider struct {
	key    *rsa.PrivateKey
	issuer string
	server *http.Server
}

func newProvider() (*provider, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &provider{key: key, issuer: "http://" + listener.Addr().String() + "/"}
	jwks := fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"1","alg":"RS256","use":"sig","e":"AQAB","n":%q}]}`, base64.RawURLEncoding.EncodeToString(key.N.Bytes()))
	p.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(jwks))
	})}
	go func() { _ = p.server.Serve(listener) }()
	return p, nil
}

// sign makes distinct tokens: a millisecond each.
func (p *provider) sign(n, permissions int) ([]string, error) {
	list := make([]string, permissions)
	for i := range list {
		list[i] = fmt.Sprintf("lockHolder.identifier:NO.9194245%02d.part%d", i%50, i)
	}
	tokens, failures := make([]string, n), make([]error, 2)
	var all sync.WaitGroup
	for half := range 2 {
		all.Go(func() {
			for i := half; i < n; i += 2 {
				if tokens[i], failures[half] = p.token(i, list); failures[half] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

func (p *provider) token(i int, permissions []string) (string, error) {
	now := time.Now().Unix()
	payload, err := json.Marshal(map[string]any{
		"iss": p.issuer, "sub": fmt.Sprintf("auth0|5934aafe4e52d93452b1%04d", i), "aud": []string{"https://cambio.bench", p.issuer + "userinfo"},
		"iat": now, "exp": now + 7200, "azp": "my_client_id", "scope": "openid email name", "jti": fmt.Sprint("subject-", i), "permissions": permissions,
	})
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT","kid":"1"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	hash := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, hash[:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), err
}
