package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// What a key URL asks of a subject token besides issuer, audience and times.
func TestRulesForSubjectTokens(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		acme.manage("919424508", "east")
		keyURL := "/integrators/" + acme.id + "/key-urls/" + acme.keyURL
		tenant := func(values ...string) []object { return []object{{"claim": "/org/tid", "values": values}} }
		cases := []struct {
			name   string
			rules  object
			claims object
			reason grants.Reason // empty: granted
			says   string
		}{
			{"a condition that holds", object{"condition": `claims.email_verified == true && "staff" in claims.groups`}, object{"email_verified": true, "groups": []string{"staff"}}, "", ""},
			{"one that does not", object{"condition": `claims.email_verified == true`}, object{"email_verified": false}, grants.ConditionFailed, "email_verified = false"},
			{"a truth that is a text", object{"condition": `claims.email_verified == true`}, object{"email_verified": "true"}, grants.ConditionFailed, "email_verified"},
			{"a claim that is not there", object{"condition": `claims.tid == "t1"`}, nil, grants.ConditionFailed, "no such key: tid"},
			{"a required value", object{"required_claims": tenant("t1", "t2")}, object{"org": object{"tid": "t2"}}, "", ""},
			{"a required value in a list", object{"required_claims": tenant("t1")}, object{"org": object{"tid": []any{1, "t1"}}}, "", ""},
			{"a required number", object{"required_claims": tenant("42")}, object{"org": object{"tid": 42}}, "", ""},
			{"another value", object{"required_claims": tenant("t1")}, object{"org": object{"tid": "T1"}}, grants.ClaimInvalid, "T1"},
			{"an object for a value", object{"required_claims": tenant("t1")}, object{"org": object{"tid": object{"t1": "t1"}}}, grants.ClaimInvalid, "/org/tid"},
			{"no required claim", object{"required_claims": tenant()}, nil, grants.ClaimMissing, "/org/tid"},
			{"null for a required claim", object{"required_claims": tenant()}, object{"org": object{"tid": nil}}, grants.ClaimMissing, "/org/tid"},
			{"any value of a required claim", object{"required_claims": tenant()}, object{"org": object{"tid": false}}, "", ""},
			{"a client for an audience", object{"audience_claims": []string{"client_id"}, "audiences": []string{"app1"}}, object{"aud": nil, "client_id": "app1"}, "", ""},
			{"another client", object{"audience_claims": []string{"client_id"}, "audiences": []string{"app1"}}, object{"aud": nil, "client_id": "app2"}, grants.AudienceMismatch, "client_id: app2"},
			{"the right aud, where the client counts", object{"audience_claims": []string{"client_id"}, "audiences": []string{"app1"}}, object{"aud": "app1", "client_id": "app2"}, grants.AudienceMismatch, "app2"},
			{"the right client, where aud comes first", object{"audience_claims": []string{"aud", "client_id"}, "audiences": []string{"app1"}}, object{"aud": "other", "client_id": "app1"}, grants.AudienceMismatch, "aud: other"},
			{"no aud, where the client comes next", object{"audience_claims": []string{"aud", "client_id"}, "audiences": []string{"app1"}}, object{"aud": nil, "client_id": "app1"}, "", ""},
			{"neither", object{"audience_claims": []string{"aud", "client_id"}, "audiences": []string{"app1"}}, object{"aud": nil}, grants.ClaimMissing, "aud, client_id"},
			{"no aud", object{}, object{"aud": nil}, grants.ClaimMissing, "aud"},
		}
		none := object{"condition": nil, "required_claims": nil, "audience_claims": nil, "audiences": []string{s.url}}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				s.admin("PATCH", keyURL, none).mustBe(t, http.StatusOK)
				s.admin("PATCH", keyURL, c.rules).mustBe(t, http.StatusOK)
				claims := object{"permissions": []string{"lockHolder.identifier:NO.919424508.east"}}
				for name, value := range c.claims {
					claims[name] = value
				}
				a := acme.exchange(acme.idp.token(claims))
				if c.reason == "" {
					a.mustBe(t, http.StatusOK)
					return
				}
				a.mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, c.reason)
				if says := a.text("error_description"); !strings.Contains(says, c.says) {
					t.Errorf("%q does not say %q", says, c.says)
				}
			})
		}
	})
}

// A condition is about claims that are true: nobody learns about it by claims
// that nobody signed.
func TestTheConditionIsAskedAfterTheSignature(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"condition": "claims.tid == \"t1\""}).mustBe(t, http.StatusOK)
	forged := newTestIDP(t, s.url).sign(object{"alg": "RS256", "kid": acme.idp.kid}, acme.idp.claims(object{"tid": "t2"}))
	acme.exchange(forged).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.SignatureInvalid)
}

// Keys that sign for every tenant of a provider need something that tells the
// tenants apart; a key URL that is there can always be disabled.
func TestSharedKeysMustBeBound(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	keyURLs := "/integrators/" + acme.id + "/key-urls"
	create := func(url string, members object) answer {
		whole := object{"issuer": "https://idp.example/" + url, "url": url}
		for name, value := range members {
			whole[name] = value
		}
		return s.admin("POST", keyURLs, whole)
	}
	const google, github = "https://www.googleapis.com/oauth2/v3/certs", "https://token.actions.githubusercontent.com/.well-known/jwks"
	owner := []object{{"claim": "repository_owner_id", "values": []string{"1"}}}
	for name, c := range map[string]struct {
		url     string
		members object
		ok      bool
	}{
		"nothing":                             {google, nil, false},
		"an audience":                         {google, object{"audiences": []string{"api"}}, true},
		"a bound claim":                       {google, object{"required_claims": []object{{"claim": "hd", "values": []string{"acme.example"}}}}, true},
		"a condition":                         {google, object{"condition": `claims.hd == "acme.example"`}, true},
		"a condition on nothing":              {google, object{"condition": "true"}, false},
		"a condition on what all have":        {google, object{"condition": `claims.iss == "https://accounts.google.com"`}, false},
		"a claim that all have":               {google, object{"required_claims": []object{{"claim": "/iss", "values": []string{"https://accounts.google.com"}}}}, false},
		"the issuer for an audience":          {google, object{"audience_claims": []string{"iss"}, "audiences": []string{"https://accounts.google.com"}}, false},
		"a claim of any value":                {google, object{"required_claims": []object{{"claim": "hd"}}}, false},
		"Entra, common":                       {"https://login.microsoftonline.com/common/discovery/v2.0/keys", nil, false},
		"Entra, a tenant":                     {"https://login.microsoftonline.com/72f988bf/discovery/v2.0/keys", nil, true},
		"GitHub, an audience":                 {github, object{"audiences": []string{"api"}}, false},
		"GitHub, an audience by another name": {github, object{"required_claims": []object{{"claim": "aud", "values": []string{"api"}}}}, false},
		"GitHub, an owner":                    {github, object{"audiences": []string{"api"}, "required_claims": owner}, true},
		"GitHub with a dot, in capitals":      {"https://TOKEN.actions.githubusercontent.com./.well-known/jwks", nil, false},
		"nothing, where it is disabled":       {google, object{"status": "disabled"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := create(c.url, c.members)
			if !c.ok {
				a.mustBe(t, http.StatusUnprocessableEntity)
				if !strings.Contains(a.body, "shared_keys") {
					t.Errorf("%s", a.body)
				}
				return
			}
			path := keyURLs + "/" + a.mustBe(t, http.StatusCreated).text("id")
			s.admin("PATCH", path, object{"status": "active", "audiences": nil, "required_claims": nil, "condition": nil}).
				mustBe(t, map[bool]int{true: http.StatusOK, false: http.StatusUnprocessableEntity}[name == "Entra, a tenant"])
			s.admin("PATCH", path, object{"status": "disabled", "audiences": nil, "required_claims": nil, "condition": nil}).mustBe(t, http.StatusOK)
			s.admin("DELETE", path, nil).mustBe(t, http.StatusNoContent)
		})
	}
}
