package main

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// peopleIDP is an identity provider at which everybody is signed in already, as
// whoever the test says. It takes a code as often as it is sent.
type peopleIDP struct {
	*testIDP
	server *httptest.Server
	mu     sync.Mutex
	claims object                // of whoever comes next
	codes  map[string]url.Values // what each was asked for
}

func newPeopleIDP(t *testing.T) *peopleIDP {
	t.Helper()
	idp := &peopleIDP{testIDP: newTestIDP(t, ""), codes: map[string]url.Values{}}
	idp.server = httptest.NewServer(idp)
	t.Cleanup(idp.server.Close)
	return idp
}

// settings are what a server needs to send people here.
func (i *peopleIDP) settings() map[string]string {
	return map[string]string{
		"panel_oidc_issuer": i.server.URL, "panel_oidc_client_id": "cambio", "panel_oidc_client_secret": "the panel's secret",
		"panel_operators": "groups=cambio-operators", "panel_integrator_claim": "/cambio/integrator",
	}
}

func (i *peopleIDP) are(claims object) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.claims = claims
}

// ServeHTTP implements http.Handler.
func (i *peopleIDP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	here := i.server.URL
	switch _ = r.ParseForm(); r.URL.Path {
	case "/.well-known/openid-configuration":
		answerJSON(w, object{"issuer": here, "authorization_endpoint": here + "/authorize", "token_endpoint": here + "/token", "jwks_uri": here + "/keys"})
	case "/keys":
		answerJSON(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &i.key.PublicKey, KeyID: i.kid, Algorithm: "RS256", Use: "sig"}}})
	case "/authorize":
		code := "code-" + r.Form.Get("state")
		i.codes[code] = r.Form
		http.Redirect(w, r, r.Form.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {r.Form.Get("state")}}.Encode(), http.StatusFound)
	case "/token":
		asked := i.codes[r.Form.Get("code")]
		id, secret, _ := r.BasicAuth()
		if proof := sha256.Sum256([]byte(r.Form.Get("code_verifier"))); id != "cambio" || secret != "the+panel%27s+secret" || b64(proof[:]) != asked.Get("code_challenge") || r.Form.Get("redirect_uri") != asked.Get("redirect_uri") {
			http.Error(w, "{}", http.StatusBadRequest)
			return
		}
		now := i.now()
		claims := object{"iss": here, "sub": "jane", "aud": "cambio", "iat": now.Unix(), "exp": now.Unix() + 60, "nonce": asked.Get("nonce")}
		for name, value := range i.claims {
			claims[name] = value
		}
		answerJSON(w, object{"access_token": "x", "token_type": "Bearer", "id_token": i.sign(object{"alg": "RS256", "kid": i.kid}, claims)})
	default:
		http.NotFound(w, r)
	}
}

func answerJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// visitor is a browser that keeps cookies, and goes wherever it is sent.
type visitor struct {
	s      *server
	client *http.Client
	came   []string // by which addresses it came to the last page
}

func (s *server) visitor() *visitor {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	b := &visitor{s: s}
	b.client = &http.Client{Jar: jar, Transport: http.DefaultTransport, CheckRedirect: func(to *http.Request, _ []*http.Request) error {
		b.came = append(b.came, to.URL.String())
		return nil
	}}
	return b
}

// sees asserts the status of a page, and that it says something.
func (b *visitor) sees(address string, status int, says string) {
	b.s.t.Helper()
	response, err := b.client.Get(b.at(address))
	b.read(address, response, err, status, says)
}

func (b *visitor) posts(address string, form url.Values, status int, says string) {
	b.s.t.Helper()
	response, err := b.client.PostForm(b.at(address), form)
	b.read(address, response, err, status, says)
}

func (b *visitor) at(address string) string {
	b.came = nil
	if strings.HasPrefix(address, "/") {
		return b.s.url + address
	}
	return address
}

func (b *visitor) read(address string, response *http.Response, err error, status int, says string) {
	b.s.t.Helper()
	if err != nil {
		b.s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.s.t.Fatal(err)
	}
	if response.StatusCode != status || !strings.Contains(string(body), says) {
		b.s.t.Errorf("%s: %d, want %d with %q: %s", address, response.StatusCode, status, says, body)
	}
}

// callback is the address by which it came back from the identity provider.
func (b *visitor) callback() string {
	b.s.t.Helper()
	for _, address := range b.came {
		if strings.Contains(address, "/panel/oidc/callback?") {
			return address
		}
	}
	b.s.t.Fatalf("did not come back: %v", b.came)
	return ""
}

const signIn = "/panel/oidc/start"

// People sign in at the operator's identity provider, and are who it says they
// are: an operator sees everything, an integrator's person what is theirs.
func TestPeopleSignIn(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		idp := newPeopleIDP(t)
		s := startServer(t, databaseURL, idp.settings())
		acme, bob := s.newParty("Acme"), s.newParty("Bob Ltd")

		operator := s.visitor()
		operator.sees("/panel/", http.StatusOK, "Sign in with "+strings.TrimPrefix(idp.server.URL, "http://"))
		idp.are(object{"groups": []string{"staff", "cambio-operators"}, "preferred_username": "jane.doe", "cambio": object{"integrator": acme.id}})
		operator.sees(signIn, http.StatusOK, "jane.doe")
		operator.sees("/panel/integrators", http.StatusOK, "Bob Ltd")
		operator.sees("/panel/signing-keys", http.StatusOK, "ES256")

		person := s.visitor()
		idp.are(object{"sub": "joe", "name": "Joe of Acme", "cambio": object{"integrator": []string{acme.id}}})
		person.sees(signIn+"?next=/panel/integrators/me/clients", http.StatusOK, "backend")
		person.sees("/panel/", http.StatusOK, "Joe of Acme")
		person.sees("/panel/integrators/"+acme.id, http.StatusOK, "Acme")
		for _, foreign := range []string{
			"/panel/integrators", "/panel/integrators/" + bob.id, "/panel/integrators/" + bob.id + "/clients", "/panel/integrators/" + bob.id + "/exchanges",
			"/panel/integrators/" + bob.id + "/key-urls/" + bob.keyURL, "/panel/lock-holders", "/panel/resource-servers", "/panel/signing-keys",
		} {
			person.sees(foreign, http.StatusNotFound, "not yours to see")
		}
		person.posts("/panel/integrators/"+bob.id+"/revoke", nil, http.StatusNotFound, "not yours to see")
		person.posts("/panel/integrators/me/revoke", url.Values{"all": {"true"}}, http.StatusOK, "Joe of Acme")
		events := s.admin("GET", "/audit-events?limit=1", nil).mustBe(t, http.StatusOK).json["items"].([]any)
		if made := events[0].(object); made["client_id"] != "oidc:joe" || made["integrator_id"] != acme.id || made["action"] != "revoke_tokens" {
			t.Errorf("audit event: %v", made)
		}
		person.posts("/panel/sign-out", nil, http.StatusOK, "Sign in with")
		person.sees("/panel/integrators/me", http.StatusOK, "Sign in with")
		if log := s.log.String(); strings.Contains(log, "the panel's secret") || strings.Contains(log, "code-") {
			t.Error("the log holds a secret")
		}
	})
}

// Who may not sign in hears why, and which claims count.
func TestPeopleWhoMayNotSignIn(t *testing.T) {
	idp := newPeopleIDP(t)
	s := startServer(t, storagetest.SQLite(t), idp.settings())
	acme, gone := s.newParty("Acme"), s.newParty("Gone")
	s.admin("PATCH", "/integrators/"+acme.id, object{"status": "disabled"}).mustBe(t, http.StatusOK)
	s.admin("DELETE", "/integrators/"+gone.id, nil).mustBe(t, http.StatusNoContent)
	of := func(id string) object { return object{"cambio": object{"integrator": id}} }
	for _, c := range []struct {
		rule   string
		claims object
		says   string
	}{
		{"nobody", object{"groups": "staff"}, "What counts is groups (operators) and /cambio/integrator"},
		{"no id", of("acme"), "has to be the id of an integrator"},
		{"an empty id", of(""), "has to be the id of an integrator"},
		{"a disabled integrator", of(acme.id), "Your integrator is disabled"},
		{"a deleted integrator", of(gone.id), "does not exist here"},
		{"another client's token", object{"aud": "another", "groups": "cambio-operators"}, "cannot be believed"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			idp.are(c.claims)
			b := s.visitor()
			b.sees(signIn, http.StatusForbidden, c.says)
			b.sees("/panel/", http.StatusOK, "Sign in with") // still nobody
		})
	}
}

// Whoever is signed in when their integrator is disabled or deleted hears so at
// the next page, whichever it is, and is signed out: enabling it afterwards revives
// nothing.
func TestPeopleOfAnIntegratorThatIsDisabled(t *testing.T) {
	idp := newPeopleIDP(t)
	s := startServer(t, storagetest.SQLite(t), idp.settings())
	for _, page := range []string{"/panel/", "/panel/audit", "/panel/integrators/me", "/panel/integrators/me/clients/new"} {
		for _, deleted := range []bool{false, true} {
			acme := s.newParty("Acme")
			idp.are(object{"cambio": object{"integrator": acme.id}})
			b := s.visitor()
			b.sees(signIn, http.StatusOK, "Acme")
			b.sees("/panel/audit", http.StatusOK, "backend")
			if deleted {
				s.admin("DELETE", "/integrators/"+acme.id, nil).mustBe(t, http.StatusNoContent)
				b.sees(page, http.StatusForbidden, "does not exist here")
			} else {
				s.admin("PATCH", "/integrators/"+acme.id, object{"status": "disabled"}).mustBe(t, http.StatusOK)
				b.sees(page, http.StatusForbidden, "Your integrator is disabled")
				s.admin("PATCH", "/integrators/"+acme.id, object{"status": "active"}).mustBe(t, http.StatusOK)
			}
			b.sees(page, http.StatusOK, "Sign in with")
		}
	}
}

// An answer of the identity provider signs in once, and only the browser that
// was sent for it (RFC 9700 §4.7), though this provider takes a code twice.
func TestSignInAnswersAreGoodOnce(t *testing.T) {
	idp := newPeopleIDP(t)
	s := startServer(t, storagetest.SQLite(t), idp.settings())
	idp.are(object{"groups": "cambio-operators"})
	b := s.visitor()
	b.sees(signIn, http.StatusOK, "Overview")
	callback := b.callback()
	b.posts("/panel/sign-out", nil, http.StatusOK, "Sign in with")
	b.sees(callback, http.StatusForbidden, "its answer a second time")
	b.sees("/panel/", http.StatusOK, "Sign in with")

	s.visitor().sees(callback, http.StatusForbidden, "another browser")

	other := s.visitor() // which is on its way itself
	other.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	other.sees(signIn, http.StatusSeeOther, "")
	other.sees(callback, http.StatusForbidden, "belongs to another sign-in")
	other.sees(callback, http.StatusForbidden, "its answer a second time") // what failed is over, too
}

// A provider that is down stops neither the start nor the operator's client.
func TestProviderThatIsDown(t *testing.T) {
	idp := newPeopleIDP(t)
	idp.server.Close()
	s := startServer(t, storagetest.SQLite(t), idp.settings())
	b := s.visitor()
	b.sees(signIn, http.StatusBadGateway, "The identity provider cannot be used")
	b.posts("/panel/sign-in", url.Values{"client_id": {testOperator}, "client_secret": {testOperatorSecret}}, http.StatusOK, "Overview")
	if !strings.Contains(s.log.String(), "connection refused") {
		t.Error("the log does not say why")
	}
}

// Without the settings there is no such way in, and whoever came by it before is
// signed out.
func TestProviderThatWasTakenAway(t *testing.T) {
	databaseURL := storagetest.SQLite(t)
	idp := newPeopleIDP(t)
	s := startServer(t, databaseURL, idp.settings())
	idp.are(object{"groups": "cambio-operators"})
	b := s.visitor()
	b.sees(signIn, http.StatusOK, "Overview")
	if err := s.p.shutdown(); err != nil {
		t.Fatal(err)
	}
	b.s, s.p = startServer(t, databaseURL, map[string]string{"listen": strings.TrimPrefix(s.url, "http://")}), nil
	b.sees("/panel/", http.StatusOK, "Client id")
	b.sees(signIn, http.StatusNotFound, "no such page")
	b.sees("/panel/oidc/callback?code=x&state=y", http.StatusNotFound, "no such page")
}
