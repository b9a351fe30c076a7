package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/clientassertion"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// keyed is a client that authenticates with a key of its own.
type keyed struct {
	t   testing.TB
	s   *server
	id  string
	key any
	alg jose.SignatureAlgorithm
}

func newKeyOf(t testing.TB, algorithm string) any {
	t.Helper()
	var key any
	var err error
	switch algorithm {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA", "Ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func publicJWK(t testing.TB, key any, kid string) object {
	t.Helper()
	private := jose.JSONWebKey{Key: key, KeyID: kid}
	data, err := private.Public().MarshalJSON()
	var jwk object
	if err != nil || json.Unmarshal(data, &jwk) != nil {
		t.Fatal(err)
	}
	return jwk
}

// newKeyed registers a client with a key for an algorithm.
func (p *party) newKeyed(algorithm string, members object) *keyed {
	p.s.t.Helper()
	c := &keyed{t: p.s.t, s: p.s, key: newKeyOf(p.s.t, algorithm), alg: jose.SignatureAlgorithm(algorithm)}
	body := object{"client_name": "keyed", "token_endpoint_auth_method": "private_key_jwt", "jwks": object{"keys": []any{publicJWK(p.s.t, c.key, "c1")}}}
	for name, value := range members {
		if body[name] = value; value == nil {
			delete(body, name)
		}
	}
	created := p.s.admin("POST", "/integrators/"+p.id+"/clients", body).mustBe(p.s.t, http.StatusCreated)
	if created.json["client_secret"] != nil {
		p.s.t.Errorf("a client with a key got a secret: %s", created.body)
	}
	c.id = created.text("client_id")
	return c
}

// claims are those of a good assertion; changes are laid over, nil deletes.
func (c *keyed) claims(changes object) object {
	now := c.s.p.config.now()
	claims := object{
		"iss": c.id, "sub": c.id, "aud": c.s.p.config.issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	for name, value := range changes {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return claims
}

// assertion signs claims by hand where the library would not know the name of
// the algorithm.
func (c *keyed) assertion(changes object, header object) string {
	c.t.Helper()
	options := (&jose.SignerOptions{}).WithHeader("kid", "c1")
	for name, value := range header {
		options = options.WithHeader(jose.HeaderKey(name), value)
	}
	algorithm := c.alg
	if algorithm == "Ed25519" {
		return c.signEd25519(c.claims(changes))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: c.key}, options)
	if err != nil {
		c.t.Fatal(err)
	}
	payload, err := json.Marshal(c.claims(changes))
	if err != nil {
		c.t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		c.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		c.t.Fatal(err)
	}
	return text
}

// assertionWithKID is a good assertion by a key of another name.
func (c *keyed) assertionWithKID(kid string) string { return c.assertion(nil, object{"kid": kid}) }

func (c *keyed) signEd25519(claims object) string {
	input := encodePart(c.t, object{"alg": "Ed25519", "kid": "c1"}) + "." + encodePart(c.t, claims)
	return input + "." + b64(ed25519.Sign(c.key.(ed25519.PrivateKey), []byte(input)))
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// withAssertion adds an assertion to a form.
func withAssertion(form url.Values, assertion string) url.Values {
	form.Set("client_assertion_type", clientassertion.Type)
	form.Set("client_assertion", assertion)
	return form
}

// RFC 7523 §3, OpenID Connect Core §9: every algorithm, at every endpoint.
func TestPrivateKeyJWT(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	for _, algorithm := range []string{"RS256", "PS256", "ES256", "EdDSA", "Ed25519"} {
		t.Run(algorithm, func(t *testing.T) {
			c := acme.newKeyed(algorithm, object{"scope": lockScope})
			issued := s.post(tokenEndpoint, anonymous, withAssertion(exchangeForm(acme.idp.token(nil)), c.assertion(nil, nil))).mustBe(t, http.StatusOK)
			cc := url.Values{"grant_type": {grants.ClientCredentials}, "client_id": {c.id}}
			s.post(tokenEndpoint, anonymous, withAssertion(cc, c.assertion(object{"aud": s.url + tokenEndpoint}, nil))).mustBe(t, http.StatusOK)
			token := issued.text("access_token")
			a := s.post(introspectEndpoint, anonymous, withAssertion(url.Values{"token": {token}}, c.assertion(object{"aud": []string{s.url + introspectEndpoint}}, nil))).mustBe(t, http.StatusOK)
			if a.json["active"] != true || a.json["client_id"] != c.id {
				t.Errorf("introspection: %s", a.body)
			}
			s.post(revokeEndpoint, anonymous, withAssertion(url.Values{"token": {token}}, c.assertion(object{"aud": []string{s.url, s.url + revokeEndpoint}}, nil))).mustBe(t, http.StatusOK)
			s.mustBeActive(token, false)
		})
	}
}

// Each is one change away from an assertion that authenticates.
func TestClientAssertionsThatAreRefused(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	// Clientless is open: whoever slips through as "no client" gets a token.
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"clientless": true}).mustBe(t, http.StatusOK)
	c, other := acme.newKeyed("ES256", nil), acme.newKeyed("ES256", nil)
	now := time.Now()
	stranger := *c
	stranger.key = newKeyOf(t, "ES256")
	rsaToo := *c
	rsaToo.key, rsaToo.alg = newKeyOf(t, "RS256"), "RS256"
	good := c.assertion(nil, nil)
	for rule, test := range map[string]struct{ assertion, says string }{
		"another key":                    {stranger.assertion(nil, nil), "client authentication failed"},
		"a key of another type":          {rsaToo.assertion(nil, nil), "client authentication failed"},
		"an unknown client":              {c.assertion(object{"iss": "unknown", "sub": "unknown"}, nil), "client authentication failed"},
		"another client of the same":     {c.assertion(object{"iss": other.id, "sub": other.id}, nil), "client authentication failed"},
		"a client with a secret":         {c.assertion(object{"iss": acme.clientID, "sub": acme.clientID}, nil), "client authentication failed"},
		"an unknown kid":                 {c.assertion(nil, object{"kid": "c2"}), "client authentication failed"},
		"an altered signature":           {good[:len(good)-4] + "AAAA", "client authentication failed"},
		"iss and sub that differ":        {c.assertion(object{"iss": other.id}, nil), "iss and as sub"},
		"no sub":                         {c.assertion(object{"sub": nil}, nil), "iss and as sub"},
		"no jti":                         {c.assertion(object{"jti": nil}, nil), "jti"},
		"a jti that is a number":         {c.assertion(object{"jti": 7}, nil), "jti"},
		"a jti of 256 bytes":             {c.assertion(object{"jti": strings.Repeat("j", 256)}, nil), "jti"},
		"no aud":                         {c.assertion(object{"aud": nil}, nil), "aud"},
		"an empty aud":                   {c.assertion(object{"aud": []string{}}, nil), "aud"},
		"another server's aud":           {c.assertion(object{"aud": "https://other.example"}, nil), "no aud but this server"},
		"an aud beside ours":             {c.assertion(object{"aud": []string{s.url, "https://other.example"}}, nil), "no aud but this server"},
		"an aud with a slash":            {c.assertion(object{"aud": s.url + "/"}, nil), "no aud but this server"},
		"expired":                        {c.assertion(object{"exp": now.Unix() - 1}, nil), "expired"},
		"no exp":                         {c.assertion(object{"exp": nil}, nil), "exp"},
		"an exp that is text":            {c.assertion(object{"exp": fmt.Sprint(now.Unix() + 60)}, nil), "exp"},
		"a life of two hours":            {c.assertion(object{"exp": now.Add(2 * time.Hour).Unix()}, nil), "expire within"},
		"iat in the future":              {c.assertion(object{"iat": now.Add(2 * time.Minute).Unix()}, nil), "not yet valid"},
		"nbf in the future":              {c.assertion(object{"nbf": now.Add(2 * time.Minute).Unix()}, nil), "not yet valid"},
		"an access token's typ":          {c.assertion(nil, object{"typ": "at+jwt"}), "another purpose"},
		"a subject token's typ":          {c.assertion(nil, object{"typ": "oauth-id-jag+jwt"}), "another purpose"},
		"crit":                           {c.assertion(nil, object{"crit": []string{"exp"}}), "header"},
		"no signature":                   {encodePart(t, object{"alg": "none"}) + "." + encodePart(t, c.claims(nil)) + ".", "must be signed with"},
		"a MAC":                          {encodePart(t, object{"alg": "HS256", "kid": "c1"}) + "." + encodePart(t, c.claims(nil)) + ".AAAA", "must be signed with"},
		"too large":                      {c.assertion(object{"note": strings.Repeat("x", clientassertion.MaxBytes)}, nil), "larger than"},
		"millions of brackets, cut (F1)": {encodePart(t, object{"alg": "ES256"}) + "." + b64([]byte(strings.Repeat("[", 10_000))) + ".AAAA", "well-formed"},
		"no JWT":                         {"x.y.z", "well-formed"},
		"a subject token":                {acme.idp.token(nil), "iss and as sub"},
		"an access token of ours":        {s.token, "another purpose"},
	} {
		t.Run(rule, func(t *testing.T) {
			a := s.post(tokenEndpoint, anonymous, withAssertion(exchangeForm(acme.idp.token(nil)), test.assertion))
			a.mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
			if !strings.Contains(a.text("error_description"), test.says) {
				t.Errorf("says %q, want …%s…", a.text("error_description"), test.says)
			}
		})
	}
	s.post(tokenEndpoint, anonymous, withAssertion(exchangeForm(acme.idp.token(nil)), c.assertion(nil, object{"typ": "client-authentication+jwt"}))).mustBe(t, http.StatusOK)
	s.post(tokenEndpoint, anonymous, withAssertion(exchangeForm(acme.idp.token(nil)), good)).mustBe(t, http.StatusOK) // never used up by those
	again := s.post(tokenEndpoint, anonymous, withAssertion(exchangeForm(acme.idp.token(nil)), good))
	again.mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
	if !strings.Contains(again.text("error_description"), "used before") {
		t.Errorf("a replay is answered %s", again.body)
	}
}

// RFC 6749 §2.3: one method. And a key is no way round a secret, nor the other
// way.
func TestOneMethodOfClientAuthentication(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	c := acme.newKeyed("ES256", nil)
	form := func() url.Values { return exchangeForm(acme.idp.token(nil)) }
	both := withAssertion(form(), c.assertion(nil, nil))
	both.Set("client_secret", acme.secret)
	s.post(tokenEndpoint, anonymous, both).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, "")
	s.post(tokenEndpoint, acme.authenticated(), withAssertion(form(), c.assertion(nil, nil))).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, "")
	mixed := withAssertion(form(), c.assertion(nil, nil))
	mixed.Set("client_id", acme.clientID)
	s.post(tokenEndpoint, anonymous, mixed).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, "")
	wrongType := withAssertion(form(), c.assertion(nil, nil))
	wrongType.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")
	s.post(tokenEndpoint, anonymous, wrongType).mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
	for _, who := range []option{basic(c.id, "x"), basic(c.id, acme.secret)} {
		s.post(tokenEndpoint, who, form()).mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
	}
	public := form()
	public.Set("client_id", c.id)
	s.post(tokenEndpoint, anonymous, public).mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")

	// A client that turns to keys has no secret left.
	path := "/integrators/" + acme.id + "/clients/" + acme.clientID
	s.admin("PATCH", path, object{"token_endpoint_auth_method": "private_key_jwt", "jwks": object{"keys": []any{publicJWK(t, c.key, "c1")}}}).mustBe(t, http.StatusOK)
	acme.exchange(acme.idp.token(nil)).mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
	turned := *c
	turned.id = acme.clientID
	s.post(tokenEndpoint, anonymous, withAssertion(form(), turned.assertion(nil, nil))).mustBe(t, http.StatusOK)
	s.admin("POST", path+"/secret", nil).mustBeProblem(t, http.StatusConflict, "conflict")
}

// 200 at once over two replicas: one authenticates.
func TestAClientAssertionIsUsedOnce(t *testing.T) {
	f := newFleet(t)
	c := f.acme.newKeyed("ES256", nil)
	assertion := c.assertion(object{"aud": "https://cambio.example"}, nil)
	answers := make(chan answer, 200)
	for n := range cap(answers) {
		s := []*server{f.first, f.second}[n%2]
		go func() {
			answers <- s.post(tokenEndpoint, anonymous, withAssertion(exchangeForm(f.idp.token(nil)), assertion))
		}()
	}
	granted := 0
	for range cap(answers) {
		switch a := <-answers; {
		case a.status == http.StatusOK:
			granted++
		case a.status != http.StatusUnauthorized:
			t.Errorf("got %s", a.body)
		}
	}
	if granted != 1 {
		t.Errorf("%d authenticated", granted)
	}
}

// Keys behind a URL come through the guarded fetcher, as those of a key URL do:
// they rotate without us, an outage is not the client's fault, and they outlive
// it on every replica and through a restart.
func TestClientKeysBehindAURL(t *testing.T) {
	f := newFleet(t)
	var document atomic.Value
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if text := document.Load().(string); text != "" {
			_, _ = w.Write([]byte(text))
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(host.Close)
	publish := func(keys ...any) {
		t.Helper()
		data, err := json.Marshal(object{"keys": keys})
		if err != nil {
			t.Fatal(err)
		}
		document.Store(string(data))
	}
	document.Store("")
	c := f.acme.newKeyed("ES256", object{"jwks": nil, "jwks_uri": host.URL + "/jwks"})
	ask := func(s *server) answer {
		t.Helper()
		return s.post(tokenEndpoint, anonymous, withAssertion(exchangeForm(f.idp.token(nil)), c.assertion(nil, nil)))
	}
	ask(f.first).mustRefuse(t, http.StatusServiceUnavailable, grants.TemporarilyUnavailable, "")
	publish(publicJWK(t, c.key, "c1"))
	f.clock.advance(5 * time.Second)
	f.both(func(_ string, s *server) { ask(s).mustBe(t, http.StatusOK) })

	f.clock.advance(31 * time.Second)
	f.idp.now = f.clock.now
	c.key = newKeyOf(t, "ES256") // under the same kid: a new document replaces the old
	publish(publicJWK(t, c.key, "c2"))
	again := c.assertionWithKID("c2")
	f.first.post(tokenEndpoint, anonymous, withAssertion(exchangeForm(f.idp.token(nil)), again)).mustBe(t, http.StatusOK)

	document.Store("")
	f.clock.advance(12 * time.Hour)
	restarted := startServerAt(t, f.clock.now, f.url, map[string]string{"issuer": "https://cambio.example"})
	for _, s := range []*server{f.first, f.second, restarted} {
		s.post(tokenEndpoint, anonymous, withAssertion(exchangeForm(f.idp.token(nil)), c.assertionWithKID("c2"))).mustBe(t, http.StatusOK)
	}
}

// A key URL and a client may have their keys at one place: what a refresh takes
// away authenticates nobody, on any replica.
func TestRefreshHoldsForClientsToo(t *testing.T) {
	f := newFleet(t)
	key := newKeyOf(t, "ES256")
	data, err := json.Marshal(object{"keys": []any{publicJWK(t, key, "c1")}})
	if err != nil {
		t.Fatal(err)
	}
	f.idp.publish.Store(string(data))
	path := "/integrators/" + f.acme.id + "/key-urls/" + f.acme.keyURL
	f.first.admin("PATCH", path, object{"format": "jwks"}).mustBe(t, http.StatusOK)
	c := f.acme.newKeyed("ES256", object{"jwks": nil, "jwks_uri": f.idp.url("/jwks.json"), "scope": lockScope})
	c.key = key
	ask := func(s *server) int {
		return s.post(tokenEndpoint, anonymous, withAssertion(url.Values{"grant_type": {grants.ClientCredentials}}, c.assertion(nil, nil))).status
	}
	eventually(t, "both replicas know the client", func() bool { return ask(f.first) == http.StatusOK && ask(f.second) == http.StatusOK })
	f.idp.publish.Store(`{"keys":[]}`)
	f.first.admin("POST", path+"/refresh", nil).mustBe(t, http.StatusOK)
	if status := ask(f.first); status != http.StatusUnauthorized {
		t.Errorf("the first replica answers %d", status)
	}
	eventually(t, "the second replica hears of it", func() bool { return ask(f.second) == http.StatusUnauthorized })
}

// What a client may register, and what it may not.
func TestKeysThatAClientRegisters(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	key := newKeyOf(t, "ES256")
	private, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: "c1"})
	if err != nil {
		t.Fatal(err)
	}
	good := publicJWK(t, key, "c1")
	small := object{"kty": "RSA", "n": b64(append([]byte{0xc1}, bytes.Repeat([]byte{0x35}, 127)...)), "e": "AQAB"}
	with := func(members object) object {
		body := object{"client_name": "x", "token_endpoint_auth_method": "private_key_jwt"}
		for name, value := range members {
			body[name] = value
		}
		return body
	}
	for rule, test := range map[string]struct {
		body    object
		pointer string
	}{
		"no keys at all":                {with(nil), "/jwks"},
		"both":                          {with(object{"jwks": object{"keys": []any{good}}, "jwks_uri": "https://client.example/jwks"}), "/jwks_uri"},
		"keys with a secret method":     {object{"client_name": "x", "jwks": object{"keys": []any{good}}}, "/jwks"},
		"a private key":                 {with(object{"jwks": object{"keys": []any{json.RawMessage(private)}}}), "/jwks"},
		"a shared secret":               {with(object{"jwks": object{"keys": []any{good, object{"kty": "oct", "k": "c2VjcmV0"}}}}), "/jwks"},
		"a key for encryption":          {with(object{"jwks": object{"keys": []any{object{"kty": "EC", "crv": "P-256", "x": good["x"], "y": good["y"], "use": "enc"}}}}), "/jwks"},
		"a small key":                   {with(object{"jwks": object{"keys": []any{small}}}), "/jwks"},
		"an empty set":                  {with(object{"jwks": object{"keys": []any{}}}), "/jwks"},
		"no set":                        {with(object{"jwks": []any{good}}), "/jwks"},
		"text":                          {with(object{"jwks": "{}"}), "/jwks"},
		"a URL that may not be fetched": {with(object{"jwks_uri": "https://169.254.169.254/"}), "/jwks_uri"},
		"a URL of this server":          {with(object{"jwks_uri": s.url + "/.well-known/jwks.json"}), "/jwks_uri"},
	} {
		t.Run(rule, func(t *testing.T) {
			a := s.admin("POST", "/integrators/"+acme.id+"/clients", test.body).mustBeProblem(t, http.StatusUnprocessableEntity, "invalid")
			if faults := a.json["errors"].([]any); faults[0].(object)["pointer"] != test.pointer {
				t.Errorf("got %s", a.body)
			}
		})
	}
	created := s.admin("POST", "/integrators/"+acme.id+"/clients", with(object{"jwks": object{"keys": []any{good}}})).mustBe(t, http.StatusCreated)
	read := s.admin("GET", "/integrators/"+acme.id+"/clients/"+created.text("client_id"), nil).mustBe(t, http.StatusOK)
	if keys := read.json["jwks"].(object)["keys"].([]any); len(keys) != 1 || keys[0].(object)["x"] != good["x"] || read.json["jwks_uri"] != nil {
		t.Errorf("read %s", read.body)
	}
	s.admin("PATCH", "/integrators/"+acme.id+"/clients/"+created.text("client_id"), object{"client_name": "renamed"}).mustBe(t, http.StatusOK)
}
