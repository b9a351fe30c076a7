package e2e

import "testing"

// Every resource server takes the token that is for it and no other: neither
// one for another API, nor one that was changed, nor the identity provider's own.
func testResourceServers(t *testing.T, s *stage) {
	good := s.exchange(east, api)
	tokens := []string{good, s.exchange(east, otherAPI), alter(t, good), s.subject, s.exchange(west, api)}
	subject := s.idp.Issuer + "#auth0|5934aafe4e52d93452b1c90"

	for _, server := range []struct {
		program                      string
		otherAudience, altered, idps string // what it says of them
		narrow                       string // of a token without the scope, where it looks
	}{
		{"jose.mjs", `unexpected \"aud\" claim value`, "signature verification failed", "no applicable key found", ""},
		{"oauth4webapi-resource.mjs", `unexpected JWT \"aud\" (audience) claim value`, "JWT signature verification failed", `unexpected JWT \"iss\" (issuer) claim value`, ""},
		{"express-oauth2-jwt-bearer.mjs", "Unexpected 'aud' value", "signature verification failed", "no applicable key found", "Insufficient Scope"},
		{"go-oidc", "expected audience", "failed to verify signature", "unexpected signature algorithm", ""},
		{"jwx", `\"aud\" not satisfied`, "failed to verify signature", "failed to find key", ""},
		{"keyfunc", "token has invalid audience", "token signature is invalid", "key not found", ""},
		{"zitadel-rs", "the token is not active", "the token is not active", "the token is not active", ""},
	} {
		t.Run(server.program, func(t *testing.T) {
			t.Parallel()
			got := answers(t, server.program, []string{"ISSUER=" + s.url, "AUDIENCE=" + api, "SCOPE=" + east,
				"CLIENT_ID=" + s.api["client_id"].(string), "CLIENT_SECRET=" + s.api["client_secret"].(string)}, tokens...)
			claims, _ := got[0]["claims"].(object)
			if claims["sub"] != subject || claims["scope"] != east || claims["client_id"] != s.id {
				t.Errorf("refused: %v", got[0])
			}
			refusedWith(t, got[1], server.otherAudience)
			refusedWith(t, got[2], server.altered)
			refusedWith(t, got[3], server.idps)
			if server.narrow != "" {
				refusedWith(t, got[4], server.narrow)
			}
		})
	}
}
