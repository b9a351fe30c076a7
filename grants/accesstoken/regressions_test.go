package accesstoken_test

import (
	"testing"

	"github.com/cambio-oauth/cambio/grants/accesstoken"
)

// strings.Split("", " ") is one empty text.
func TestATokenWithoutScopeHoldsTheEmptyScope(t *testing.T) {
	if (&accesstoken.Claims{}).HasScope("") {
		t.Error("holds it")
	}
}

// A grant without audience would be minted with "aud":null.
func TestNoAudienceIsNull(t *testing.T) {
	g := exchanged()
	g.Audience = nil
	if minted, err := minter().Mint(t.Context(), g); err == nil {
		claims, _ := verifier().Verify(t.Context(), minted.Token)
		t.Errorf("minted; read back as %q", claims.Audience)
	}
}
