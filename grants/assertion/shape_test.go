package assertion_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/grants"
)

// twice gives an object a second member, before all others.
func twice(object members, member string) string { return "{" + member + "," + object.String()[1:] }

// JWT-13: RFC 7515 §4. Signed by the right key, and good if either of the two
// counted.
func TestHeadersThatStandTwice(t *testing.T) {
	for _, member := range []string{
		`"alg":"RS256"`, `"alg":"none"`, `"ALG":"none"`, `"Alg":"RS256"`, `"\u0061lg":"none"`, `"a\u006cg":"RS256"`,
		`"kid":"k1"`, `"kid":"k2"`, `"KID":"k1"`, `"\u006bid":"k1"`, `"` + "\u212a" + `id":"k1"`, `"\u212aid":"k1"`, `"typ":"JWT"`, `"tYp":null`,
	} {
		t.Run(member, func(t *testing.T) {
			refused(t, signText(rsaKey(), twice(soundHeader, member), soundClaims.String()), grants.Malformed, "header: a member stands twice")
		})
	}
	t.Run("the other order", func(t *testing.T) {
		refused(t, signText(rsaKey(), `{"alg":"RS256","alg":"none"}`, soundClaims.String()), grants.Malformed, "header: a member stands twice")
	})
	t.Run("in an inner object", func(t *testing.T) {
		refused(t, sign(soundHeader.with("jwk", `{"kty":"RSA","kty":"RSA"}`), soundClaims), grants.Malformed, "header: a member stands twice")
	})
}

// JWT-14: RFC 7519 §4.
func TestClaimsThatStandTwice(t *testing.T) {
	for claim, value := range soundClaims {
		escaped := fmt.Sprintf(`\u%04x`, claim[0]) + claim[1:]
		for _, name := range []string{claim, escaped, strings.ToUpper(claim), strings.ToUpper(claim[:1]) + claim[1:], strings.ReplaceAll(claim, "s", "\u017f")} {
			t.Run(name, func(t *testing.T) {
				refused(t, signText(rsaKey(), soundHeader.String(), twice(soundClaims, `"`+name+`":`+value)), grants.Malformed, "payload: a member stands twice")
			})
		}
	}
	t.Run("in an inner object", func(t *testing.T) {
		refused(t, sign(soundHeader, soundClaims.with("realm_access", `{"roles":[],"Roles":["x"]}`)), grants.Malformed, "payload: a member stands twice")
	})
}

// JWT-20: GHSA-2c7c-3mj9-8fqh, CVE-2024-28180, CVE-2026-34986. Five parts are
// refused before anything is decoded, let alone decrypted or inflated: what it
// costs does not depend on what is inside.
func TestEncryptedTokens(t *testing.T) {
	public, shared := &rsaKey().PublicKey, make([]byte, 64)
	ec := signers()[jose.ES256][1]
	kinds := map[jose.KeyAlgorithm]any{
		jose.RSA1_5: public, jose.RSA_OAEP: public, jose.RSA_OAEP_256: public, jose.A128KW: shared[:16], jose.A192KW: shared[:24], jose.A256KW: shared[:32],
		jose.A128GCMKW: shared[:16], jose.A192GCMKW: shared[:24], jose.A256GCMKW: shared[:32],
		jose.ECDH_ES: ec, jose.ECDH_ES_A128KW: ec, jose.ECDH_ES_A192KW: ec, jose.ECDH_ES_A256KW: ec,
		jose.PBES2_HS256_A128KW: "secret", jose.PBES2_HS384_A192KW: "secret", jose.PBES2_HS512_A256KW: "secret",
	}
	encryptions := map[jose.ContentEncryption]int{jose.A128CBC_HS256: 32, jose.A192CBC_HS384: 48, jose.A256CBC_HS512: 64, jose.A128GCM: 16, jose.A192GCM: 24, jose.A256GCM: 32}
	bomb := strings.Repeat("0", 1<<20)
	encrypted := func(alg jose.KeyAlgorithm, encryption jose.ContentEncryption, key any, payload string, zip jose.CompressionAlgorithm) string {
		recipient := jose.Recipient{Algorithm: alg, Key: key, PBES2Count: 1000}
		encrypter := must(jose.NewEncrypter(encryption, recipient, &jose.EncrypterOptions{Compression: zip}))
		return must(must(encrypter.Encrypt([]byte(payload))).CompactSerialize())
	}
	raws := map[string]string{
		"PBES2 of 2^31 rounds": b64([]byte(`{"alg":"PBES2-HS256+A128KW","p2c":2147483648,"p2s":"AAAA","enc":"A128GCM"}`)) + ".a2V5.aXY.Y3Q.dGFn",
		"a header of RS256":    strings.Replace(sign(soundHeader, soundClaims), ".", ".a2V5.aXY.", 1),
		"empty parts":          "....",
		"a bomb of 1 MiB":      encrypted(jose.DIRECT, jose.A128GCM, shared[:16], bomb, jose.DEFLATE),
	}
	for encryption, bytes := range encryptions {
		raws["dir "+string(encryption)] = encrypted(jose.DIRECT, encryption, shared[:bytes], soundClaims.String(), jose.NONE)
		for alg, key := range kinds {
			raws[string(alg)+" "+string(encryption)] = encrypted(alg, encryption, key, soundClaims.String(), jose.NONE)
		}
	}
	for name, raw := range raws {
		t.Run(name, func(t *testing.T) {
			refused(t, raw, grants.Malformed, "found token is not a well-formed compact JWS: 5 parts, not 3")
			if bytes := allocated(func() { judge(raw, nil, nil) }); bytes > 2<<10 {
				t.Errorf("%d bytes were allocated", bytes)
			}
		})
	}
}

// JWT-21: CVE-2016-9122, RFC 7515 App. A.6 and A.7. One good signature among
// several says nothing about the others.
func TestJSONSerializations(t *testing.T) {
	sound := strings.Split(sign(soundHeader, soundClaims), ".")
	good := fmt.Sprintf(`{"protected":"%s","signature":"%s"}`, sound[0], sound[2])
	bad := fmt.Sprintf(`{"protected":"%s","signature":"AAAA"}`, sound[0])
	for name, raw := range map[string]string{
		"flattened":                       fmt.Sprintf(`{"payload":"%s","protected":"%s","signature":"%s"}`, sound[1], sound[0], sound[2]),
		"flattened, unprotected header":   fmt.Sprintf(`{"payload":"%s","protected":"%s","header":{"kid":"k1"},"signature":"%s"}`, sound[1], sound[0], sound[2]),
		"flattened, unprotected alg":      fmt.Sprintf(`{"payload":"%s","header":%s,"signature":"%s"}`, sound[1], soundHeader, sound[2]),
		"general":                         fmt.Sprintf(`{"payload":"%s","signatures":[%s]}`, sound[1], good),
		"general, first good, second bad": fmt.Sprintf(`{"payload":"%s","signatures":[%s,%s]}`, sound[1], good, bad),
		"general, first bad, second good": fmt.Sprintf(`{"payload":"%s","signatures":[%s,%s]}`, sound[1], bad, good),
		"general, no signatures":          fmt.Sprintf(`{"payload":"%s","signatures":[]}`, sound[1]),
		"in an array":                     `["` + sound[0] + `","` + sound[1] + `","` + sound[2] + `"]`,
	} {
		t.Run(name, func(t *testing.T) { refused(t, raw, grants.Malformed, ": 1 parts, not 3") })
	}
	for name, raw := range map[string]string{"in quotes": `"` + strings.Join(sound, ".") + `"`, "in brackets": "[" + strings.Join(sound, ".") + "]"} {
		t.Run(name, func(t *testing.T) { refused(t, raw, grants.Malformed, "header: not canonical base64url") })
	}
}

// unaligned pads an object to 1 modulo 3 bytes, so that base64url leaves four
// bits of its last character unused.
func unaligned(object members) members {
	for len(object.String())%3 != 1 {
		object = object.with("pad", `"`+strings.Repeat("x", len(object["pad"]))+`"`)
	}
	return object
}

// JWT-24: RFC 7515 §2, encode(decode(x)) == x. What lax decoders read as the
// sound token, part by part; grants/jws has the whole list.
func TestOtherSpellingsOfASoundToken(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	whole := sign(unaligned(soundHeader), unaligned(soundClaims))
	accepted(t, whole)
	sound := strings.Split(whole, ".")
	for i, name := range []string{"header", "payload", "signature"} {
		part, last := sound[i], len(sound[i])-1
		spellings := []string{
			part + "=", part + "==", part + "%3D", part + "%3D%3D", part + "\n", part + "\r\n", " " + part, part + " ", "+" + part[1:], "/" + part[1:],
			part + "AAA", part[:len(part)-1], // 1 modulo 4
		}
		for bits := 1; bits < 16; bits++ {
			spellings = append(spellings, part[:last]+string(alphabet[strings.IndexByte(alphabet, part[last])|bits]))
		}
		for _, spelling := range spellings {
			t.Run(fmt.Sprintf("%s %.1q…%q", name, spelling, spelling[last-3:]), func(t *testing.T) {
				changed := slices.Clone(sound)
				changed[i] = spelling
				refused(t, strings.Join(changed, "."), grants.Malformed, name+": not canonical base64url")
			})
		}
	}
}

// JWT-25: what is signed is one JSON object, read strictly.
func TestPayloads(t *testing.T) {
	claims := soundClaims.String()
	for _, test := range []struct{ name, payload, text string }{
		{"null", "null", "not a JSON object"}, {"an array", "[]", "not a JSON object"}, {"a string", `"x"`, "not a JSON object"}, {"a number", "1", "not a JSON object"},
		{"the claims in an array", "[" + claims + "]", "not a JSON object"},
		{"nothing", "", "not valid JSON"}, {"a space", " ", "not valid JSON"}, {"half of it", claims[:len(claims)/2], "not valid JSON"},
		{"two documents", claims + claims, "data after the JSON value"}, {"two documents, the second of which would do", "{}" + claims, "data after the JSON value"},
		{"trailing bytes", claims + "x", "data after the JSON value"}, {"a trailing NUL", claims + "\x00", "data after the JSON value"},
		{"a comment after it", claims + "//x", "data after the JSON value"}, {"a comment before it", "/**/" + claims, "not valid JSON"},
		{"a comment within", "{/**/" + claims[1:], "not valid JSON"}, {"a trailing comma", claims[:len(claims)-1] + ",}", "not valid JSON"},
		{"NaN", twice(soundClaims, `"x":NaN`), "not valid JSON"}, {"Infinity", twice(soundClaims, `"x":-Infinity`), "not valid JSON"},
		{"a number with a leading zero", twice(soundClaims, `"x":01`), "not valid JSON"}, {"single quotes", twice(soundClaims, `'x':1`), "not valid JSON"},
		{"a byte order mark", "\ufeff" + claims, "not valid JSON"}, {"UTF-16", "{\x00}\x00", "not valid JSON"}, {"UTF-16 with its mark", "\xff\xfe{\x00}\x00", "not valid UTF-8"},
		{"invalid UTF-8", twice(soundClaims, "\"x\":\"\xff\""), "not valid UTF-8"}, {"a lone surrogate", twice(soundClaims, `"x":"\ud800"`), "not valid UTF-8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			refused(t, signText(rsaKey(), soundHeader.String(), test.payload), grants.Malformed, "payload: "+test.text)
		})
	}
	t.Run("an empty object has no issuer", func(t *testing.T) {
		refused(t, signText(rsaKey(), soundHeader.String(), "{}"), grants.ClaimMissing, "no iss; expected claim iss; found none")
	})
	t.Run("spaces around it are JSON", func(t *testing.T) { accepted(t, signText(rsaKey(), soundHeader.String(), " \t\r\n"+claims+"\n")) })
}
