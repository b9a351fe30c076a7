package e2e

import (
	"maps"
	"reflect"
	"testing"
)

// What is proposed for a token that a real identity provider minted is a key
// URL that exchanges it.
func TestKeyURLsFromRealTokens(t *testing.T) {
	s := newStage(t)
	propose := func(t *testing.T, token string) (keyURL, all object) {
		t.Helper()
		all = s.as(t).admin("POST", "/integrators/"+s.integrator+"/key-urls/from-token", object{"subject_token": token}, 200)
		if keys, _ := all["keys"].(object); keys["ok"] != true || keys["kid_found"] != true {
			t.Errorf("the keys were not found: %v", all)
		}
		keyURL, _ = all["key_url"].(object)
		return keyURL, all
	}
	t.Run("oidc-provider", func(t *testing.T) {
		idp := startProvider(t, subjectAudience, east)
		token := idp.mint(t)
		keyURL, all := propose(t, token)
		if all["preset"] != "generic" || len(all["missing"].([]any)) != 0 {
			t.Errorf("got %v", all)
		}
		mustEqual(t, keyURL, object{"issuer": idp.Issuer, "url": idp.JWKSURI, "audiences": []any{subjectAudience}})
		mine := s.as(t)
		mine.trust(keyURL)
		mine.exchanged(token, "access_token", idp.Issuer+"#auth0|5934aafe4e52d93452b1c90")
	})

	t.Run("cognito-local", func(t *testing.T) {
		var idp struct {
			Issuer string
			JWKS   string `json:"jwks_uri"`
			Client string `json:"client_id"`
			ID     string `json:"id_token"`
			Access string `json:"access_token"`
		}
		startProgram(t, "cognito-local.mjs", &idp, `PERMISSIONS=["`+east+`"]`)
		tokenUse := func(use string) []any {
			return []any{object{"claim": "token_use", "values": []any{use}}}
		}
		common := object{"issuer": idp.Issuer, "url": idp.JWKS, "audiences": []any{idp.Client}, "permissions_claim": "cognito:groups"}

		keyURL, all := propose(t, idp.Access)
		if all["preset"] != "cognito" {
			t.Errorf("got %v", all)
		}
		access := maps.Clone(common)
		access["audience_claims"], access["required_claims"] = []any{"client_id"}, tokenUse("access")
		mustEqual(t, keyURL, access)

		mine := s.as(t)
		first := mine.trust(keyURL)
		mine.exchanged(idp.Access, "access_token", idp.Issuer+"#")
		mine.refused(idp.ID, "id_token", "wrong_token_kind")

		keyURL, _ = propose(t, idp.ID)
		id := maps.Clone(common)
		id["allow_id_token"], id["required_claims"] = true, tokenUse("id")
		mustEqual(t, keyURL, id)
		keyURL["audience_claims"] = nil // the default, instead of what is registered
		mine.admin("PATCH", "/integrators/"+s.integrator+"/key-urls/"+first, keyURL, 200)
		mine.exchanged(idp.ID, "id_token", idp.Issuer+"#")
	})
}

func mustEqual(t *testing.T, got, want object) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
