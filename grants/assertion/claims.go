package assertion

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/jws"
)

// Claims are what a subject token says, verified.
type Claims struct {
	Issuer    string
	Subject   string
	ID        string // jti; empty when there is none
	ExpiresAt time.Time
	IssuedAt  time.Time
	KeyID     string // kid of the token, for the record

	signed *jws.Token
}

// Text gives a claim that is a string.
func (c *Claims) Text(name string) (value string, ok bool) { return c.signed.Members.Text(name) }

// TextOrTexts gives a claim that is a string or an array of strings.
func (c *Claims) TextOrTexts(name string) (values []string, ok bool) {
	return c.signed.Members.TextOrTexts(name)
}

// Has tells whether a claim is there, and not null.
func (c *Claims) Has(name string) bool {
	raw, ok := c.signed.Members[name]
	return ok && !isNull(raw)
}

// At gives the raw value of a claim: by name, or by JSON Pointer (RFC 6901)
// when the path begins with a slash. A claim that is not there is nil.
func (c *Claims) At(path string) json.RawMessage {
	if !strings.HasPrefix(path, "/") {
		return c.signed.Members[path]
	}
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	first, rest, more := strings.Cut(path[1:], "/")
	value := c.signed.Members[unescape.Replace(first)]
	for more && value != nil {
		var step string
		step, rest, more = strings.Cut(rest, "/")
		value = child(value, unescape.Replace(step))
	}
	return value
}

// child gives a member of an object or, by its index, an element of an array
// (RFC 6901 §4); nil when there is none.
func child(value json.RawMessage, step string) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(value, &members) == nil {
		return members[step]
	}
	var elements []json.RawMessage
	index, err := strconv.Atoi(step)
	if err != nil || strconv.Itoa(index) != step || json.Unmarshal(value, &elements) != nil || index < 0 || index >= len(elements) {
		return nil
	}
	return elements[index]
}

// checkClaims judges every claim that needs no key. now is the caller's clock.
func (t *Token) checkClaims(policy *Policy, now time.Time, trace *grants.Trace) (*Claims, *grants.Refusal) {
	var refusal *grants.Refusal
	if t.Issuer != policy.Issuer {
		refusal = grants.RefuseToken(grants.IssuerUnknown, "iss is not the registered issuer", policy.Issuer, grants.Shown(t.Issuer))
	}
	if trace.Check(StepIssuer, refusal, func() (string, string) { return policy.Issuer, t.Issuer }) {
		return nil, refusal
	}
	refusal = t.CheckAudience(policy)
	if trace.Check(StepAudience, refusal, func() (string, string) {
		claim, values, _ := t.audienceOf(policy)
		return expectedAudience(claim, policy), shownAudience(claim, values)
	}) {
		return nil, refusal
	}
	claims := &Claims{Issuer: t.Issuer, KeyID: t.KeyID(), signed: t.signed}
	refusal = t.checkTimes(claims, policy, now)
	if trace.Check(StepTimes, refusal, func() (string, string) {
		return "exp after " + stamp(now), "iat " + stamp(claims.IssuedAt) + ", exp " + stamp(claims.ExpiresAt)
	}) {
		return nil, refusal
	}
	refusal = t.checkSubject(claims, policy)
	if trace.Check(StepSubject, refusal, func() (string, string) { return "claim sub", grants.Shown(claims.Subject) }) {
		return nil, refusal
	}
	return claims, nil
}

// checkSubject reads sub, and jti where there is one or has to be.
func (t *Token) checkSubject(claims *Claims, policy *Policy) (refusal *grants.Refusal) {
	if claims.Subject, refusal = t.requiredString("sub", MaxSubjectBytes); refusal != nil {
		return refusal
	}
	if t.has("jti") || policy.SingleUse {
		claims.ID, refusal = t.requiredString("jti", MaxIDBytes)
	}
	return refusal
}

// checkTimes reads exp, iat and nbf. exp and iat are required: a check that
// runs only "if present" is no check (GHSA-wxg7-w2v3-w38g).
func (t *Token) checkTimes(claims *Claims, policy *Policy, now time.Time) *grants.Refusal {
	var refusal *grants.Refusal
	if claims.ExpiresAt, refusal = t.requiredTime("exp"); refusal != nil {
		return refusal
	}
	if claims.IssuedAt, refusal = t.requiredTime("iat"); refusal != nil {
		return refusal
	}
	if !claims.ExpiresAt.After(now) {
		return grants.RefuseToken(grants.TokenExpired, fmt.Sprintf("the subject token expired %s ago", now.Sub(claims.ExpiresAt).Round(time.Second)),
			"exp after "+stamp(now), "exp "+stamp(claims.ExpiresAt))
	}
	if refusal := notAfter("iat", claims.IssuedAt, now); refusal != nil {
		return refusal
	}
	if t.has("nbf") {
		notBefore, refusal := t.requiredTime("nbf")
		if refusal != nil {
			return refusal
		}
		if refusal := notAfter("nbf", notBefore, now); refusal != nil {
			return refusal
		}
	}
	longest := policy.MaxLifetime
	if longest <= 0 {
		longest = DefaultMaxLifetime
	}
	switch life := claims.ExpiresAt.Sub(claims.IssuedAt); {
	case life <= 0:
		return grants.RefuseToken(grants.ClaimInvalid, "exp is not after iat", "exp after iat", fmt.Sprintf("exp - iat = %s", life))
	case life > longest:
		return grants.RefuseToken(grants.LifetimeTooLong, "the subject token lives longer than its key URL allows",
			fmt.Sprintf("exp - iat of at most %d s", int(longest.Seconds())), fmt.Sprintf("%d s", int(life.Seconds())))
	}
	return nil
}

func notAfter(claim string, at, now time.Time) *grants.Refusal {
	if !at.After(now.Add(Leeway)) {
		return nil
	}
	return grants.RefuseToken(grants.TokenNotYetValid, fmt.Sprintf("%s lies %s in the future", claim, at.Sub(now).Round(time.Second)),
		fmt.Sprintf("%s at or before %s, with %s of leeway", claim, stamp(now), Leeway), claim+" "+stamp(at))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (t *Token) requiredString(claim string, limit int) (string, *grants.Refusal) {
	raw, ok := t.signed.Members[claim]
	if !ok || isNull(raw) {
		return "", missing(claim)
	}
	text, ok := t.signed.Members.Text(claim)
	if !ok || strings.TrimSpace(text) == "" || len(text) > limit || strings.ContainsFunc(text, isControl) {
		return "", invalid(claim, fmt.Sprintf("a string of 1 to %d bytes without control characters", limit))
	}
	return text, nil
}

func (t *Token) requiredTime(claim string) (time.Time, *grants.Refusal) {
	raw, ok := t.signed.Members[claim]
	if !ok || isNull(raw) {
		return time.Time{}, missing(claim)
	}
	at, ok := NumericDate(raw)
	if !ok {
		return time.Time{}, invalid(claim, "a number of seconds since 1970 (RFC 7519 section 2)")
	}
	return at, nil
}

// NumericDate reads RFC 7519 §2, a JSON number, cut to whole seconds. A string,
// null, zero or a date past the year 9999 is none.
func NumericDate(raw json.RawMessage) (at time.Time, ok bool) {
	const yearTenThousand = 253402300800
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !(seconds >= 1 && seconds < yearTenThousand) {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

func (t *Token) has(claim string) bool {
	_, ok := t.signed.Members[claim]
	return ok
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

func missing(claim string) *grants.Refusal {
	return grants.RefuseToken(grants.ClaimMissing, "the subject token has no "+claim, "claim "+claim, "none")
}

func invalid(claim, expected string) *grants.Refusal {
	return grants.RefuseToken(grants.ClaimInvalid, "the claim "+claim+" of the subject token is not usable", expected, "something else")
}
