//go:build linux

package chaos

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const lockScope = "lockHolder.identifier:NO.919424508.east"

type object = map[string]any

// rig is Cambio as it is run, with everything around it.
type rig struct {
	t        *testing.T
	postgres *postgres // nil on SQLite
	file     string    // of SQLite
	wire     *wire     // between the replicas and PostgreSQL
	replicas []*replica
	balancer *balancer
	client   *http.Client

	signer     jose.Signer // the identity provider's
	idp        *httptest.Server
	operator   string // access token
	lockHolder string
	party
}

// onSQLite is one replica, as SQLite allows.
func onSQLite(t *testing.T, environ ...string) *rig {
	t.Helper()
	r := &rig{t: t, file: filepath.Join(t.TempDir(), "cambio.db")}
	r.add(newReplica(t, "the replica", "sqlite://"+r.file, environ...))
	r.begin()
	return r
}

// onPostgres is a number of replicas behind a wire to one PostgreSQL.
func onPostgres(t *testing.T, replicas int, environ ...string) *rig {
	t.Helper()
	r := &rig{t: t, postgres: newPostgres(t)}
	r.postgres.start()
	r.wire = newWire(t, address(r.postgres.port))
	for i := range replicas {
		r.add(newReplica(t, fmt.Sprintf("replica %d", i+1), databaseURL(r.wire.port()), environ...))
	}
	r.begin()
	return r
}

func (r *rig) add(replica *replica) { r.replicas = append(r.replicas, replica) }

// begin starts the replicas and registers an integrator.
func (r *rig) begin() {
	r.t.Helper()
	for _, replica := range r.replicas {
		replica.startAndWait()
	}
	r.balancer = newBalancer(r.t, r.replicas)
	transport := &http.Transport{MaxIdleConnsPerHost: 4096, MaxIdleConns: 8192}
	r.t.Cleanup(transport.CloseIdleConnections)
	r.client = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	r.startIDP()
	r.register()
	r.success(startTimeout) // links reach the other replicas within a second
}

func (r *rig) startIDP() {
	r.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "key-1", Algorithm: "ES256", Use: "sig"}}}
	options := (&jose.SignerOptions{}).WithHeader("kid", "key-1").WithType("JWT")
	if r.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options); err != nil {
		r.t.Fatal(err)
	}
	r.idp = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(set) }))
	r.t.Cleanup(r.idp.Close)
}

// subjectToken is one that the identity provider signed for a user.
func (r *rig) subjectToken(subject string) string {
	now := time.Now()
	claims, err := json.Marshal(object{
		"iss": r.idp.URL + "/", "sub": subject, "aud": issuer, "iat": now.Unix(), "exp": now.Add(6 * time.Hour).Unix(),
		"permissions": []string{lockScope},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	signed, err := r.signer.Sign(claims)
	if err != nil {
		r.t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

// register is what an operator does once.
func (r *rig) register() {
	r.t.Helper()
	r.logIn()
	r.lockHolder = r.create("/lock-holders", object{
		"name": "East", "country_iso": "NO", "organization_id": "919424508", "organization_id_suffix": "east",
	})["id"].(string)
	r.party = r.newParty("Acme")
}

// party is an integrator with a client.
type party struct {
	integrator, clientID, clientSecret string
}

// newParty registers an integrator whose users sign in at the identity provider.
func (r *rig) newParty(name string) party {
	r.t.Helper()
	p := party{integrator: r.create("/integrators", object{"name": name})["id"].(string)}
	path := "/integrators/" + p.integrator
	r.create(path+"/key-urls", object{"issuer": r.idp.URL + "/", "url": r.idp.URL + "/jwks.json", "algorithms": []string{"ES256"}})
	client := r.create(path+"/clients", object{"client_name": "backend"})
	p.clientID, p.clientSecret = client["client_id"].(string), client["client_secret"].(string)
	r.admin(http.MethodPut, path+"/lock-holders/"+r.lockHolder, nil, http.StatusNoContent)
	return p
}

// logIn gets a token of the operator.
func (r *rig) logIn() {
	r.t.Helper()
	status, answer, err := r.post(r.replicas[0].url(), "/oauth2/token", operatorID, operatorSecret, url.Values{"grant_type": {"client_credentials"}})
	if err != nil || status != http.StatusOK {
		r.t.Fatalf("log in: %d %v %v", status, answer, err)
	}
	r.operator = answer["access_token"].(string)
}

func (r *rig) create(path string, body object) object {
	r.t.Helper()
	return r.admin(http.MethodPost, path, body, http.StatusCreated)
}

// admin calls the admin API of the first replica.
func (r *rig) admin(method, path string, body object, want int) object {
	r.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	request, err := http.NewRequest(method, r.replicas[0].url()+"/admin/v1"+path, strings.NewReader(string(text)))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+r.operator)
	request.Header.Set("Content-Type", "application/json")
	status, answer, err := r.do(request)
	if err != nil || status != want {
		r.t.Fatalf("%s %s: %d %v %v, want %d", method, path, status, answer, err, want)
	}
	return answer
}

// formRequest is a form with a client's credentials.
func formRequest(target, id, secret string, form url.Values) (*http.Request, error) {
	request, err := http.NewRequest(http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(id, secret)
	return request, nil
}

func exchangeRequest(base string, p party, subjectToken string) (*http.Request, error) {
	return formRequest(base+"/oauth2/token", p.clientID, p.clientSecret, url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token":      {subjectToken},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
	})
}

func (r *rig) post(base, path, id, secret string, form url.Values) (int, object, error) {
	request, err := formRequest(base+path, id, secret, form)
	if err != nil {
		return 0, nil, err
	}
	return r.do(request)
}

// do gives status 0 for a connection that broke.
func (r *rig) do(request *http.Request) (int, object, error) {
	response, err := r.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, nil, err
	}
	if response.Header.Get(connectionFailed) != "" {
		return 0, nil, fmt.Errorf("the replica broke the connection")
	}
	var answer object
	_ = json.Unmarshal(data, &answer)
	return response.StatusCode, answer, nil
}

// exchange sends a subject token as the integrator's client.
func (r *rig) exchange(base, subjectToken string) (int, object, error) {
	return r.exchangeAs(r.party, base, subjectToken)
}

func (r *rig) exchangeAs(p party, base, subjectToken string) (int, object, error) {
	request, err := exchangeRequest(base, p, subjectToken)
	if err != nil {
		return 0, nil, err
	}
	return r.do(request)
}

func (r *rig) introspect(base, token string) (int, object, error) {
	return r.post(base, "/oauth2/introspect", r.clientID, r.clientSecret, url.Values{"token": {token}})
}

func (r *rig) revoke(base, token string) (int, object, error) {
	return r.post(base, "/oauth2/revoke", r.clientID, r.clientSecret, url.Values{"token": {token}})
}
