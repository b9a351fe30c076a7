package main

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// testIDP is an identity provider that signs whatever it is told to, with no
// help of the code under test.
type testIDP struct {
	t       testing.TB
	issuer  string
	aud     string
	key     *rsa.PrivateKey
	kid     string
	server  *httptest.Server
	fetches atomic.Int64
	broken  atomic.Bool
	now     func() time.Time
	publish atomic.Value // string: a document instead of the key
}

func newTestIDP(t testing.TB, audience string) *testIDP {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	idp := &testIDP{t: t, aud: audience, key: key, kid: "key-1", now: time.Now}
	idp.server = httptest.NewServer(http.HandlerFunc(idp.serve))
	t.Cleanup(idp.server.Close)
	idp.issuer = idp.server.URL + "/" // with a slash, as Auth0's
	return idp
}

func (i *testIDP) url(path string) string { return i.server.URL + path }

func (i *testIDP) serve(w http.ResponseWriter, r *http.Request) {
	i.fetches.Add(1)
	if i.broken.Load() {
		http.Error(w, "out of order", http.StatusInternalServerError)
		return
	}
	if document, ok := i.publish.Load().(string); ok {
		_, _ = w.Write([]byte(document))
		return
	}
	public := &i.key.PublicKey
	block := func(kind string, der []byte, err error) {
		if err != nil {
			i.t.Error(err)
		}
		w.Header().Set("Content-Type", "text/plain")
		_ = pem.Encode(w, &pem.Block{Type: kind, Bytes: der})
	}
	switch r.URL.Path {
	case "/jwks.json":
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: i.kid, Algorithm: "RS256", Use: "sig"}}})
	case "/spki.pem":
		der, err := x509.MarshalPKIXPublicKey(public)
		block("PUBLIC KEY", der, err)
	case "/pkcs1.pem":
		block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(public), nil)
	case "/certificate.pem":
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, public, i.key)
		block("CERTIFICATE", der, err)
	default:
		http.NotFound(w, r)
	}
}

// claims are those of a good subject token; changes are laid over, nil deletes.
func (i *testIDP) claims(changes object) object {
	now := i.now()
	claims := object{
		"iss": i.issuer, "sub": "auth0|5934aafe4e52d93452b1c90", "aud": []string{i.aud, i.issuer + "userinfo"},
		"iat": now.Unix(), "exp": now.Add(2 * time.Hour).Unix(), "scope": "openid email name",
		"permissions": []string{lockScope, otherLockScope},
	}
	for name, value := range changes {
		if value == nil {
			delete(claims, name)
			continue
		}
		claims[name] = value
	}
	return claims
}

// token signs good claims with changes.
func (i *testIDP) token(changes object) string {
	return i.sign(object{"alg": "RS256", "typ": "JWT", "kid": i.kid}, i.claims(changes))
}

// sign makes a compact JWS by hand.
func (i *testIDP) sign(header, claims any) string {
	i.t.Helper()
	input := encodePart(i.t, header) + "." + encodePart(i.t, claims)
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, digest[:])
	if err != nil {
		i.t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// mac makes a token whose MAC key is our public key: the confusion of RFC 8725
// §2.1.
func (i *testIDP) mac(claims any) string {
	i.t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&i.key.PublicKey)
	if err != nil {
		i.t.Fatal(err)
	}
	input := encodePart(i.t, object{"alg": "HS256", "typ": "JWT", "kid": i.kid}) + "." + encodePart(i.t, claims)
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func encodePart(t testing.TB, part any) string {
	t.Helper()
	data, err := json.Marshal(part)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// decodeToken reads header and claims of an issued token.
func decodeToken(t testing.TB, token string) (header, claims object) {
	t.Helper()
	parts := make([]object, 0, 2)
	for _, part := range splitDots(token)[:2] {
		data, err := base64.RawURLEncoding.DecodeString(part)
		var members object
		if err != nil || json.Unmarshal(data, &members) != nil {
			t.Fatalf("not a JWT: %s", token)
		}
		parts = append(parts, members)
	}
	return parts[0], parts[1]
}
