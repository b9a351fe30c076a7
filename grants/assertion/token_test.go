package assertion_test

import (
	"fmt"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
)

// RFC 8725 §3.11: a token that was made for another purpose. interface.md §2:
// ID tokens only where the key URL allows them.
func TestKindOfToken(t *testing.T) {
	const always, ifIDToken = true, false
	for _, test := range []struct {
		claim, value string
		always       bool
		text         string
	}{
		{"events", `{"http://schemas.openid.net/event/backchannel-logout":{}}`, always, "logout token"},
		{"events", "null", always, "logout token"},
		{"nonce", `"n"`, ifIDToken, "found claim nonce"},
		{"nonce", "null", ifIDToken, "found claim nonce"},
		{"at_hash", `"h"`, ifIDToken, "found claim at_hash"},
		{"c_hash", `"h"`, ifIDToken, "found claim c_hash"},
		{"token_use", `"id"`, ifIDToken, "found token_use id"},
		{"typ", `"ID"`, ifIDToken, "found typ ID"},
	} {
		for _, allowed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %s, ID tokens allowed: %v", test.claim, test.value, allowed), func(t *testing.T) {
				policy, source := soundPolicy(), finding(rightKey())
				policy.AllowIDToken = allowed
				claims, refusal := judge(sign(soundHeader, soundClaims.with(test.claim, test.value)), policy, source)
				if allowed && !test.always {
					if refusal != nil {
						t.Error(refusal)
					}
					return
				}
				wantReason(t, claims, refusal, grants.WrongTokenKind, test.text)
				if len(source.asked) != 0 {
					t.Error("keys were asked for")
				}
			})
		}
	}
	for _, pair := range [][2]string{{"token_use", `"access"`}, {"typ", `"Bearer"`}, {"typ", "1"}, {"token_use", "null"}} {
		claimTest{pair[0] + " " + pair[1] + " is no ID token", pair[0], pair[1], "", ""}.run(t)
	}
}

// An allowed ID token must still be for us: aud is checked all the same.
func TestAnAllowedIDTokenMustNameUs(t *testing.T) {
	policy := soundPolicy()
	policy.AllowIDToken = true
	claims, refusal := judge(sign(soundHeader, soundClaims.with("nonce", `"n"`, "aud", `"the-client"`)), policy, finding(rightKey()))
	wantReason(t, claims, refusal, grants.AudienceMismatch, "aud: the-client")
}
