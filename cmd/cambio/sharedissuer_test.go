package main

import (
	"net/http"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// Two integrators that share an issuer are told apart by aud when nobody names
// a client. A claim that every token has would let one stop the other.
func TestClientlessExchangeOfASharedIssuer(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme, bob := s.newParty("Acme"), s.newParty("Bob")
		acme.manage("919424508", "east")
		of := func(p *party) string { return "/integrators/" + p.id + "/key-urls/" + p.keyURL }
		s.admin("PATCH", of(acme), object{"clientless": true, "audiences": []string{"acme-api"}}).mustBe(t, http.StatusOK)
		s.admin("PATCH", of(bob), object{"issuer": acme.idp.issuer, "url": acme.idp.url("/jwks.json"), "audiences": []string{"bob-api"}}).mustBe(t, http.StatusOK)
		token := acme.idp.token(object{"aud": "acme-api"})
		exchange := func() answer { return s.post(tokenEndpoint, anonymous, exchangeForm(token)) }
		exchange().mustBe(t, http.StatusOK)
		for _, rules := range []object{
			{"clientless": true, "audience_claims": []string{"iss"}, "audiences": []string{acme.idp.issuer}},
			{"clientless": true, "audience_claims": []string{"azp", "aud"}},
		} {
			s.admin("PATCH", of(bob), rules).mustBe(t, http.StatusConflict)
		}
		s.admin("PATCH", of(bob), object{"clientless": true}).mustBe(t, http.StatusOK)
		s.admin("PATCH", of(bob), object{"audience_claims": []string{"iss"}}).mustBe(t, http.StatusConflict)
		s.admin("PATCH", of(acme), object{"audience_claims": []string{"client_id"}}).mustBe(t, http.StatusConflict)
		exchange().mustBe(t, http.StatusOK)

		// A token that names both is nobody's, and explain says no more than the
		// grant does.
		token = acme.idp.token(object{"aud": []string{"acme-api", "bob-api"}})
		exchange().mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, "")
		if a := acme.explain(object{"subject_token": token}).mustBe(t, http.StatusOK); a.text("result") != "refused" || a.text("reason") != "issuer_unknown" {
			t.Errorf("explain: %s", a.body)
		}
		// What is said to one about an audience is about its own.
		a := bob.explain(object{"subject_token": acme.idp.token(object{"aud": "x"})}).mustBe(t, http.StatusOK)
		if a.text("reason") != "audience_mismatch" || a.step(t, "key_url")["expected"] != "aud with one of: bob-api" {
			t.Errorf("explain: %s", a.body)
		}
	})
}
