package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// What Unloc's own pages say of its API, peers.md §6, page by page ([A] to
// [O]), as far as interface.md §5 takes it over. What it does not take over:
// the path of v2 [L], the single lock_holder_id of [A], tokens without scope
// [M], and lockHolder.admin:<id> out of an exchange [C].

// postJSON sends a body to the dialect as the guides do.
func (s *server) postJSON(members object, options ...option) answer {
	s.t.Helper()
	data, err := json.Marshal(members)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.do("POST", dialectEndpoint+"/", string(data), append(options, header("Content-Type", "application/json"))...)
}

// [A] [B] [C] [L]: client credentials, JSON in, client_id a UUID and
// client_secret the partner's key, scope left out, an array, or one string.
func TestUnlocClientCredentials(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	const holder = "lockHolder.admin:01a20c50-e14c-78ea-a507-31472bc75246"
	id, secret := acme.newClient(object{"client_name": "backend", "scope": "integrator.admin " + holder})
	for rule, c := range map[string]struct {
		scope any
		want  []any
	}{
		"[A] no scope":                      {nil, []any{"integrator.admin", holder}},
		"[B] integrator.admin in an array":  {[]string{"integrator.admin"}, []any{"integrator.admin"}},
		"[B] integrator.admin as a string":  {"integrator.admin", []any{"integrator.admin"}},
		"[C] one lock holder":               {[]string{holder}, []any{holder}},
		"[A] two as one string":             {holder + " integrator.admin", []any{holder, "integrator.admin"}},
		"[A] two in an array, in its order": {[]string{holder, "integrator.admin"}, []any{holder, "integrator.admin"}},
	} {
		t.Run(rule, func(t *testing.T) {
			body := object{"grant_type": "client_credentials", "client_id": id, "client_secret": secret, "scope": c.scope}
			a := s.postJSON(body).mustBe(t, 200)
			if got, _ := a.json["scope"].([]any); !slices.Equal(got, c.want) {
				t.Errorf("scope %v, want %v", got, c.want)
			}
			a.mustBeOfTheDialect(t, false)
			if a.body[len(a.body)-len(`"lock_holder_ids":[]}`):] != `"lock_holder_ids":[]}` {
				t.Errorf("lock_holder_ids is there, and never null: %s", a.body)
			}
			// [F]: integrator.admin opens the integrator's endpoints.
			status := http.StatusForbidden
			if slices.Contains(c.want, any("integrator.admin")) {
				status = http.StatusOK
			}
			s.adminAs(a.text("access_token"), "GET", "/integrators/me/lock-holders", nil).mustBe(t, status)
		})
	}
	t.Run("HTTP Basic does as well", func(t *testing.T) {
		s.postJSON(object{"grant": "client_credentials"}, basic(id, secret)).mustBe(t, 200).mustBeOfTheDialect(t, false)
	})
}

// [A] [C]: token_type in small letters, expires_in 3600, scope as an array, no
// refresh token; issued_token_type (RFC 8693 §2.2.1) is ours, and in front of
// nobody's way.
func (a answer) mustBeOfTheDialect(t *testing.T, exchanged bool) {
	t.Helper()
	want := []string{"access_token", "expires_in", "lock_holder_ids", "scope", "token_type"}
	if exchanged {
		want = []string{"access_token", "expires_in", "issued_token_type", "lock_holder_ids", "scope", "token_type"}
	}
	if got := slices.Sorted(keysOf(a.json)); !slices.Equal(got, want) {
		t.Errorf("members %v, want %v", got, want)
	}
	if a.text("token_type") != "bearer" || a.json["expires_in"] != 3600.0 || exchanged && a.text("issued_token_type") != grants.TokenTypeAccessToken {
		t.Errorf("answer %s", a.body)
	}
	a.mustBeSafe(t)
}

// [D] [E] [M]: what an external provider sends. An audience is a bare host
// name, of production or of the sandbox; the issuer ends in a slash; keys are
// JWKS or plain text; permissions name lock holders, with a dot at the end
// when the suffix is empty; scope of the provider is the provider's.
func TestUnlocSubjectTokens(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := openClientless(t, s, "/jwks.json")
	acme.manage("919424508", "")
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"audiences": []string{"api.unloc.app", "api.unloc.sandbox.app"}}).mustBe(t, 200)
	const unsuffixed = "lockHolder.identifier:NO.919424508."
	for rule, c := range map[string]struct {
		claims object
		scope  []any  // nil: refused
		code   string // of the refusal
	}{
		"[E] the production audience":                  {object{"aud": "api.unloc.app"}, []any{lockScope, otherLockScope}, ""},
		"[E] the sandbox's":                            {object{"aud": []string{"api.unloc.sandbox.app"}}, []any{lockScope, otherLockScope}, ""},
		"[D] audience and userinfo":                    {object{"aud": []string{"api.unloc.app", acme.idp.issuer + "userinfo"}}, []any{lockScope, otherLockScope}, ""},
		"[D] the audience as a URL":                    {object{"aud": "https://api.unloc.app"}, nil, "invalid_request"},
		"[D] this server's own audience, no longer":    {object{"aud": s.url}, nil, "invalid_request"},
		"[D] an issuer without its slash":              {object{"iss": strings.TrimSuffix(acme.idp.issuer, "/")}, nil, "invalid_request"},
		"[A] a dot for an empty suffix":                {object{"permissions": []string{unsuffixed}}, []any{unsuffixed}, ""},
		"[A] no dot for an empty suffix":               {object{"permissions": []string{strings.TrimSuffix(unsuffixed, ".")}}, nil, "invalid_scope"},
		"[H] more than three parts":                    {object{"permissions": []string{lockScope + ".door"}}, nil, "invalid_scope"},
		"[H] an organisation of three characters":      {object{"permissions": []string{"lockHolder.identifier:NO.123."}}, nil, "invalid_scope"},
		"[C] a lock holder by its id":                  {object{"permissions": []string{"lockHolder.admin:" + acme.lockHolder()}}, nil, "invalid_scope"},
		"[B] integrator.admin":                         {object{"permissions": []string{"integrator.admin"}}, nil, "invalid_scope"},
		"[L] organization.admin of v2":                 {object{"permissions": []string{"organization.admin"}}, nil, "invalid_scope"},
		"[D] the provider's scope is not ours":         {object{"scope": "integrator.admin " + lockScope, "permissions": []string{otherLockScope}}, []any{otherLockScope}, ""},
		"[E] permissions of others beside ours":        {object{"permissions": []string{"read:messages", lockScope, "openid"}}, []any{lockScope}, ""},
		"[M] unscoped tokens are not issued":           {object{"permissions": []string{}}, nil, "invalid_scope"},
		"[E] permissions as Auth0 leaves them without": {object{"permissions": nil}, nil, "invalid_scope"},
	} {
		t.Run(rule, func(t *testing.T) {
			claims := object{"aud": "api.unloc.app"}
			for name, value := range c.claims {
				claims[name] = value
			}
			a := s.postJSON(object{"grant_type": "token_exchange", "subjectToken": acme.idp.token(claims)})
			if c.scope == nil {
				a.mustRefuse(t, 400, grants.Code(c.code), "")
				return
			}
			if got, _ := a.mustBe(t, 200).json["scope"].([]any); !slices.Equal(got, c.scope) {
				t.Errorf("scope %v, want %v", got, c.scope)
			}
			if ids, _ := a.json["lock_holder_ids"].([]any); len(ids) != len(c.scope) {
				t.Errorf("lock_holder_ids %v", ids)
			}
			a.mustBeOfTheDialect(t, true)
		})
	}
	t.Run("[E] only RS256 is supported, unless the key URL says otherwise", func(t *testing.T) {
		token := acme.idp.sign(object{"alg": "RS512", "kid": acme.idp.kid}, acme.idp.claims(object{"aud": "api.unloc.app"}))
		s.postJSON(object{"grant_type": "token_exchange", "subjectToken": token}).mustRefuse(t, 400, grants.InvalidRequest, "")
	})
	t.Run("[O] a lock holder may have several integrators", func(t *testing.T) {
		other := s.newParty("Other")
		other.share(acme.lockHolder())
		other.exchange(other.idp.token(nil)).mustBe(t, 200)
	})
}

// [A]: errors are error and error_description, of OAuth, not the camelCase of
// the resource API [C] nor the problems of v2 [L].
func TestUnlocErrors(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := openClientless(t, s, "/jwks.json")
	public, _ := acme.newClient(object{"client_name": "app", "token_endpoint_auth_method": "none"})
	for rule, c := range map[string]struct {
		do     func() answer
		status int
		code   grants.Code
	}{
		"no grant":         {func() answer { return s.postJSON(object{}) }, 400, grants.InvalidRequest},
		"an unknown grant": {func() answer { return s.postJSON(object{"grant_type": "refresh_token", "refresh_token": "x"}) }, 400, grants.UnsupportedGrantType},
		"a wrong secret": {func() answer {
			return s.postJSON(object{"grant_type": "client_credentials", "client_id": acme.clientID, "client_secret": "x"})
		}, 401, grants.InvalidClient},
		"no client":       {func() answer { return s.postJSON(object{"grant_type": "client_credentials"}) }, 401, grants.InvalidClient},
		"a public client": {func() answer { return s.postJSON(object{"grant_type": "client_credentials", "client_id": public}) }, 400, grants.UnauthorizedClient},
		"a bad token":     {func() answer { return s.postJSON(object{"grant_type": "token_exchange", "subjectToken": "x"}) }, 400, grants.InvalidRequest},
		"two methods": {func() answer {
			return s.postJSON(object{"grant_type": "client_credentials", "client_secret": "x"}, acme.authenticated())
		}, 400, grants.InvalidRequest},
		"parameters in URLs": {func() answer {
			return s.do("POST", dialectEndpoint+"?scope=x", "{}", header("Content-Type", "application/json"))
		}, 400, grants.InvalidRequest},
	} {
		t.Run(rule, func(t *testing.T) {
			a := c.do()
			a.mustRefuse(t, c.status, c.code, "")
			a.mustBeSafe(t)
			if got := slices.Sorted(keysOf(a.json)); !slices.Equal(got, []string{"error", "error_description"}) {
				t.Errorf("members %v", got)
			}
		})
	}
	t.Run("a client with a secret is told the reason", func(t *testing.T) {
		a := s.postJSON(object{"grant_type": "token_exchange", "subjectToken": acme.idp.token(object{"aud": "x"})}, acme.authenticated())
		a.mustRefuse(t, 400, grants.InvalidRequest, grants.AudienceMismatch)
	})
}

// PRO-03 for JSON: its type, alone, in UTF-8.
func TestContentTypesOfTheDialect(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := openClientless(t, s, "/jwks.json")
	body := `{"grant":"token_exchange","subjectToken":"` + guideToken(acme) + `"}`
	for contentType, status := range map[string]int{
		"application/json": 200, "Application/JSON": 200, "application/json; charset=utf-8": 200, "application/json;charset=UTF-8": 200,
		"application/json; charset=utf-16": 400, "application/json; charset=latin1": 400, "application/json, text/plain": 400, "text/json": 400, "text/plain": 400,
		"application/vnd.api+json": 400, "application/x-www-form-urlencoded": 400, "multipart/form-data; boundary=x": 400, "application/xml": 400, "": 400,
	} {
		t.Run(contentType, func(t *testing.T) {
			var options []option
			if contentType != "" {
				options = append(options, header("Content-Type", contentType))
			}
			if a := s.do("POST", dialectEndpoint, body, options...); status != 200 {
				a.mustRefuse(t, status, grants.InvalidRequest, "")
			} else {
				a.mustBe(t, status)
			}
		})
	}
	t.Run("two headers", func(t *testing.T) {
		for _, second := range []string{"application/json", formType} {
			s.do("POST", dialectEndpoint, body, header("Content-Type", "application/json"), header("Content-Type", second)).mustRefuse(t, 400, grants.InvalidRequest, "")
		}
	})
	t.Run("an encoded body", func(t *testing.T) {
		s.do("POST", dialectEndpoint, body, header("Content-Type", "application/json"), header("Content-Encoding", "gzip")).mustRefuse(t, 400, grants.InvalidRequest, "")
	})
}
