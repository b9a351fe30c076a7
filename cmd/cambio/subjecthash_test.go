package main

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// hashOf is what `sha256sum` says of a token.
func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// The record tells which subject token an attempt was made with, and holds
// none: the SHA-256 of what was sent, whatever became of it.
func TestTheSubjectTokensHashIsOnRecord(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		acme.manage("919424508", "east")
		who, bearer := acme.authenticated(), acme.bearer()
		s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"clientless": true}).mustBe(t, 200)
		exchange := func(token string) url.Values { return exchangeForm(token) }
		assert := func(token string) url.Values { return bearerForm(token) }
		for _, c := range []struct {
			rule, path, token string
			who               option
			form              func(token string) url.Values
			status            int
		}{
			{"granted", tokenEndpoint, acme.idp.token(object{"n": 1}), who, exchange, 200},
			{"by a stranger", tokenEndpoint, acme.idp.token(object{"n": 2}), anonymous, exchange, 200},
			{"expired", tokenEndpoint, acme.idp.token(object{"exp": 1, "iat": 1}), who, exchange, 400},
			{"no JWT", tokenEndpoint, "é / + not a token", who, exchange, 400},
			{"too large", tokenEndpoint, strings.Repeat("x", 33<<10), who, exchange, 400},
			{"for a target that is none", tokenEndpoint, acme.idp.token(object{"n": 3}), who, func(token string) url.Values { return exchangeForm(token, "audience", "x") }, 400},
			{"of no type", tokenEndpoint, acme.idp.token(object{"n": 4}), who, func(token string) url.Values {
				return url.Values{"grant_type": {grants.TokenExchange}, "subject_token": {token}}
			}, 400},
			{"an assertion", tokenEndpoint, acme.idp.token(object{"n": 5}), bearer, assert, 200},
			{"an assertion of a client without the grant", tokenEndpoint, acme.idp.token(object{"n": 6}), who, assert, 400},
			{"the dialect", dialectEndpoint, acme.idp.token(object{"n": 7}), who, func(token string) url.Values {
				return url.Values{"grant": {"token_exchange"}, "subjectToken": {token}}
			}, 200},
		} {
			t.Run(c.rule, func(t *testing.T) {
				s.post(c.path, c.who, c.form(c.token)).mustBe(t, c.status)
				list := acme.exchanges("?subject_token_sha256=" + hashOf(c.token))
				if len(list) != 1 || list[0].(object)["subject_token_sha256"] != hashOf(c.token) || (list[0].(object)["result"] == "granted") != (c.status == 200) {
					t.Fatalf("got %v", list)
				}
			})
		}
	})
}

// Where there was no subject token there is no hash, and the filter is strict.
func TestHashesThatAreNone(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.adminToken("integrator.admin")
	acme.exchange("").mustRefuse(t, 400, grants.InvalidRequest, "")
	list := acme.exchanges("")
	if len(list) != 2 {
		t.Fatalf("%d records", len(list))
	}
	for _, record := range list {
		if hash, ok := record.(object)["subject_token_sha256"]; ok {
			t.Errorf("%v has %q", record.(object)["grant_type"], hash)
		}
	}
	good := hashOf("x")
	if list := acme.exchanges("?subject_token_sha256=" + good); len(list) != 0 {
		t.Errorf("a hash of nothing names %v", list)
	}
	for _, bad := range []string{"", good[1:], good + "0", strings.ToUpper(good), good[1:] + "g", good[1:] + "%00", good + "&subject_token_sha256=" + good} {
		s.admin("GET", "/integrators/"+acme.id+"/exchanges?subject_token_sha256="+bad, nil).mustBeProblem(t, http.StatusBadRequest, "invalid_filter")
	}
}
