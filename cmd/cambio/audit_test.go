package main

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// A change of rules is tried beside those in force: nobody notices but the
// record, which says who would have.
func TestAuditOfAChange(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		acme.manage("919424508", "east")
		acme.rule("role:*", "role.$1")
		keyURL := "/integrators/" + acme.id + "/key-urls/" + acme.keyURL
		exchange := func(claims object) answer { return acme.exchange(acme.idp.token(claims)) }
		s.admin("GET", keyURL+"/audit", nil).mustBe(t, http.StatusNotFound)
		s.admin("PATCH", keyURL, object{"required_claims": []object{{"claim": "tid"}}}).mustBe(t, http.StatusOK)
		change := object{"condition": "claims.email_verified == true", "permissions_claim": "roles", "required_claims": []any{}}
		s.admin("PATCH", keyURL, object{"mode": "audit", "change": change}).mustBe(t, http.StatusOK)

		both := object{"tid": "t", "email_verified": true, "permissions": []string{lockScope}, "roles": []string{lockScope}}
		exchange(both).mustBe(t, http.StatusOK)
		loses := object{"tid": "t", "email_verified": true, "permissions": []string{lockScope, "role:a"}, "roles": []string{lockScope, "role:b"}}
		for range 2 {
			if a := exchange(loses).mustBe(t, http.StatusOK); a.text("scope") != lockScope+" role.a" {
				t.Errorf("the change was in force: %s", a.body)
			}
		}
		exchange(object{"tid": "t", "email_verified": false}).mustBe(t, http.StatusOK)
		exchange(object{"tid": "t", "email_verified": true, "roles": 1}).mustBe(t, http.StatusOK)
		exchange(object{"email_verified": true, "roles": []string{lockScope}}).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.ClaimMissing)
		exchange(object{"tid": "t", "exp": 1}).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.TokenExpired)
		acme.exchange("x").mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.Malformed) // judged by neither

		sum := s.admin("GET", keyURL+"/audit", nil).mustBe(t, http.StatusOK).json
		for member, want := range (object{
			"exchanges": 7.0, "granted": 5.0, "would_fail": 2.0, "would_pass": 1.0, "reasons": object{"condition_failed": 1.0, "permissions_invalid": 1.0},
			"scopes_lost": object{"role.a": 2.0}, "scopes_gained": object{"role.b": 2.0}, "complete": true,
		}) {
			if !reflect.DeepEqual(sum[member], want) {
				t.Errorf("%s: %v, want %v", member, sum[member], want)
			}
		}
		records := s.admin("GET", "/integrators/"+acme.id+"/exchanges?limit=8", nil).mustBe(t, http.StatusOK).json["items"].([]any)
		if audit := records[6].(object)["audit"].(object); audit["key_url"] != acme.keyURL || audit["result"] != "granted" || fmt.Sprint(audit["lost"]) != "[role.a]" || fmt.Sprint(audit["gained"]) != "[role.b]" {
			t.Errorf("record: %v", audit)
		}
		if audit := records[4].(object)["audit"].(object); audit["result"] != "refused" || audit["reason"] != "condition_failed" {
			t.Errorf("record: %v", audit)
		}
		if records[0].(object)["audit"] != nil {
			t.Errorf("a token that was judged by neither: %v", records[0])
		}
		if a := acme.explain(object{"subject_token": acme.idp.token(object{"tid": "t"})}).mustBe(t, http.StatusOK); a.json["audit"].(object)["reason"] != "condition_failed" {
			t.Errorf("explain: %s", a.body)
		}

		s.admin("PATCH", keyURL, object{"change": object{"permissions_claim": nil}}).mustBe(t, http.StatusOK) // RFC 7396: not that one
		if sum := s.admin("GET", keyURL+"/audit", nil).mustBe(t, http.StatusOK); sum.json["exchanges"] != 0.0 || strings.Contains(sum.body, "roles") {
			t.Errorf("another trial: %s", sum.body)
		}
		s.admin("PATCH", keyURL, object{"mode": "enforce", "change": object{"max_lifetime": 60}}).mustBe(t, http.StatusUnprocessableEntity)
		now := s.admin("PATCH", keyURL, object{"mode": "enforce"}).mustBe(t, http.StatusOK).json
		if now["condition"] != "claims.email_verified == true" || now["permissions_claim"] != "permissions" || len(now["required_claims"].([]any)) != 0 || now["change"] != nil || now["mode"] != "enforce" {
			t.Errorf("in force: %v", now)
		}
		exchange(object{"email_verified": false}).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.ConditionFailed)
		s.admin("GET", keyURL+"/audit", nil).mustBe(t, http.StatusNotFound)
	})
}

// A trial can be dropped, one key URL of an issuer has one at a time, and a
// subject token that is used once is not used up by it.
func TestTrialsOfChanges(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	keyURLs := "/integrators/" + acme.id + "/key-urls"
	keyURL := keyURLs + "/" + acme.keyURL
	trial := object{"mode": "audit", "change": object{"max_lifetime": 60}}
	s.admin("PATCH", keyURL, object{"single_use": true}).mustBe(t, http.StatusOK)
	s.admin("PATCH", keyURL, trial).mustBe(t, http.StatusOK)
	acme.exchange(acme.idp.token(object{"jti": "1"})).mustBe(t, http.StatusOK)
	acme.exchange(acme.idp.token(object{"jti": "1"})).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.Replayed)
	sum := s.admin("GET", keyURL+"/audit", nil).mustBe(t, http.StatusOK)
	if !reflect.DeepEqual(sum.json["reasons"], object{"lifetime_too_long": 1.0}) || sum.json["exchanges"] != 2.0 {
		t.Errorf("%s", sum.body)
	}
	s.admin("PATCH", keyURL, object{"change": object{"max_lifetime": 86400}}).mustBe(t, http.StatusOK)
	acme.exchange(acme.idp.token(object{"jti": "2"})).mustBe(t, http.StatusOK)
	acme.exchange(acme.idp.token(object{"jti": "2"})).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.Replayed)
	if sum := s.admin("GET", keyURL+"/audit", nil).mustBe(t, http.StatusOK); sum.json["would_pass"] != 0.0 || sum.json["would_fail"] != 0.0 || sum.json["exchanges"] != 2.0 {
		t.Errorf("a token that was used up: %s", sum.body)
	}
	for name, change := range map[string]object{"another case": {"Max_Lifetime": 60}, "another case beside": {"max_lifetime": 60, "maX_lifetime": 61}} {
		if a := s.admin("PATCH", keyURL, object{"change": change}); a.status != http.StatusUnprocessableEntity && a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	s.admin("PATCH", keyURL, object{"mode": nil}).mustBe(t, http.StatusUnprocessableEntity) // which would put it into force
	second := s.admin("POST", keyURLs, object{"issuer": acme.idp.issuer, "url": acme.idp.url("/spki.pem")}).mustBe(t, http.StatusCreated).text("id")
	s.admin("PATCH", keyURLs+"/"+second, trial).mustBe(t, http.StatusConflict)
	s.admin("PATCH", keyURL, object{"change": nil}).mustBe(t, http.StatusUnprocessableEntity)
	if k := s.admin("PATCH", keyURL, object{"mode": "enforce", "change": nil}).mustBe(t, http.StatusOK).json; k["max_lifetime"] != 86400.0 || k["change"] != nil {
		t.Errorf("dropped: %v", k)
	}
	s.admin("PATCH", keyURLs+"/"+second, trial).mustBe(t, http.StatusOK)
}
