package oidc

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

const (
	testClient   = "cambio"
	testSecret   = "a secret of 32 bytes or more, with +%/: in it"
	testRedirect = "https://cambio.example/panel/oidc/callback"
	active       = "01990a00-0000-7000-8000-000000000001"
	disabled     = "01990a00-0000-7000-8000-000000000002"
	unknown      = "01990a00-0000-7000-8000-000000000003"
	broken       = "01990a00-0000-7000-8000-000000000004" // of which the database cannot be asked
)

type object = map[string]any

// fake is an identity provider that says whatever it is told to.
type fake struct {
	t       *testing.T
	key     *rsa.PrivateKey
	issuer  string
	now     time.Time
	sent    url.Values // what the browser was sent with
	kept    []byte     // and brings back
	asked   url.Values // what the token endpoint was asked
	discos  int
	sign    func(claims object) string
	claims  func(claims object)
	say     func(path string, w http.ResponseWriter, r *http.Request) bool // true: it answered
	changed func(document object)
	config  Config
}

func newFake(t *testing.T) *fake {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, key: key, now: time.Now()}
	f.sign = func(claims object) string { return f.signed(object{"alg": "RS256", "kid": "k", "typ": "JWT"}, claims) }
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.issuer = server.URL
	f.config = Config{
		Issuer: f.issuer, ClientID: testClient, ClientSecret: testSecret, Scopes: []string{"openid", "profile"}, RedirectURL: testRedirect,
		Operators: Rule{"groups", "cambio-operators"}, IntegratorClaim: "integrator", Integrator: integrators, Now: func() time.Time { return f.now },
	}
	return f
}

func (f *fake) provider() *Provider {
	f.t.Helper()
	p, err := New(f.config)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

// begin starts a sign-in and gives the answer of a provider that is content.
func (f *fake) begin(p *Provider) url.Values {
	f.t.Helper()
	target, kept, err := p.Start(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	u, err := url.Parse(target)
	if err != nil {
		f.t.Fatal(err)
	}
	f.sent, f.kept = u.Query(), kept
	return url.Values{"code": {"the code"}, "state": {f.sent.Get("state")}}
}

// ServeHTTP implements http.Handler.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/.well-known/openid-configuration" {
		f.discos++
	}
	if f.say != nil && f.say(r.URL.Path, w, r) {
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		document := object{
			"issuer": f.issuer, "authorization_endpoint": f.issuer + "/authorize", "token_endpoint": f.issuer + "/token", "jwks_uri": f.issuer + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
		}
		if f.changed != nil {
			f.changed(document)
		}
		f.json(w, document)
	case "/keys":
		f.json(w, object{"keys": []object{{
			"kty": "RSA", "kid": "k", "use": "sig", "alg": "RS256", "n": b64(f.key.N.Bytes()), "e": b64(big.NewInt(int64(f.key.E)).Bytes()),
		}}})
	case "/token":
		f.token(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (f *fake) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	f.asked = r.PostForm
	if id, secret, ok := r.BasicAuth(); ok {
		f.asked.Set("basic", id+" "+secret)
	}
	proof := sha256.Sum256([]byte(f.asked.Get("code_verifier")))
	if f.asked.Get("code") != "the code" || b64(proof[:]) != f.sent.Get("code_challenge") || f.asked.Get("redirect_uri") != testRedirect {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	claims := object{
		"iss": f.issuer, "sub": "jane", "aud": testClient, "exp": f.now.Add(time.Minute).Unix(), "iat": f.now.Unix(),
		"nonce": f.sent.Get("nonce"), "groups": []string{"staff", "cambio-operators"},
	}
	if f.claims != nil {
		f.claims(claims)
	}
	f.json(w, object{"access_token": "x", "token_type": "Bearer", "id_token": f.sign(claims)})
}

func (f *fake) json(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// signed makes a compact JWS by hand, with RS256.
func (f *fake) signed(header, claims object) string {
	input := f.input(header, claims)
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, f.key, crypto.SHA256, digest[:])
	if err != nil {
		f.t.Error(err)
	}
	return input + "." + b64(signature)
}

// maced makes one with HS256 and a secret.
func (f *fake) maced(secret []byte, claims object) string {
	input := f.input(object{"alg": "HS256", "kid": "k"}, claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + b64(mac.Sum(nil))
}

func (f *fake) input(header, claims object) string {
	parts := make([]string, 0, 2)
	for _, part := range []object{header, claims} {
		data, err := json.Marshal(part)
		if err != nil {
			f.t.Error(err)
		}
		parts = append(parts, b64(data))
	}
	return strings.Join(parts, ".")
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// integrators are those that there are.
func integrators(_ context.Context, id string) (bool, error) {
	switch id {
	case active:
		return true, nil
	case disabled:
		return false, nil
	case broken:
		return false, errors.New("the database does not answer")
	}
	return false, registry.ErrNotFound
}
