package assertion

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cambio-oauth/cambio/grants"
)

// CheckAudience refuses a token that was made for somebody else (RFC 8725
// §3.9).
func (t *Token) CheckAudience(policy *Policy) *grants.Refusal {
	claim, values, refusal := t.audienceOf(policy)
	if refusal != nil {
		return refusal
	}
	if slices.ContainsFunc(values, func(aud string) bool { return slices.Contains(policy.Audiences, aud) }) {
		return nil
	}
	return grants.RefuseToken(grants.AudienceMismatch, "the subject token was not issued for this server", expectedAudience(claim, policy), shownAudience(claim, values))
}

func expectedAudience(claim string, policy *Policy) string {
	return claim + " with one of: " + strings.Join(policy.Audiences, " ")
}

func shownAudience(claim string, values []string) string {
	return claim + ": " + grants.Shown(strings.Join(values, " "))
}

// audienceOf reads the first claim of the policy's that the token has. A later
// one says nothing then: whoever asks for a token can often choose what stands
// there.
func (t *Token) audienceOf(policy *Policy) (claim string, values []string, refusal *grants.Refusal) {
	claims := policy.AudienceClaims
	if len(claims) == 0 {
		claims = []string{"aud"}
	}
	for _, claim := range claims {
		if raw, ok := t.signed.Members[claim]; !ok || isNull(raw) {
			continue
		}
		if claim == "aud" { // which Parse has read
			return claim, t.Audience, nil
		}
		values, refusal := t.texts(claim)
		return claim, values, refusal
	}
	if len(claims) == 1 {
		return claims[0], nil, missing(claims[0])
	}
	return claims[0], nil, grants.RefuseToken(grants.ClaimMissing, "the subject token says nowhere for whom it is", "one of the claims "+strings.Join(claims, ", "), "none")
}

// texts reads a string or an array of strings, as aud may be (RFC 7519
// §4.1.3).
func (t *Token) texts(claim string) ([]string, *grants.Refusal) {
	values, ok := t.signed.Members.TextOrTexts(claim)
	if !ok {
		return nil, invalid(claim, "a string or an array of strings")
	}
	if len(values) > MaxAudiences {
		return nil, invalid(claim, fmt.Sprintf("at most %d values", MaxAudiences))
	}
	return values, nil
}
