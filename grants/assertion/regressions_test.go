package assertion_test

import "testing"

// RFC 6901 §4: a step through an array is an index.
func TestPointersDoNotEnterArrays(t *testing.T) {
	claims, refusal := judge(sign(soundHeader, soundClaims.with("orgs", `[{"permissions":["p"]}]`)), soundPolicy(), finding(rightKey()))
	if refusal != nil || string(claims.At("/orgs/0/permissions")) != `["p"]` {
		t.Errorf("got %s, %v", claims.At("/orgs/0/permissions"), refusal)
	}
}

// U+FFFD is a character like others: a user whose display name was garbled once
// must not be locked out. Escapes of lone surrogates are refused instead.
func TestAReplacementCharacterInAnUnusedClaim(t *testing.T) {
	if _, refusal := judge(sign(soundHeader, soundClaims.with("name", "\"J\ufffdrgen\"")), soundPolicy(), finding(rightKey())); refusal != nil {
		t.Error(refusal)
	}
}

// A JWKS without kids in its tokens rotates like PEM does: the signature that
// fails is the only sign of it.
func TestATokenWithoutKeyIDIsNotRenewed(t *testing.T) {
	source := finding(wrongKey())
	source.answers = append(source.answers, finding(rightKey()).answers...)
	if _, refusal := judge(sign(soundHeader.with("kid", ""), soundClaims), soundPolicy(), source); refusal != nil {
		t.Errorf("%v, asked %+v", refusal, source.asked)
	}
}
