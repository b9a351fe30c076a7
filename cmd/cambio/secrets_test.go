package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// CAU-09: both secrets work through the overlap, and the old one ends with it,
// on every replica.
func TestSecretRotation(t *testing.T) {
	f := newFleet(t)
	old := f.acme.secret
	path := "/integrators/" + f.acme.id + "/clients/" + f.acme.clientID + "/secret"
	rotated := f.first.admin("POST", path+"?overlap=60", nil).mustBe(t, http.StatusCreated)
	fresh := rotated.text("client_secret")
	if !strings.HasPrefix(fresh, "cbs_") || fresh == old || rotated.text("client_id") != f.acme.clientID {
		t.Fatalf("got %s", rotated.body)
	}
	token := f.idp.token(nil)
	both := func(secret string, status int) {
		t.Helper()
		f.both(func(name string, s *server) {
			if a := s.post(tokenEndpoint, basic(f.acme.clientID, secret), exchangeForm(token)); a.status != status {
				t.Errorf("the %s replica answers %d, want %d", name, a.status, status)
			}
		})
	}
	both(old, http.StatusOK)
	both(fresh, http.StatusOK)
	f.clock.advance(61 * time.Second)
	both(old, http.StatusUnauthorized)
	both(fresh, http.StatusOK)
	last := f.first.admin("POST", path, nil).mustBe(t, http.StatusCreated).text("client_secret") // the others end now
	f.first.post(tokenEndpoint, basic(f.acme.clientID, fresh), exchangeForm(token)).mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
	eventually(t, "the second replica refuses the secret that ended", func() bool {
		return f.second.post(tokenEndpoint, basic(f.acme.clientID, fresh), exchangeForm(token)).status == http.StatusUnauthorized
	})
	both(last, http.StatusOK)
	read := f.first.admin("GET", strings.TrimSuffix(path, "/secret"), nil).mustBe(t, http.StatusOK)
	if strings.Contains(read.body, "cbs_") {
		t.Errorf("a secret is shown again: %s", read.body)
	}
	f.first.mustNotLog(old, fresh, last)
}

// A client whose method only a later version knows cannot use the secret it had
// before.
func TestUnknownAuthMethodTakesNoSecret(t *testing.T) {
	databaseURL := storagetest.SQLite(t)
	s := startServer(t, databaseURL, nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK)
	execute(t, sideDoor(t, databaseURL), "UPDATE clients SET auth_method = 'tls_client_auth' WHERE client_id = '"+acme.clientID+"';;UPDATE changes SET seq = seq + 1")
	eventually(t, "the secret counts no more", func() bool { return acme.exchange(acme.idp.token(nil)).status == http.StatusUnauthorized })
}

func TestWhatSecretRotationTakes(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, other := s.newParty("Acme"), s.newParty("Other")
	path := "/integrators/" + acme.id + "/clients/" + acme.clientID + "/secret"
	for _, query := range []string{"overlap=-1", "overlap=x", "overlap=2592001", "overlap=1&overlap=2", "overlap=1.5", "overlp=60", "overlap=60&x=y", "overlap="} {
		s.admin("POST", path+"?"+query, nil).mustBeProblem(t, http.StatusBadRequest, "invalid_overlap")
	}
	s.admin("POST", path, object{"overlap": 3600}).mustBeProblem(t, http.StatusBadRequest, "malformed")
	acme.exchange(acme.idp.token(nil)).mustRefuse(t, http.StatusBadRequest, grants.InvalidScope, "") // its secret works as before
	for range 4 {
		s.admin("POST", path+"?overlap=2592000", nil).mustBe(t, http.StatusCreated)
	}
	s.admin("POST", path+"?overlap=2592000", nil).mustBeProblem(t, http.StatusConflict, "conflict")
	s.admin("POST", path+"?overlap=0", nil).mustBe(t, http.StatusCreated)

	mine, theirs := acme.adminToken("integrator.admin"), other.adminToken("integrator.admin")
	s.adminAs(mine, "POST", "/integrators/me/clients/"+acme.clientID+"/secret", nil).mustBe(t, http.StatusCreated)
	s.adminAs(theirs, "POST", path, nil).mustBeProblem(t, http.StatusNotFound, "not_found")
	s.adminAs(theirs, "POST", "/integrators/me/clients/"+acme.clientID+"/secret", nil).mustBeProblem(t, http.StatusNotFound, "not_found")
	public, _ := acme.newClient(object{"client_name": "app", "token_endpoint_auth_method": "none"})
	s.admin("POST", "/integrators/"+acme.id+"/clients/"+public+"/secret", nil).mustBeProblem(t, http.StatusConflict, "conflict")
	s.admin("POST", "/integrators/"+acme.id+"/clients/unknown/secret", nil).mustBeProblem(t, http.StatusNotFound, "not_found")
}
