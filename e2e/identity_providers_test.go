package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Tokens of identity providers that nobody here wrote, beside oidc-provider's in
// TestRealProviderAndRealResourceServer.
func testIdentityProviders(t *testing.T, s *stage) {
	permissions := fmt.Sprintf(`PERMISSIONS=["%s"]`, east)

	t.Run("oauth2-mock-server", func(t *testing.T) {
		t.Parallel()
		s := s.as(t)
		var idp struct {
			Issuer string
			JWKS   string `json:"jwks_uri"`
			Tokens map[string]string
		}
		startProgram(t, "oauth2-mock-server.mjs", &idp, "AUDIENCE="+subjectAudience, permissions)
		s.trust(object{"issuer": idp.Issuer, "url": idp.JWKS, "algorithms": []string{"RS256", "PS256", "ES256"}})
		for algorithm, token := range idp.Tokens {
			if algorithm == "EdDSA" { // not one of the key URL's
				s.refused(token, "access_token", "alg_not_allowed")
				continue
			}
			s.exchanged(token, "access_token", idp.Issuer+"#auth0|"+algorithm)
			s.refused(alter(t, token), "access_token", "signature_invalid")
		}
	})

	t.Run("cognito-local", func(t *testing.T) {
		t.Parallel()
		s := s.as(t)
		var idp struct {
			Issuer string
			JWKS   string `json:"jwks_uri"`
			Client string `json:"client_id"`
			ID     string `json:"id_token"`
			Access string `json:"access_token"`
		}
		startProgram(t, "cognito-local.mjs", &idp, permissions)
		s.trust(object{
			"issuer": idp.Issuer, "url": idp.JWKS, "audiences": []string{idp.Client},
			"allow_id_token": true, "permissions_claim": "cognito:groups",
		})
		s.exchanged(idp.ID, "id_token", idp.Issuer+"#")
		s.refused(alter(t, idp.ID), "id_token", "signature_invalid")
		s.refused(idp.Access, "access_token", "claim_missing") // Cognito leaves aud out
	})

	t.Run("zitadel", func(t *testing.T) {
		t.Parallel()
		s := s.as(t)
		var idp struct {
			Issuer string
			JWKS   string `json:"jwks_uri"`
			Token  string `json:"subject_token"`
		}
		startProgram(t, "zitadel-op", &idp, "SCOPE="+east)
		keyURL := s.trust(object{"issuer": idp.Issuer, "url": idp.JWKS, "audiences": []string{"app"}})
		for _, kind := range []string{"id_token", "jwt", "access_token"} { // whatever it is called
			s.refused(idp.Token, kind, "wrong_token_kind")
		}
		s.admin("PATCH", "/integrators/"+s.integrator+"/key-urls/"+keyURL, object{"allow_id_token": true}, 200)
		s.exchanged(idp.Token, "id_token", idp.Issuer+"#id1")
		s.refused(alter(t, idp.Token), "id_token", "signature_invalid")
	})
}

// exchanged demands that a subject token gives east, for a subject that begins
// so.
func (s *stage) exchanged(subjectToken, kind, subject string) {
	s.t.Helper()
	a := s.subjectToken(subjectToken, kind, http.StatusOK)
	got := s.introspect(a["access_token"].(string))
	if sub, _ := got["sub"].(string); got["active"] != true || got["scope"] != east || !strings.HasPrefix(sub, subject) {
		s.t.Errorf("introspection: %v", got)
	}
}

func (s *stage) refused(subjectToken, kind, reason string) {
	s.t.Helper()
	if a := s.subjectToken(subjectToken, kind, http.StatusBadRequest); a["reason"] != reason {
		s.t.Errorf("refused with %v, want %s", a, reason)
	}
}

func (s *stage) subjectToken(token, kind string, status int) object {
	s.t.Helper()
	return s.form("/oauth2/token", s.id, s.secret, url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token":      {token},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:" + kind},
	}, status)
}
