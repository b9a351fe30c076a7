package assertion_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
)

// refused judges a whole token and asserts that no keys were asked for.
func refused(t *testing.T, raw string, reason grants.Reason, text string) {
	t.Helper()
	source := finding(rightKey())
	claims, refusal := judge(raw, soundPolicy(), source)
	wantReason(t, claims, refusal, reason, text)
	if len(source.asked) != 0 {
		t.Error("keys were asked for")
	}
}

// JWT-27, after CVE-2025-30204. The pad makes the token exactly as long as
// wanted; the kid absorbs what base64 rounds.
func ofLength(t *testing.T, n int) string {
	t.Helper()
	for kid := range 8 {
		header := soundHeader.with("kid", fmt.Sprintf("%q", "k1"+strings.Repeat("x", kid)))
		missing := n - len(sign(header, soundClaims.with("pad", `""`)))
		for pad := missing*3/4 - 4; pad <= missing*3/4+4; pad++ {
			if raw := sign(header, soundClaims.with("pad", `"`+strings.Repeat("x", pad)+`"`)); len(raw) == n {
				return raw
			}
		}
	}
	t.Fatalf("no token of %d bytes", n)
	return ""
}

func TestSizeOfTheToken(t *testing.T) {
	for _, n := range []int{grants.MaxSubjectTokenBytes - 1, grants.MaxSubjectTokenBytes} {
		if _, refusal := judge(ofLength(t, n), soundPolicy(), finding(rightKey())); refusal != nil {
			t.Errorf("%d bytes: %v", n, refusal)
		}
	}
	refused(t, ofLength(t, grants.MaxSubjectTokenBytes+1), grants.TooLarge, "found 32769 bytes")
	refused(t, strings.Repeat("a", 1<<20), grants.TooLarge, "found 1048576 bytes")
	refused(t, strings.Repeat(".", 9_300_000), grants.TooLarge, "")
}

func TestShape(t *testing.T) {
	sound := strings.Split(sign(soundHeader, soundClaims), ".")
	for _, test := range []struct{ name, raw, text string }{
		{"nothing", "", "1 parts"},
		{"no JWT at all", "ory_at_abc", "1 parts"},
		{"two parts", sound[0] + "." + sound[1], "2 parts"},
		{"a JWE (JWT-20)", "a.b.c.d.e", "5 parts"},
		{"Bearer before it", "Bearer " + strings.Join(sound, "."), "not canonical base64url"},
		{"a line feed after it (JWT-24)", strings.Join(sound, ".") + "\n", "signature: not canonical"},
		{"padding (JWT-24)", sound[0] + "." + sound[1] + "." + sound[2] + "==", "signature: not canonical"},
		{"JSON serialization (JWT-21)", `{"payload":"` + sound[1] + `","protected":"` + sound[0] + `","signature":"` + sound[2] + `"}`, "1 parts"},
		{"duplicate alg (JWT-13)", signText(rsaKey(), `{"alg":"none","alg":"RS256"}`, soundClaims.String()), "twice"},
		{"duplicate claim (JWT-14)", signText(rsaKey(), `{"alg":"RS256"}`, `{"sub":"a","sub":"b"}`), "twice"},
		{"a claim twice by escape", signText(rsaKey(), `{"alg":"RS256"}`, `{"exp":1,"\u0065xp":2}`), "twice"},
		{"a claim twice by case", signText(rsaKey(), `{"alg":"RS256"}`, `{"permissions":[],"Permissions":["x"]}`), "twice"},
		{"payload null (JWT-25)", signText(rsaKey(), `{"alg":"RS256"}`, "null"), "not a JSON object"},
		{"payload an array", signText(rsaKey(), `{"alg":"RS256"}`, "[]"), "not a JSON object"},
		{"payload nothing", signText(rsaKey(), `{"alg":"RS256"}`, ""), "payload: not valid JSON"},
		{"payload a token (JWT-16)", signText(rsaKey(), `{"alg":"RS256"}`, strings.Join(sound, ".")), "payload: not valid JSON"},
		{"17 levels in a claim nobody reads (JWT-28)", sign(soundHeader, soundClaims.with("x", strings.Repeat("[", 16)+strings.Repeat("]", 16))), "deeper than 16"},
		{"kid a number (JWT-10)", sign(soundHeader.with("kid", "1"), soundClaims), "kid is not a string"},
		{"kid of 257 bytes (JWT-09)", sign(soundHeader.with("kid", `"`+strings.Repeat("k", 257)+`"`), soundClaims), "longer than 256 bytes"},
		{"alg an array (JWT-01)", sign(soundHeader.with("alg", `["RS256"]`), soundClaims), "alg is not a string"},
	} {
		t.Run(test.name, func(t *testing.T) { refused(t, test.raw, grants.Malformed, test.text) })
	}
	t.Run("no claims at all", func(t *testing.T) { refused(t, sign(soundHeader, members{}), grants.ClaimMissing, "no iss") })
	t.Run("16 levels", func(t *testing.T) {
		raw := sign(soundHeader, soundClaims.with("x", strings.Repeat("[", 15)+strings.Repeat("]", 15)))
		if _, refusal := judge(raw, soundPolicy(), finding(rightKey())); refusal != nil {
			t.Error(refusal)
		}
	})
}

// JWT-11, JWT-12, JWT-16, JWT-19.
func TestHeadersThatAreNotAllowed(t *testing.T) {
	for name, value := range map[string]string{
		"crit": "[]", "b64": "true", "zip": `"DEF"`, "enc": `"A128GCM"`, "cty": `"JWT"`,
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, sign(soundHeader.with(name, value), soundClaims), grants.HeaderNotAllowed, "not allowed: "+name)
		})
	}
}

// JWT-01, JWT-02, JWT-03: RFC 8725 §3.1, CVE-2015-9235, CVE-2026-33322.
func TestAlgorithmsThatThePolicyDoesNotName(t *testing.T) {
	parts := strings.Split(sign(soundHeader, soundClaims), ".")
	for _, alg := range []string{`"none"`, `"None"`, `"NONE"`, `"nOnE"`, `""`, `" none"`, "null", "", `"rs256"`, `"RS256 "`} {
		header := b64([]byte(soundHeader.with("alg", alg).String()))
		for name, signature := range map[string]string{"no": "", "a random": b64([]byte("x")), "a stolen": parts[2]} {
			t.Run("alg "+alg+" with "+name+" signature", func(t *testing.T) {
				refused(t, header+"."+parts[1]+"."+signature, grants.AlgNotAllowed, "expected RS256")
			})
		}
	}
	for algorithm, keys := range signers() {
		if algorithm != jose.RS256 {
			t.Run("a good signature with "+string(algorithm), func(t *testing.T) {
				refused(t, signAs(algorithm, keys[0], soundClaims), grants.AlgNotAllowed, fmt.Sprintf("alg %q", algorithm))
			})
		}
	}
	secret := must(x509.MarshalPKIXPublicKey(&rsaKey().PublicKey))
	t.Run("HS256 with the public key as secret", func(t *testing.T) {
		signed := b64([]byte(soundHeader.with("alg", `"HS256"`).String())) + "." + parts[1]
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		refused(t, signed+"."+b64(mac.Sum(nil)), grants.AlgNotAllowed, `alg "HS256"`)
	})
}

// JWT-17, JWT-18: RFC 8725 §3.11, RFC 9068 §2.1.
func TestTyp(t *testing.T) {
	for _, typ := range []string{"", `""`, "null", `"JWT"`, `"jwt"`, `"at+jwt"`, `"application/at+jwt"`, `"AT+JWT"`, `"application/jwt"`} {
		t.Run("typ "+typ, func(t *testing.T) {
			if _, refusal := judge(sign(soundHeader.with("typ", typ), soundClaims), soundPolicy(), finding(rightKey())); refusal != nil {
				t.Error(refusal, refusal.Found)
			}
		})
	}
	for _, typ := range []string{
		"logout+jwt", "secevent+jwt", "dpop+jwt", "JWE", "JOSE", "id_token+jwt", "oauth-authz-req+jwt", "token-introspection+jwt",
		"client-authentication+jwt", "at+jwt ", "at+jwt;v=1", "text/at+jwt", "at+jwt\x00",
	} {
		t.Run("typ "+typ, func(t *testing.T) {
			refused(t, sign(soundHeader.with("typ", string(must(json.Marshal(typ)))), soundClaims), grants.TypNotAllowed, "")
		})
	}
}

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

// What a refusal is for the log holds no part of the token (JWT-09).
func TestRefusalsForTheLogHoldNothingOfTheToken(t *testing.T) {
	for name, raw := range map[string]string{
		"issuer": sign(soundHeader, soundClaims.with("iss", `"https://SECRET"`)),
		"typ":    sign(soundHeader.with("typ", `"SECRET"`), soundClaims),
		"alg":    sign(soundHeader.with("alg", `"SECRET"`), soundClaims),
		"aud":    sign(soundHeader, soundClaims.with("aud", `"SECRET"`)),
		"kid":    signText(otherKey(), soundHeader.with("kid", `"SECRET"`).String(), soundClaims.String()),
		"base64": base64.StdEncoding.EncodeToString([]byte("SECRET=>?")) + ".SECRET.SECRET",
	} {
		t.Run(name, func(t *testing.T) {
			_, refusal := judge(raw, soundPolicy(), finding(rightKey()))
			if refusal == nil || strings.Contains(refusal.Error(), "SECRET") {
				t.Errorf("got %v", refusal)
			}
		})
	}
}

func TestKeyIDOfTheToken(t *testing.T) {
	for header, want := range map[string]string{`"k1"`: "k1", "": "", "null": "", `""`: ""} {
		token, refusal := assertion.Parse(sign(soundHeader.with("kid", header), soundClaims))
		if refusal != nil || token.KeyID() != want || token.Issuer != "https://acme.example/" || len(token.Audience) != 2 {
			t.Errorf("kid %s: got %+v, %v", header, token, refusal)
		}
	}
}
