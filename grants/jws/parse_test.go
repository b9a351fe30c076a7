package jws_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants/jws"
	"github.com/cambio-oauth/cambio/grants/strictjson"
)

// wantParseError asserts one error of the package, none of its others, and a
// part of the text that says what exactly was wrong.
func wantParseError(t *testing.T, raw string, want error, text string) {
	t.Helper()
	token, err := jws.ParseJWT(raw, limit)
	if err == nil {
		t.Fatalf("accepted: %+v", token)
	}
	for _, known := range []error{jws.ErrTooLarge, jws.ErrMalformed, jws.ErrHeaderNotAllowed, jws.ErrSignature} {
		if errors.Is(err, known) != (known == want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	if !strings.Contains(err.Error(), text) {
		t.Fatalf("got %q, want it to say %q", err, text)
	}
	if token != nil {
		t.Error("a refused token was given")
	}
}

func TestASoundToken(t *testing.T) {
	token := parse(t, compact(`{"alg":"RS256","kid":"k1","typ":"JWT"}`, `{"sub":"a"}`))
	if token.Algorithm != "RS256" || token.KeyID != "k1" || token.Type != "jwt" || string(token.Payload) != `{"sub":"a"}` || string(token.Members["sub"]) != `"a"` {
		t.Errorf("got %+v", token)
	}
}

// JWT-22: CVE-2025-30204, CVE-2025-27144, CVE-2025-22868, CVE-2025-66506.
func TestNumberOfParts(t *testing.T) {
	head, body := b64(`{"alg":"RS256"}`), b64(`{}`)
	for _, test := range []struct{ name, raw, text string }{
		{"the empty text", "", "1 parts"},
		{"no dot", head, "1 parts"},
		{"one dot", head + "." + body, "2 parts"},
		{"three dots", head + "." + body + ".c2ln.c2ln", "4 parts"},
		{"a trailing dot", head + "." + body + ".c2ln.", "4 parts"},
		{"a leading dot", "." + head + "." + body + ".c2ln", "4 parts"},
		{"four dots: a JWE (RFC 7516 §7.1)", head + ".a2V5.aXY." + body + ".dGFn", "5 parts"},
		{"four dots alone", "....", "5 parts"},
		{"five dots", ".....", "6 parts"},
		{"two dots alone", "..", "header: not valid JSON"},
		{"an empty header", "." + body + ".c2ln", "header: not valid JSON"},
		{"an empty payload (detached, RFC 7515 App. F)", head + "..c2ln", "payload: not valid JSON"},
		{"10,000 dots", strings.Repeat(".", 10_000), "10001 parts"},
	} {
		t.Run(test.name, func(t *testing.T) { wantParseError(t, test.raw, jws.ErrMalformed, test.text) })
	}
}

func TestDotsCostNoMemory(t *testing.T) {
	dots := strings.Repeat(".", 10_000)
	if n := testing.AllocsPerRun(10, func() { _, _ = jws.ParseJWT(dots, limit) }); n > 5 {
		t.Errorf("%v allocations for 10,000 dots", n)
	}
}

// JWT-20: CVE-2024-28180 and its family never come as far as decryption.
func TestEncryptedTokensAreMalformed(t *testing.T) {
	for _, header := range []string{
		`{"alg":"PBES2-HS256+A128KW","p2c":2147483648,"p2s":"AAAA","enc":"A128GCM"}`, `{"alg":"RSA1_5","enc":"A128CBC-HS256"}`,
		`{"alg":"dir","enc":"A128GCM","zip":"DEF"}`, `{"alg":"none"}`,
	} {
		t.Run(header, func(t *testing.T) {
			wantParseError(t, b64(header)+".a2V5.aXY.Y3Q.dGFn", jws.ErrMalformed, "5 parts")
		})
	}
}

// JWT-27.
func TestSize(t *testing.T) {
	raw := compact(`{"alg":"RS256"}`, `{}`)
	for _, test := range []struct {
		name  string
		limit int
		want  error
	}{
		{"one byte more than the limit", len(raw) - 1, jws.ErrTooLarge},
		{"exactly the limit", len(raw), nil},
		{"one byte less", len(raw) + 1, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := jws.ParseJWT(raw, test.limit); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
	t.Run("size comes before everything else", func(t *testing.T) {
		wantParseError(t, strings.Repeat(".", limit+1), jws.ErrTooLarge, "")
	})
}

// JWT-24: encode(decode(x)) == x, or one token has many texts (F8).
func TestEachPartHasOneSpelling(t *testing.T) {
	// Lengths of 1 and 2 modulo 3, so that every part has unused bits.
	for _, texts := range [][3]string{
		{`{"alg":"RS256"} `, `{"a":1}`, "signature1"},
		{`{"alg":"RS256"}  `, `{"a":1} `, "signature12"},
	} {
		parts := []string{b64(texts[0]), b64(texts[1]), b64(texts[2])}
		parse(t, strings.Join(parts, "."))
		for i, name := range []string{"header", "payload", "signature"} {
			for change, altered := range spellings(t, parts[i]) {
				t.Run(change+" in the "+name, func(t *testing.T) {
					changed := append([]string(nil), parts...)
					changed[i] = altered
					wantParseError(t, strings.Join(changed, "."), jws.ErrMalformed, name+": not canonical base64url")
				})
			}
		}
	}
}

// spellings are what lax decoders read as the same bytes, or skip over.
func spellings(t *testing.T, part string) map[string]string {
	t.Helper()
	unused, ok := withUnusedBit(part)
	if got := must(base64.RawURLEncoding.DecodeString(unused)); !ok || unused == part || b64(string(got)) != part {
		t.Fatalf("%q has no unused bits", part)
	}
	half := len(part) / 2
	return map[string]string{
		"a padding character":         part + "=",
		"full padding":                part + strings.Repeat("=", 4-len(part)%4),
		"percent-encoded padding":     part + "%3D",
		"an unused bit":               unused,
		"a line feed inside":          part[:half] + "\n" + part[half:],
		"a line feed before":          "\n" + part,
		"a line feed after":           part + "\n",
		"a carriage return inside":    part[:half] + "\r" + part[half:],
		"CRLF after":                  part + "\r\n",
		"a space inside":              part[:half] + " " + part[half:],
		"a space before":              " " + part,
		"a tab after":                 part + "\t",
		"NUL after":                   part + "\x00",
		"a length of 1 modulo 4":      part[:half/4*4] + "A",
		"a character of no alphabet":  part[:half] + "!" + part[half:],
		"a letter outside ASCII":      part[:half] + "é" + part[half:],
		"the standard alphabet's +":   part[:half] + "+" + part[half+1:],
		"the standard alphabet's /":   part[:half] + "/" + part[half+1:],
		"a byte order mark before":    "\ufeff" + part,
		"quotes around":               `"` + part + `"`,
		"a soft hyphen, not a hyphen": part[:half] + "\u00ad" + part[half:],
	}
}

// JWT-21: CVE-2016-9122, RFC 7515 App. A.6 and A.7.
func TestJSONSerializationsAreMalformed(t *testing.T) {
	head, body := b64(`{"alg":"RS256"}`), b64(`{}`)
	for name, raw := range map[string]string{
		"flattened":                       `{"payload":"` + body + `","protected":"` + head + `","signature":"c2ln"}`,
		"general":                         `{"payload":"` + body + `","signatures":[{"protected":"` + head + `","signature":"c2ln"}]}`,
		"general, first good, second bad": `{"payload":"` + body + `","signatures":[{"protected":"` + head + `","signature":"` + strings.Split(signRS256(`{"alg":"RS256"}`, `{}`), ".")[2] + `"},{"protected":"` + head + `","signature":"c2ln"}]}`,
		"with two dots in it":             `{"payload":"` + body + `","protected":"` + head + `","signature":"c2ln","x":".."}`,
		"with an unprotected header":      `{"payload":"` + body + `","header":{"alg":"none"},"signature":""}`,
		"a compact token in an array":     `["` + compact(`{"alg":"RS256"}`, `{}`) + `"]`,
		"a compact token in quotes":       `"` + compact(`{"alg":"RS256"}`, `{}`) + `"`,
	} {
		t.Run(name, func(t *testing.T) { wantParseError(t, raw, jws.ErrMalformed, "") })
	}
}

// JWT-25 and JWT-28: header and payload are JSON objects, read strictly.
func TestHeaderAndPayloadAreStrictJSONObjects(t *testing.T) {
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}` }
	for _, test := range []struct {
		name, json string
		want       error  // of strictjson, if it is the judge
		text       string // otherwise
	}{
		{"null", "null", nil, "not a JSON object"},
		{"an array", "[]", nil, "not a JSON object"},
		{"a string", `"x"`, nil, "not a JSON object"},
		{"a number", "1", nil, "not a JSON object"},
		{"nothing", "", strictjson.ErrSyntax, ""},
		{"spaces", "  ", strictjson.ErrSyntax, ""},
		{"a byte order mark", "\ufeff{}", strictjson.ErrSyntax, ""},
		{"NaN", `{"exp":NaN}`, strictjson.ErrSyntax, ""},
		{"a comment", `{}//`, strictjson.ErrTrailing, ""},
		{"two documents", `{}{}`, strictjson.ErrTrailing, ""},
		{"UTF-16", "{\x00}\x00", strictjson.ErrSyntax, ""},
		{"invalid UTF-8", "{\"a\":\"\xff\"}", strictjson.ErrEncoding, ""},
		{"a lone surrogate", `{"a":"\ud800"}`, strictjson.ErrEncoding, ""},
		{"17 levels", deep(17), strictjson.ErrDepth, ""},
		{"a nested token (RFC 7519 App. A.2)", compact(`{"alg":"RS256"}`, `{}`), strictjson.ErrSyntax, ""},
		{"a duplicate member", `{"alg":"none","alg":"RS256"}`, strictjson.ErrDuplicate, ""},
		{"a duplicate member, reversed", `{"alg":"RS256","alg":"none"}`, strictjson.ErrDuplicate, ""},
		{"a duplicate member by case", `{"alg":"RS256","ALG":"none"}`, strictjson.ErrDuplicate, ""},
		{"a duplicate member by escape", `{"alg":"RS256","\u0061lg":"none"}`, strictjson.ErrDuplicate, ""},
		{"a duplicate kid", `{"alg":"RS256","kid":"a","kid":"b"}`, strictjson.ErrDuplicate, ""},
		{"a duplicate claim (RFC 7519 §4)", `{"sub":"a","sub":"b"}`, strictjson.ErrDuplicate, ""},
	} {
		header, payload := compact(test.json, `{}`), compact(`{"alg":"RS256"}`, test.json)
		for part, raw := range map[string]string{"header": header, "payload": payload} {
			t.Run(test.name+" as "+part, func(t *testing.T) {
				wantParseError(t, raw, jws.ErrMalformed, part+": ")
				_, err := jws.ParseJWT(raw, limit)
				if test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
					t.Errorf("got %v, want %v %s", err, test.want, test.text)
				}
			})
		}
	}
	t.Run("16 levels are accepted", func(t *testing.T) { parse(t, compact(deep(16), deep(16))) })
}
