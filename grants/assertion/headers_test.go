package assertion_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
)

// JWT-09: RFC 8725 §3.10, CVE-2026-32301. A kid is compared and nothing else:
// it opens no file and ends no statement. The log does not see it.
func TestKeyIDsThatAreUpToSomething(t *testing.T) {
	for _, kid := range []string{
		"../../../../dev/null", "/etc/passwd", "file:///etc/passwd", "' OR 1=1--", `"; DROP TABLE keys`, "%00", "$(id)", "{{7*7}}", "${jndi:ldap://x}",
		"http://127.0.0.1:1/", "K1", " k1", "k1 ", "k", "k11", strings.Repeat("k", 256),
	} {
		t.Run(kid, func(t *testing.T) {
			source := &keys{}
			claims, refusal := judge(sign(soundHeader.with("kid", string(must(json.Marshal(kid)))), soundClaims), soundPolicy(), source)
			wantReason(t, claims, refusal, grants.KeyNotFound, fmt.Sprintf("expected a key at https://acme.example/jwks.json; found kid %q", kid))
			if want := (assertion.KeyQuery{Ref: soundPolicy().Keys, KeyID: kid}); len(source.asked) != 1 || source.asked[0] != want {
				t.Errorf("keys were asked %+v, want %+v once", source.asked, want)
			}
			if strings.Contains(refusal.Error(), kid) && len(kid) > 3 {
				t.Errorf("the log learns %v", refusal)
			}
		})
	}
}

// JWT-09, JWT-10: RFC 7515 §4.1.4.
func TestKeyIDsThatAreMalformed(t *testing.T) {
	for _, test := range []struct {
		name, value string
		reason      grants.Reason
		text        string
	}{
		{"NUL", `"k1\u0000"`, grants.Malformed, "not printable ASCII"},
		{"a line feed", `"k1\n"`, grants.Malformed, "not printable ASCII"},
		{"a letter outside ASCII", `"ké"`, grants.Malformed, "not printable ASCII"},
		{"257 bytes", `"` + strings.Repeat("k", 257) + `"`, grants.Malformed, "kid is longer than 256 bytes"},
		{"8 KiB", `"` + strings.Repeat("k", 8<<10) + `"`, grants.Malformed, "at most 8192 are allowed"},
		{"1 MiB", `"` + strings.Repeat("k", 1<<20) + `"`, grants.TooLarge, "at most 32768 bytes"},
		{"a number", "1", grants.Malformed, "kid is not a string"},
		{"a truth value", "true", grants.Malformed, "kid is not a string"},
		{"an array", `["k1"]`, grants.Malformed, "kid is not a string"},
		{"an object", `{"k1":"k1"}`, grants.Malformed, "kid is not a string"},
	} {
		t.Run(test.name, func(t *testing.T) {
			refused(t, sign(soundHeader.with("kid", test.value), soundClaims), test.reason, test.text)
		})
	}
}

// JWT-10: null and "" are no kid, which is JWK-11.
func TestKeyIDOfTheToken(t *testing.T) {
	for header, want := range map[string]string{`"k1"`: "k1", "": "", "null": "", `""`: ""} {
		raw := sign(soundHeader.with("kid", header), soundClaims)
		token, refusal := assertion.Parse(raw)
		if refusal != nil || token.KeyID() != want || token.Issuer != "https://acme.example/" || len(token.Audience) != 2 {
			t.Errorf("kid %s: got %+v, %v", header, token, refusal)
		}
		accepted(t, raw)
	}
}

// JWT-11, JWT-12, JWT-16, JWT-19: RFC 7515 §4.1.11 and App. E, RFC 7797 §6 and
// §7, RFC 7519 §5.2, RFC 8725 §3.6. That they are there is enough.
func TestHeadersThatAreNotAllowed(t *testing.T) {
	for _, test := range []struct{ name, value string }{
		{"crit", "[]"}, {"crit", `["exp"]`}, {"crit", `["b64"]`}, {"crit", `["http://example.invalid/UNDEFINED"]`}, {"crit", `"b64"`},
		{"crit", "[1]"}, {"crit", `["kid"]`}, {"crit", `["kid","kid"]`}, {"crit", "null"}, {"crit", "{}"},
		{"b64", "false"}, {"b64", "true"}, {"b64", "null"}, {"b64", `"false"`},
		{"cty", `"JWT"`}, {"cty", `"jwt"`}, {"cty", `"application/jwt"`}, {"cty", "null"},
		{"zip", `"DEF"`}, {"zip", `"none"`}, {"zip", "null"}, {"enc", `"A128GCM"`}, {"enc", `"none"`},
	} {
		t.Run(test.name+" "+test.value, func(t *testing.T) {
			refused(t, sign(soundHeader.with(test.name, test.value), soundClaims), grants.HeaderNotAllowed, "expected no crit, b64, zip, enc or cty; found token has a header that is not allowed: "+test.name)
		})
	}
	// JWT-12: with crit, which RFC 7797 §6 demands, and with each payload there can be.
	for _, b64Value := range []string{"true", "false"} {
		header := soundHeader.with("crit", `["b64"]`, "b64", b64Value)
		parts := strings.Split(sign(header, soundClaims), ".")
		t.Run("b64 "+b64Value+" and crit", func(t *testing.T) { refused(t, strings.Join(parts, "."), grants.HeaderNotAllowed, ": crit") })
		t.Run("b64 "+b64Value+" and crit, detached", func(t *testing.T) { refused(t, parts[0]+".."+parts[2], grants.HeaderNotAllowed, ": crit") })
		t.Run("b64 "+b64Value+" and crit, raw", func(t *testing.T) {
			refused(t, parts[0]+`.{"sub":"a"}.`+parts[2], grants.Malformed, "payload: not canonical base64url")
		})
	}
	t.Run("detached, without b64 (RFC 7515 App. F)", func(t *testing.T) {
		parts := strings.Split(sign(soundHeader, soundClaims), ".")
		refused(t, parts[0]+".."+parts[2], grants.Malformed, "payload: not valid JSON")
	})
}

// JWT-16: RFC 7519 App. A.2.
func TestNestedTokens(t *testing.T) {
	inner := sign(soundHeader, soundClaims)
	for _, cty := range []string{`"JWT"`, `"jwt"`} {
		t.Run("cty "+cty, func(t *testing.T) {
			refused(t, signText(rsaKey(), soundHeader.with("cty", cty).String(), inner), grants.HeaderNotAllowed, ": cty")
		})
	}
	t.Run("without cty", func(t *testing.T) {
		refused(t, signText(rsaKey(), soundHeader.String(), inner), grants.Malformed, "payload: not valid JSON")
	})
	t.Run("as a string", func(t *testing.T) {
		refused(t, signText(rsaKey(), soundHeader.String(), `"`+inner+`"`), grants.Malformed, "payload: not a JSON object")
	})
}

// JWT-17, JWT-18: RFC 8725 §3.11, RFC 9068 §2.1.
func TestTyp(t *testing.T) {
	for _, typ := range []string{"", `""`, "null", `"JWT"`, `"jwt"`, `"at+jwt"`, `"application/at+jwt"`, `"AT+JWT"`, `"application/jwt"`} {
		t.Run("typ "+typ, func(t *testing.T) { accepted(t, sign(soundHeader.with("typ", typ), soundClaims)) })
	}
	for typ, found := range map[string]string{
		"logout+jwt": "logout+jwt", "secevent+jwt": "secevent+jwt", "dpop+jwt": "dpop+jwt", "JWE": "jwe", "JOSE": "jose", "id_token+jwt": "id_token+jwt",
		"oauth-authz-req+jwt": "oauth-authz-req+jwt", "token-introspection+jwt": "token-introspection+jwt", "client-authentication+jwt": "client-authentication+jwt",
		"at+jwt ": "at+jwt ", "at+jwt;v=1": "at+jwt;v=1", "text/at+jwt": "text/at+jwt", "at+jwt\x00": `at+jwt\x00`, "ɑt+jwt": `\u0251t+jwt`,
		strings.Repeat("x", 2000): strings.Repeat("x", 256) + "...",
	} {
		t.Run("typ "+typ, func(t *testing.T) {
			refused(t, sign(soundHeader.with("typ", string(must(json.Marshal(typ)))), soundClaims), grants.TypNotAllowed, "expected JWT, at+jwt or no typ; found "+found)
		})
	}
	for _, typ := range []string{"1", `["JWT"]`, "{}"} {
		t.Run("typ "+typ, func(t *testing.T) {
			refused(t, sign(soundHeader.with("typ", typ), soundClaims), grants.Malformed, "typ is not a string")
		})
	}
}
