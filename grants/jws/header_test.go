package jws_test

import (
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants/jws"
)

// JWT-11, JWT-12, JWT-16, JWT-19: headers that change what is signed or said.
// Their presence is enough, whatever they hold.
func TestHeadersThatAreNotAllowed(t *testing.T) {
	for _, test := range []struct{ name, member string }{
		{"crit: empty", `"crit":[]`},
		{"crit: a known name", `"crit":["exp"],"exp":1`},
		{"crit: b64", `"crit":["b64"]`},
		{"crit with b64 true (RFC 7797 §6)", `"crit":["b64"],"b64":true`},
		{"crit: the negative vector of RFC 7515 App. E", `"crit":["http://example.invalid/UNDEFINED"],"http://example.invalid/UNDEFINED":true`},
		{"crit: a string", `"crit":"b64"`},
		{"crit: a number in it", `"crit":[1]`},
		{"crit: the same name twice", `"crit":["a","a"],"a":1`},
		{"crit: null", `"crit":null`},
		{"crit: escaped", `"\u0063rit":[]`},
		{"b64: false (RFC 7797 §7)", `"b64":false`},
		{"b64: true", `"b64":true`},
		{"zip: DEF (RFC 8725 §3.6)", `"zip":"DEF"`},
		{"zip: none", `"zip":"none"`},
		{"zip: null", `"zip":null`},
		{"enc", `"enc":"A128GCM"`},
		{"cty: JWT (RFC 7519 §5.2)", `"cty":"JWT"`},
		{"cty: jwt", `"cty":"jwt"`},
		{"cty: another", `"cty":"text/plain"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			name, _, _ := strings.Cut(test.name, ":")
			name, _, _ = strings.Cut(name, " ")
			wantParseError(t, compact(`{"alg":"RS256",`+test.member+`}`, `{}`), jws.ErrHeaderNotAllowed, ": "+name)
		})
	}
}

// JWT-01: what the header calls its algorithm is for the policy to judge. It
// is read as it stands, never folded, trimmed or guessed.
func TestAlgorithmIsReadAsItStands(t *testing.T) {
	for value, want := range map[string]string{
		`"none"`: "none", `"None"`: "None", `"NONE"`: "NONE", `"nOnE"`: "nOnE", `" none"`: " none", `""`: "", `null`: "",
		`"rs256"`: "rs256", `"RS256 "`: "RS256 ", `"RS256\u0000"`: "RS256\x00", `"\u0052S256"`: "RS256", `"HS256"`: "HS256",
	} {
		t.Run(value, func(t *testing.T) {
			if got := parse(t, compact(`{"alg":`+value+`}`, `{}`)).Algorithm; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	t.Run("absent", func(t *testing.T) {
		if got := parse(t, compact(`{"ALG":"RS256"}`, `{}`)).Algorithm; got != "" {
			t.Errorf("got %q out of a header without alg", got)
		}
	})
	for _, value := range []string{`["RS256"]`, `0`, `true`, `{"a":"RS256"}`, `[null]`} {
		t.Run(value+" names none", func(t *testing.T) {
			if got := parse(t, compact(`{"alg":`+value+`}`, `{}`)).Algorithm; got != "" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// JWT-09, JWT-10; RFC 7515 §4.1.4.
func TestKeyID(t *testing.T) {
	for value, want := range map[string]string{
		`null`: "", `""`: "", `"k"`: "k", `" "`: " ", `"K"`: "K", `"../../../../dev/null"`: "../../../../dev/null",
		`"' OR 1=1--"`: "' OR 1=1--", `"%00"`: "%00", `"$(id)"`: "$(id)", `"{{7*7}}"`: "{{7*7}}", `"a\/b"`: "a/b",
		`"` + strings.Repeat("k", 256) + `"`: strings.Repeat("k", 256),
	} {
		t.Run(value, func(t *testing.T) {
			if got := parse(t, compact(`{"alg":"RS256","kid":`+value+`}`, `{}`)).KeyID; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	for _, test := range []struct{ name, value, text string }{
		{"a number", `1`, "kid is not a string"},
		{"an array", `["k"]`, "kid is not a string"},
		{"an object", `{"k":1}`, "kid is not a string"},
		{"a truth value", `false`, "kid is not a string"},
		{"257 bytes", `"` + strings.Repeat("k", 257) + `"`, "kid is longer than 256 bytes or not printable ASCII"},
		{"NUL", `"k\u0000"`, "not printable ASCII"},
		{"a line feed", `"k\n"`, "not printable ASCII"},
		{"DEL", `"k\u007f"`, "not printable ASCII"},
		{"a letter outside ASCII", `"ké"`, "not printable ASCII"},
		{"a right-to-left override", `"k\u202e"`, "not printable ASCII"},
		{"129 letters of two bytes", `"` + strings.Repeat("é", 129) + `"`, "longer than 256 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantParseError(t, compact(`{"alg":"RS256","kid":`+test.value+`}`, `{}`), jws.ErrMalformed, test.text)
		})
	}
	t.Run("no kid", func(t *testing.T) {
		if got := parse(t, compact(`{"alg":"RS256"}`, `{"kid":"k"}`)).KeyID; got != "" {
			t.Errorf("got %q", got)
		}
	})
}

// RFC 7515 §4.1.9: media types do not depend on case; "application/" may be
// left out.
func TestTypeIsNormalised(t *testing.T) {
	for value, want := range map[string]string{
		`null`: "", `""`: "", `"JWT"`: "jwt", `"jwt"`: "jwt", `"at+jwt"`: "at+jwt", `"AT+JWT"`: "at+jwt",
		`"application/at+jwt"`: "at+jwt", `"APPLICATION/AT+JWT"`: "at+jwt", `"Application/JWT"`: "jwt", `"logout+jwt"`: "logout+jwt",
		`"application/application/at+jwt"`: "application/at+jwt", `"text/at+jwt"`: "text/at+jwt", `" at+jwt"`: " at+jwt",
		`"at+jwt;x=1"`: "at+jwt;x=1", `"application/"`: "", `"at+jwt\u0000"`: "at+jwt\x00",
	} {
		t.Run(value, func(t *testing.T) {
			if got := parse(t, compact(`{"alg":"RS256","typ":`+value+`}`, `{}`)).Type; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	for _, value := range []string{`1`, `["JWT"]`, `{}`, `true`} {
		t.Run(value, func(t *testing.T) {
			wantParseError(t, compact(`{"alg":"RS256","typ":`+value+`}`, `{}`), jws.ErrMalformed, "typ is not a string")
		})
	}
}
