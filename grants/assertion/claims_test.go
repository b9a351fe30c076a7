package assertion_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
)

func TestASoundTokenIsAccepted(t *testing.T) {
	source := finding(rightKey())
	claims, refusal := judge(sign(soundHeader, soundClaims.with("jti", `"id-1"`)), soundPolicy(), source)
	if refusal != nil {
		t.Fatal(refusal, refusal.Expected, refusal.Found)
	}
	if claims.Issuer != "https://acme.example/" || claims.Subject != "auth0|1" || claims.ID != "id-1" || claims.KeyID != "k1" ||
		!claims.ExpiresAt.Equal(time.Unix(1_800_003_600, 0)) || !claims.IssuedAt.Equal(time.Unix(1_799_999_990, 0)) {
		t.Errorf("got %+v", claims)
	}
	if want := (assertion.KeyQuery{Ref: soundPolicy().Keys, KeyID: "k1"}); len(source.asked) != 1 || source.asked[0] != want {
		t.Errorf("keys were asked %+v, want %+v", source.asked, want)
	}
}

// claimTest is one change to the sound token; no reason means accepted.
type claimTest struct {
	name, claim, value string
	reason             grants.Reason
	text               string
}

// run also asserts that a token refused for what it says costs no look-up of
// keys: no request leaves, no arithmetic is done.
func (test claimTest) run(t *testing.T) {
	t.Run(test.name, func(t *testing.T) {
		source := finding(rightKey())
		claims, refusal := judge(sign(soundHeader, soundClaims.with(test.claim, test.value)), soundPolicy(), source)
		if test.reason == "" {
			if refusal != nil {
				t.Fatal(refusal, refusal.Expected, refusal.Found)
			}
			return
		}
		wantReason(t, claims, refusal, test.reason, test.text)
		if len(source.asked) != 0 {
			t.Error("keys were asked for")
		}
	})
}

// CLM-01, CLM-02: RFC 8725 §3.8, CVE-2026-14336, CVE-2024-5037, CVE-2024-8901.
func TestIssuer(t *testing.T) {
	for _, issuer := range []string{
		"https://acme.example", "HTTPS://acme.example/", "https://ACME.example/", "https://acme.example:443/", "https://acme.example//",
		"https://acme.example/ ", " https://acme.example/", "https://acme.example/../", "https://acme.example/.", "https://acme%2Eexample/", "https://%61cme.example/",
		"https://acme.example./", "https://acme.example@evil.example/", "https://acme.example/#", "https://acme.example/?", "http://acme.example/",
		"https://xn--acme.example/", "https://аcme.example/", "https://evil.example/https://acme.example/", "acme",
	} {
		found := strings.Trim(strconv.QuoteToASCII(issuer), `"`)
		claimTest{issuer + " is not the registered issuer", "iss", fmt.Sprintf("%q", issuer), grants.IssuerUnknown, "expected https://acme.example/; found " + found}.run(t)
		t.Run(issuer+" as the registered one", func(t *testing.T) { // the reverse: only the registered form passes
			policy := soundPolicy()
			policy.Issuer = issuer
			claims, refusal := judge(sign(soundHeader, soundClaims), policy, finding(rightKey()))
			wantReason(t, claims, refusal, grants.IssuerUnknown, "expected "+issuer+"; found https://acme.example/")
			if _, refusal := judge(sign(soundHeader, soundClaims.with("iss", fmt.Sprintf("%q", issuer))), policy, finding(rightKey())); refusal != nil {
				t.Errorf("its own form: %v", refusal)
			}
		})
	}
	for _, test := range []claimTest{
		{"an escaped character is that character", "iss", `"https:\/\/\u0061cme.example\/"`, "", ""},
		{"without iss is refused", "iss", "", grants.ClaimMissing, "no iss"},
		{"null", "iss", "null", grants.ClaimMissing, "no iss"},
		{"empty", "iss", `""`, grants.ClaimInvalid, "iss"},
		{"a space", "iss", `" "`, grants.ClaimInvalid, "iss"},
		{"an array", "iss", `["https://acme.example/"]`, grants.ClaimInvalid, "iss"},
		{"an object", "iss", `{"a":"https://acme.example/"}`, grants.ClaimInvalid, "iss"},
		{"a number", "iss", "1", grants.ClaimInvalid, "iss"},
		{"with NUL at the end", "iss", `"https://acme.example/\u0000"`, grants.ClaimInvalid, "iss"},
		{"longer than 2048 bytes", "iss", `"` + strings.Repeat("a", 2049) + `"`, grants.ClaimInvalid, "iss"},
		{"2048 bytes are merely unknown, and not shown whole", "iss", `"` + strings.Repeat("a", 2048) + `"`, grants.IssuerUnknown, "found " + strings.Repeat("a", 256) + "..."},
	} {
		test.run(t)
	}
}

// CLM-03, CLM-04: CVE-2020-26160, CVE-2023-22482, CVE-2026-55669, CVE-2026-30223.
func TestAudience(t *testing.T) {
	for _, test := range []claimTest{
		{"a string", "aud", `"api.unloc.app"`, "", ""},
		{"an array of it alone", "aud", `["api.unloc.app"]`, "", ""},
		{"ours is the last of several", "aud", `["a","b","api.unloc.app"]`, "", ""},
		{"the second of ours", "aud", `"api.cambio.example"`, "", ""},
		{"without aud is refused", "aud", "", grants.ClaimMissing, "no aud"},
		{"null", "aud", "null", grants.ClaimMissing, "no aud"},
		{"empty text", "aud", `""`, grants.AudienceMismatch, "one of: api.unloc.app api.cambio.example"},
		{"an empty array", "aud", "[]", grants.AudienceMismatch, "one of: api.unloc.app"},
		{"an array of empty text", "aud", `[""]`, grants.AudienceMismatch, ""},
		{"an array of null", "aud", "[null]", grants.ClaimInvalid, "aud"},
		{"an array in an array", "aud", `[["api.unloc.app"]]`, grants.ClaimInvalid, "aud"},
		{"an object", "aud", `{"api.unloc.app":true}`, grants.ClaimInvalid, "aud"},
		{"a number", "aud", "1", grants.ClaimInvalid, "aud"},
		{"ours and a number", "aud", `["api.unloc.app",5]`, grants.ClaimInvalid, "aud"},
		{"another", "aud", `"https://other.example"`, grants.AudienceMismatch, "aud: https://other.example"},
		{"ours as a prefix", "aud", `"api.unloc.app/"`, grants.AudienceMismatch, ""},
		{"ours in another case", "aud", `"API.unloc.app"`, grants.AudienceMismatch, ""},
		{"ours among others in one string", "aud", `"other api.unloc.app"`, grants.AudienceMismatch, ""},
		{"a right-to-left override is shown as such", "aud", `"api.unloc.app\u202e"`, grants.AudienceMismatch, `aud: api.unloc.app\u202e`},
		{"both of ours in one string", "aud", `"api.unloc.app api.cambio.example"`, grants.AudienceMismatch, ""},
		{"64 values", "aud", `["api.unloc.app"` + strings.Repeat(`,"a"`, 63) + "]", "", ""},
		{"65 values", "aud", `["api.unloc.app"` + strings.Repeat(`,"a"`, 64) + "]", grants.ClaimInvalid, "at most 64 values"},
	} {
		test.run(t)
	}
}

// CLM-06: CVE-2026-55689, CVE-2026-40946.
func TestAPolicyThatSaysNothingAcceptsNothing(t *testing.T) {
	for _, test := range []struct {
		name   string
		empty  func(*assertion.Policy)
		claim  string
		value  string
		reason grants.Reason
	}{
		{"no audience", func(p *assertion.Policy) { p.Audiences = nil }, "aud", `"api.unloc.app"`, grants.AudienceMismatch},
		{"no audience, and none in the token", func(p *assertion.Policy) { p.Audiences = nil }, "aud", "[]", grants.AudienceMismatch},
		{"no algorithm", func(p *assertion.Policy) { p.Algorithms = nil }, "aud", `"api.unloc.app"`, grants.AlgNotAllowed},
		{"no issuer", func(p *assertion.Policy) { p.Issuer = "" }, "aud", `"api.unloc.app"`, grants.IssuerUnknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			policy := soundPolicy()
			test.empty(policy)
			claims, refusal := judge(sign(soundHeader, soundClaims.with(test.claim, test.value)), policy, finding(rightKey()))
			wantReason(t, claims, refusal, test.reason, "")
		})
	}
}

// CLM-07, CLM-09, CLM-10: RFC 7519 §4.1.4, "on or after": no leeway on exp.
func TestExpiry(t *testing.T) {
	at := func(delta int) string { return fmt.Sprint(second + delta) }
	for _, test := range []claimTest{
		{"in a second", "exp", at(1), "", ""},
		{"this very second: at now it is no longer valid", "exp", at(0), grants.TokenExpired, "expired 1s ago"},
		{"a second ago", "exp", at(-1), grants.TokenExpired, ""},
		{"59 seconds ago: there is no leeway", "exp", at(-59), grants.TokenExpired, ""},
		{"60 seconds ago", "exp", at(-60), grants.TokenExpired, "exp after 2027-01-15T08:00:00Z; found exp 2027-01-15T07:59:00Z"},
		{"61 seconds ago", "exp", at(-61), grants.TokenExpired, ""},
		{"an hour ago", "exp", at(-3600), grants.TokenExpired, "expired 1h0m1s ago"},
		{"a fraction is cut off: too late", "exp", at(0) + ".9", grants.TokenExpired, ""},
		{"a fraction is cut off: in time", "exp", at(1) + ".9", "", ""},
		{"with an exponent", "exp", "1.8000036e9", "", ""},
		{"without exp is refused (GHSA-wxg7-w2v3-w38g)", "exp", "", grants.ClaimMissing, "no exp"},
		{"null", "exp", "null", grants.ClaimMissing, "no exp"},
		{"a string", "exp", `"9999999999"`, grants.ClaimInvalid, "exp"},
		{"true", "exp", "true", grants.ClaimInvalid, "exp"},
		{"an array", "exp", "[1800003600]", grants.ClaimInvalid, "exp"},
		{"an empty array", "exp", "[]", grants.ClaimInvalid, "exp"},
		{"an object", "exp", "{}", grants.ClaimInvalid, "exp"},
		{"zero", "exp", "0", grants.ClaimInvalid, "exp"},
		{"minus zero", "exp", "-0", grants.ClaimInvalid, "exp"},
		{"negative", "exp", "-1", grants.ClaimInvalid, "exp"},
		{"less than a second after 1970", "exp", "0.5", grants.ClaimInvalid, "exp"},
		{"milliseconds", "exp", "1800003600000", grants.ClaimInvalid, "exp"},
		{"no finite number", "exp", "1e300", grants.ClaimInvalid, "exp"},
		{"no number a computer holds", "exp", "1e999", grants.ClaimInvalid, "exp"},
		{"past 63 bits", "exp", "9223372036854775808", grants.ClaimInvalid, "exp"},
		{"the year 10000", "exp", "253402300800", grants.ClaimInvalid, "exp"},
		{"the year 9999 is a date", "exp", "253402300799", grants.LifetimeTooLong, ""},
	} {
		test.run(t)
	}
	t.Run("exactly now, on the second", func(t *testing.T) {
		token, _ := assertion.Parse(sign(soundHeader, soundClaims.with("exp", at(0))))
		for at, reason := range map[time.Time]grants.Reason{time.Unix(second, 0): grants.TokenExpired, time.Unix(second, -1): ""} {
			verifier := &assertion.Verifier{Keys: finding(rightKey()), Now: func() time.Time { return at }}
			claims, refusal := verifier.Verify(t.Context(), token, soundPolicy())
			if reason != "" {
				wantReason(t, claims, refusal, reason, "expired 0s ago")
			} else if refusal != nil {
				t.Errorf("a nanosecond before: %v", refusal)
			}
		}
	})
}

// CLM-11, CLM-12: RFC 7519 §4.1.5 and §4.1.6; 60 s of leeway.
func TestIssuedAtAndNotBefore(t *testing.T) {
	at := func(delta int) string { return fmt.Sprint(second + delta) }
	for _, claim := range []string{"iat", "nbf"} {
		for _, test := range []claimTest{
			{claim + " now", claim, at(0), "", ""},
			{claim + " in 60 seconds", claim, at(60), "", ""},
			{claim + " in 60.9 seconds, cut off", claim, at(60) + ".9", "", ""},
			{claim + " in 61 seconds", claim, at(61), grants.TokenNotYetValid, claim + " lies 1m1s in the future"},
			{claim + " tomorrow", claim, at(86400), grants.TokenNotYetValid, claim},
			{claim + " null", claim, "null", grants.ClaimMissing, claim},
			{claim + " a string", claim, `"1800000000"`, grants.ClaimInvalid, claim},
			{claim + " negative", claim, "-1", grants.ClaimInvalid, claim},
			{claim + " zero", claim, "0", grants.ClaimInvalid, claim},
			{claim + " 1e300", claim, "1e300", grants.ClaimInvalid, claim},
			{claim + " an array", claim, "[]", grants.ClaimInvalid, claim},
		} {
			test.run(t)
		}
	}
	for _, test := range []claimTest{
		{"without iat is refused (GHSA-wxg7-w2v3-w38g)", "iat", "", grants.ClaimMissing, "no iat"},
		{"without nbf is accepted", "nbf", "", "", ""},
		{"nbf long ago", "nbf", "1", "", ""},
	} {
		test.run(t)
	}
}

// With a clock on the second, 60 s ahead is the last that is let through.
func TestLeewayEndsAfterItsLastNanosecond(t *testing.T) {
	for _, claim := range []string{"iat", "nbf"} {
		token, _ := assertion.Parse(sign(soundHeader, soundClaims.with(claim, fmt.Sprint(second+60))))
		for at, reason := range map[time.Time]grants.Reason{time.Unix(second, 0): "", time.Unix(second, -1): grants.TokenNotYetValid} {
			verifier := &assertion.Verifier{Keys: finding(rightKey()), Now: func() time.Time { return at }}
			claims, refusal := verifier.Verify(t.Context(), token, soundPolicy())
			if reason != "" {
				wantReason(t, claims, refusal, reason, claim)
			} else if refusal != nil {
				t.Errorf("%s: %v", claim, refusal)
			}
		}
	}
}

func TestLifetime(t *testing.T) {
	for _, test := range []struct {
		name     string
		longest  time.Duration
		exp, iat string
		reason   grants.Reason
		text     string
	}{
		{"exp at iat", time.Hour, "1800000030", "1800000030", grants.ClaimInvalid, "exp is not after iat"},
		{"exp before iat (CLM-12)", time.Hour, "1800000010", "1800000020", grants.ClaimInvalid, "exp is not after iat"},
		{"the maximum", time.Hour, "1800003600", "1800000000", "", ""},
		{"the maximum and a second", time.Hour, "1800003601", "1800000000", grants.LifetimeTooLong, "at most 3600 s; found 3601 s"},
		{"no maximum means a day", 0, "1800000001", "1799913601", "", ""},
		{"a day and a second", 0, "1800000002", "1799913601", grants.LifetimeTooLong, "at most 86400 s; found 86401 s"},
		{"a negative maximum means a day, not anything", -1, "1800000002", "1799913601", grants.LifetimeTooLong, "86400"},
		{"all of history", 0, "253402300799", "1", grants.LifetimeTooLong, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			policy := soundPolicy()
			policy.MaxLifetime = test.longest
			claims, refusal := judge(sign(soundHeader, soundClaims.with("exp", test.exp, "iat", test.iat)), policy, finding(rightKey()))
			if test.reason != "" {
				wantReason(t, claims, refusal, test.reason, test.text)
			} else if refusal != nil {
				t.Error(refusal, refusal.Found)
			}
		})
	}
}

// CLM-13, CLM-15: RFC 8693 §2.1, RFC 7519 §4.1.2 and §4.1.7, CVE-2020-15222.
func TestSubjectAndID(t *testing.T) {
	for _, claim := range []string{"sub", "jti"} {
		for _, test := range []claimTest{
			{claim + " of 255 bytes", claim, `"` + strings.Repeat("a", 255) + `"`, "", ""},
			{claim + " of 256 bytes", claim, `"` + strings.Repeat("a", 256) + `"`, grants.ClaimInvalid, claim},
			{claim + " of 128 letters of two bytes", claim, `"` + strings.Repeat("é", 128) + `"`, grants.ClaimInvalid, claim},
			{claim + " of 16 KiB", claim, `"` + strings.Repeat("a", 16<<10) + `"`, grants.ClaimInvalid, claim},
			{claim + " of 1 MiB", claim, `"` + strings.Repeat("a", 1<<20) + `"`, grants.TooLarge, ""},
			{claim + " null", claim, "null", grants.ClaimMissing, claim},
			{claim + " empty", claim, `""`, grants.ClaimInvalid, claim},
			{claim + " of spaces", claim, `"  "`, grants.ClaimInvalid, claim},
			{claim + " of spaces outside ASCII", claim, `"\u2003\u00a0"`, grants.ClaimInvalid, claim},
			{claim + " a number", claim, "1", grants.ClaimInvalid, claim},
			{claim + " an array", claim, `["a"]`, grants.ClaimInvalid, claim},
			{claim + " with NUL", claim, `"a\u0000"`, grants.ClaimInvalid, claim},
			{claim + " with a line feed", claim, `"a\nb"`, grants.ClaimInvalid, claim},
			{claim + " with DEL", claim, `"a\u007f"`, grants.ClaimInvalid, claim},
			{claim + " with an inner space", claim, `"a b"`, "", ""},
		} {
			test.run(t)
		}
	}
	for _, test := range []claimTest{
		{"without sub is refused", "sub", "", grants.ClaimMissing, "no sub"},
		{"without jti is accepted", "jti", "", "", ""},
		{"azp of whomever is nobody's business (CLM-17)", "azp", `"another"`, "", ""},
		{"client_id of whomever is nobody's business (CLM-17)", "client_id", `"another"`, "", ""},
		{"a scope claim is not read (CLM-18)", "scope", `"integrator.admin"`, "", ""},
		{"an unknown claim may have any type", "x", `[{"y":null}]`, "", ""},
	} {
		test.run(t)
	}
}

// CLM-15: without a jti there is nothing by which a token could be used up.
func TestATokenForSingleUseNeedsAnID(t *testing.T) {
	policy := soundPolicy()
	policy.SingleUse = true
	claims, refusal := judge(sign(soundHeader, soundClaims), policy, finding(rightKey()))
	wantReason(t, claims, refusal, grants.ClaimMissing, "no jti; expected claim jti; found none")
	if claims, refusal = judge(sign(soundHeader, soundClaims.with("jti", `"id-1"`)), policy, finding(rightKey())); refusal != nil || claims.ID != "id-1" {
		t.Errorf("got %+v, %v", claims, refusal)
	}
}
