package main

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

func bearerForm(assertion string, members ...string) url.Values {
	form := url.Values{"grant_type": {grants.JWTBearer}, "assertion": {assertion}}
	for i := 0; i+1 < len(members); i += 2 {
		form.Add(members[i], members[i+1])
	}
	return form
}

// bearer makes a client that may use the JWT bearer grant.
func (p *party) bearer() option {
	p.s.t.Helper()
	id, secret := p.newClient(object{"client_name": "bearer", "grant_types": []string{grants.JWTBearer}})
	return basic(id, secret)
}

// RFC 7523 §2.1 on the same trust, policy and scopes as the exchange.
func TestJWTBearerGrant(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	holder := acme.manage("919424508", "east")
	who := acme.bearer()
	a := s.post(tokenEndpoint, who, bearerForm(acme.idp.token(nil))).mustBe(t, http.StatusOK)
	if a.text("scope") != lockScope || a.text("token_type") != "Bearer" || a.json["expires_in"].(float64) <= 0 || a.json["refresh_token"] != nil {
		t.Errorf("got %s", a.body)
	}
	if a.json["issued_token_type"] != nil { // RFC 6749 §5.1: nothing was exchanged
		t.Errorf("got %s", a.body)
	}
	_, claims := decodeToken(t, a.text("access_token"))
	if claims["sub"] != acme.idp.issuer+"#auth0|5934aafe4e52d93452b1c90" || claims["integrator_id"] != acme.id || claims["lock_holder_ids"].([]any)[0] != holder {
		t.Errorf("claims %v", claims)
	}
	s.mustBeActive(a.text("access_token"), true)
	s.adminAs(a.text("access_token"), "GET", "/integrators/me", nil).mustBeProblem(t, http.StatusForbidden, "insufficient_scope")
	s.post(tokenEndpoint, who, bearerForm(acme.idp.token(nil), "scope", lockScope)).mustBe(t, http.StatusOK)
}

// RFC 7523 §3.1: a bad assertion is invalid_grant; what is wrong with the
// request is what it is anywhere.
func TestJWTBearerRefusals(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, other := s.newParty("Acme"), s.newParty("Other")
	acme.manage("919424508", "east")
	who := acme.bearer()
	good := acme.idp.token(nil)
	for rule, test := range map[string]struct {
		assertion string
		reason    grants.Reason
	}{
		"expired":                    {acme.idp.token(object{"exp": 1, "iat": 0.5}), grants.ClaimInvalid},
		"an altered signature":       {good[:len(good)-4] + "AAAA", grants.SignatureInvalid},
		"another's issuer":           {other.idp.token(nil), grants.IssuerUnknown},
		"another audience":           {acme.idp.token(object{"aud": "https://other.example"}), grants.AudienceMismatch},
		"no JWT":                     {"x", grants.Malformed},
		"permissions of no kind":     {acme.idp.token(object{"permissions": 1}), grants.PermissionsInvalid},
		"a token of ours":            {s.token, grants.WrongTokenKind},
		"an unsolicited ID-JAG":      {acme.idp.sign(object{"alg": "RS256", "typ": "oauth-id-jag+jwt", "kid": acme.idp.kid}, acme.idp.claims(nil)), grants.TypNotAllowed},
		"a logout token":             {acme.idp.sign(object{"alg": "RS256", "typ": "logout+jwt", "kid": acme.idp.kid}, acme.idp.claims(nil)), grants.TypNotAllowed},
		"signed with the public key": {acme.idp.mac(acme.idp.claims(nil)), grants.AlgNotAllowed},
	} {
		t.Run(rule, func(t *testing.T) {
			s.post(tokenEndpoint, who, bearerForm(test.assertion)).mustRefuse(t, http.StatusBadRequest, grants.InvalidGrant, test.reason)
		})
	}
	s.post(tokenEndpoint, who, bearerForm("")).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, "")
	s.post(tokenEndpoint, who, bearerForm(good, "scope", "not.granted")).mustRefuse(t, http.StatusBadRequest, grants.InvalidScope, "")
	s.post(tokenEndpoint, who, bearerForm(good, "resource", "https://unknown.example")).mustRefuse(t, http.StatusBadRequest, grants.InvalidTarget, "")
	s.post(tokenEndpoint, acme.authenticated(), bearerForm(good)).mustRefuse(t, http.StatusBadRequest, grants.UnauthorizedClient, "")
	s.post(tokenEndpoint, who, exchangeForm(good)).mustRefuse(t, http.StatusBadRequest, grants.UnauthorizedClient, "")
	s.post(tokenEndpoint, anonymous, bearerForm(good)).mustRefuse(t, http.StatusBadRequest, grants.InvalidGrant, "") // strangers get no reason
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"clientless": true}).mustBe(t, http.StatusOK)
	s.post(tokenEndpoint, anonymous, bearerForm(good)).mustBe(t, http.StatusOK)
	acme.idp.broken.Store(true)
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"url": acme.idp.url("/certificate.pem")}).mustBe(t, http.StatusOK)
	s.post(tokenEndpoint, who, bearerForm(good)).mustRefuse(t, http.StatusServiceUnavailable, grants.TemporarilyUnavailable, "")
}

// ID-JAG (draft-ietf-oauth-identity-assertion-authz-grant): where the key URL
// says so, as a grant and never to be exchanged, for this server alone and for
// the client it names, once.
func TestIdentityAssertions(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	acme.manage("425234653", "north")
	members := object{"client_name": "agent", "grant_types": []string{grants.JWTBearer, grants.TokenExchange}}
	id, secret := acme.newClient(members)
	who := basic(id, secret)
	members["token_endpoint_auth_method"] = "none"
	public, _ := acme.newClient(members)
	path := "/integrators/" + acme.id + "/key-urls/" + acme.keyURL
	jag := func(changes object) string {
		claims := object{"client_id": id, "jti": rand.Text(), "aud": s.url, "scope": nil}
		for name, value := range changes {
			claims[name] = value
		}
		return acme.idp.sign(object{"alg": "RS256", "typ": "oauth-id-jag+jwt", "kid": acme.idp.kid}, acme.idp.claims(claims))
	}
	s.post(tokenEndpoint, who, bearerForm(jag(nil))).mustRefuse(t, http.StatusBadRequest, grants.InvalidGrant, grants.TypNotAllowed)
	if k := s.admin("PATCH", path, object{"allow_id_jag": true, "clientless": true}).mustBe(t, http.StatusOK); k.json["allow_id_jag"] != true {
		t.Errorf("got %s", k.body)
	}
	once := jag(nil)
	s.post(tokenEndpoint, who, exchangeForm(once)).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.TypNotAllowed)
	s.post(tokenEndpoint, who, bearerForm(once)).mustBe(t, http.StatusOK)
	s.post(tokenEndpoint, who, bearerForm(once)).mustRefuse(t, http.StatusBadRequest, grants.InvalidGrant, grants.Replayed)
	s.post(tokenEndpoint, who, bearerForm(acme.idp.token(nil))).mustBe(t, http.StatusOK) // others as before
	for rule, test := range map[string]struct {
		changes object
		reason  grants.Reason
	}{
		"another client":     {object{"client_id": acme.clientID}, grants.ClaimInvalid},
		"no client":          {object{"client_id": nil}, grants.ClaimInvalid},
		"a client as number": {object{"client_id": 7}, grants.ClaimInvalid},
		"several clients":    {object{"client_id": []string{id, acme.clientID}}, grants.ClaimInvalid},
		"a client in a list": {object{"client_id": []string{id}}, grants.ClaimInvalid},
		"no jti":             {object{"jti": nil}, grants.ClaimMissing},
		"another aud, too":   {object{"aud": []string{s.url, "https://other.example"}}, grants.AudienceMismatch},
		"a scope of no kind": {object{"scope": []string{"a", "b"}}, grants.ClaimInvalid},
		"an empty scope":     {object{"scope": []string{}}, grants.ClaimInvalid},
		"a scope in a list":  {object{"scope": []string{otherLockScope}}, grants.ClaimInvalid},
	} {
		t.Run(rule, func(t *testing.T) {
			s.post(tokenEndpoint, who, bearerForm(jag(test.changes))).mustRefuse(t, http.StatusBadRequest, grants.InvalidGrant, test.reason)
		})
	}
	s.admin("PATCH", path, object{"audiences": []string{"api.acme"}}).mustBe(t, http.StatusOK) // of access tokens
	s.post(tokenEndpoint, who, bearerForm(jag(nil))).mustBe(t, http.StatusOK)
	s.post(tokenEndpoint, who, bearerForm(jag(object{"aud": "api.acme"}))).mustRefuse(t, http.StatusBadRequest, grants.InvalidGrant, grants.AudienceMismatch)
	s.admin("PATCH", path, object{"audiences": nil}).mustBe(t, http.StatusOK)
	if got := s.post(tokenEndpoint, who, bearerForm(jag(object{"scope": "openid " + otherLockScope}))).mustBe(t, http.StatusOK).text("scope"); got != otherLockScope {
		t.Errorf("granted %q", got)
	}
	s.post(tokenEndpoint, who, bearerForm(jag(object{"scope": "openid"}))).mustRefuse(t, http.StatusBadRequest, grants.InvalidScope, "")
	s.post(tokenEndpoint, who, bearerForm(jag(object{"resource": "https://other.example"}))).mustRefuse(t, http.StatusBadRequest, grants.InvalidTarget, "")
	for _, resource := range []any{[]string{}, 5, []any{s.url, 5}, object{}} { // no place for a token
		s.post(tokenEndpoint, who, bearerForm(jag(object{"resource": resource}))).mustRefuse(t, http.StatusBadRequest, grants.InvalidTarget, "")
	}
	s.post(tokenEndpoint, who, bearerForm(jag(object{"resource": []string{s.url, "https://other.example"}}))).mustBe(t, http.StatusOK)
	s.post(tokenEndpoint, anonymous, bearerForm(jag(nil))).mustRefuse(t, http.StatusBadRequest, grants.InvalidGrant, "")
	s.post(tokenEndpoint, anonymous, bearerForm(jag(object{"client_id": public}), "client_id", public)).mustRefuse(t, http.StatusBadRequest, grants.InvalidGrant, "")
}
