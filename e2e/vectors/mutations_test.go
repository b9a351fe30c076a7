package vectors_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
)

// mutation is one way to alter a good token.
type mutation struct {
	name string
	make func(f *forge) string
	want grants.Reason
}

// Every mutation of a good token of every good key is refused, for the reason
// that belongs to it.
func TestMutationsOfGoodTokens(t *testing.T) {
	all := slices.Concat(signatureMutations(), headerMutations(), payloadMutations(), encodingMutations(), shapeMutations(), resignedMutations())
	keys := goodForges(t)
	for _, f := range keys {
		for _, mutation := range all {
			raw := mutation.make(f)
			if raw == strings.Join(f.base[:], ".") {
				t.Fatalf("%s: %s does not change the token", f.name, mutation.name)
			}
			if got := f.judge(raw); got != mutation.want {
				t.Errorf("%s: %s: %s, want %s", f.name, mutation.name, said(got), said(mutation.want))
			}
		}
	}
	t.Logf("%d mutations of the tokens of %d keys", len(all), len(keys))
}

// The signature alone is altered.
func signatureMutations() []mutation {
	var all []mutation
	add := func(name string, alter func(signature []byte) []byte) {
		all = append(all, mutation{"signature: " + name, func(f *forge) string {
			return f.base[0] + "." + f.base[1] + "." + encode(string(alter([]byte(decode(f.base[2])))))
		}, grants.SignatureInvalid})
	}
	add("a bit of its first byte", func(s []byte) []byte { s[0] ^= 1; return s })
	add("a bit of its last byte", func(s []byte) []byte { s[len(s)-1] ^= 0x80; return s })
	add("without its last byte", func(s []byte) []byte { return s[:len(s)-1] })
	add("without its first byte", func(s []byte) []byte { return s[1:] })
	add("a byte appended", func(s []byte) []byte { return append(s, 0) })
	add("a zero before it", func(s []byte) []byte { return append([]byte{0}, s...) })
	add("all zero", func(s []byte) []byte { return make([]byte, len(s)) })
	add("all ones", func(s []byte) []byte { return slices.Repeat([]byte{0xff}, len(s)) })
	add("empty", func([]byte) []byte { return nil })
	add("twice", func(s []byte) []byte { return append(s, s...) })
	add("its halves swapped", func(s []byte) []byte { return append(s[len(s)/2:], s[:len(s)/2]...) })
	return append(all, mutation{"signature: of another token of the same key", func(f *forge) string {
		other := f.signed(f.header.String(), f.claims.with("sub", `"user-2"`).String())
		return f.base[0] + "." + f.base[1] + other[strings.LastIndex(other, "."):]
	}, grants.SignatureInvalid})
}

// The header is altered, the signature kept.
func headerMutations() []mutation {
	var all []mutation
	text := func(name string, want grants.Reason, alter func(f *forge, header string) string) {
		all = append(all, mutation{"header: " + name, func(f *forge) string {
			return encode(alter(f, f.header.String())) + "." + f.base[1] + "." + f.base[2]
		}, want})
	}
	set := func(want grants.Reason, pairs ...string) {
		text(strings.Join(pairs, " "), want, func(f *forge, _ string) string { return f.header.with(pairs...).String() })
	}
	for _, alg := range []string{`"none"`, `"None"`, `"HS256"`, `"HS512"`, `"ES256K"`, `" RS256"`, `""`, "null", ""} {
		set(grants.AlgNotAllowed, "alg", alg)
	}
	text("alg in lower case", grants.AlgNotAllowed, func(f *forge, _ string) string {
		return f.header.with("alg", quote(strings.ToLower(f.algorithm))).String()
	})
	set(grants.KeyNotFound, "kid", `"another"`)
	text("a bit of the kid", grants.KeyNotFound, func(f *forge, header string) string {
		return strings.Replace(header, f.key.ID, string(f.key.ID[0]^1)+f.key.ID[1:], 1)
	})
	text("a space after the kid", grants.KeyNotFound, func(f *forge, _ string) string { return f.header.with("kid", quote(f.key.ID+" ")).String() })
	set(grants.SignatureInvalid, "kid", "") // the only key of the set is tried
	set(grants.SignatureInvalid, "kid", `""`)
	set(grants.Malformed, "kid", "1")
	set(grants.SignatureInvalid, "typ", `"at+jwt"`)
	set(grants.SignatureInvalid, "typ", "")
	set(grants.TypNotAllowed, "typ", `"logout+jwt"`)
	set(grants.SignatureInvalid, "jku", `"https://attacker.example/jwks"`)
	set(grants.HeaderNotAllowed, "crit", `["exp"]`)
	set(grants.HeaderNotAllowed, "b64", "false")
	set(grants.HeaderNotAllowed, "b64", "true")
	set(grants.HeaderNotAllowed, "zip", `"DEF"`)
	set(grants.HeaderNotAllowed, "enc", `"A128GCM"`)
	set(grants.HeaderNotAllowed, "cty", `"JWT"`)
	text("a space", grants.SignatureInvalid, func(_ *forge, header string) string { return "{ " + header[1:] })
	text("a line break after it", grants.SignatureInvalid, func(_ *forge, header string) string { return header + "\n" })
	text("alg twice", grants.Malformed, func(f *forge, header string) string { return `{"alg":"none",` + header[1:] })
	text("alg twice, once escaped", grants.Malformed, func(f *forge, header string) string { return `{"\u0061lg":` + quote(f.algorithm) + "," + header[1:] })
	text("alg and Alg", grants.Malformed, func(_ *forge, header string) string { return `{"Alg":"none",` + header[1:] })
	text("of no members", grants.AlgNotAllowed, func(*forge, string) string { return "{}" })
	text("an array", grants.Malformed, func(*forge, string) string { return "[]" })
	text("something after it", grants.Malformed, func(_ *forge, header string) string { return header + "{}" })
	return append(all, noneMutation(), hmacMutation())
}

func noneMutation() mutation {
	return mutation{"header: alg none, no signature", func(f *forge) string {
		return encode(f.header.with("alg", `"none"`).String()) + "." + f.base[1] + "."
	}, grants.AlgNotAllowed}
}

// RFC 8725 §2.1: the published document as the secret.
func hmacMutation() mutation {
	return mutation{"header: HS256 by the public key", func(f *forge) string {
		signed := encode(f.header.with("alg", `"HS256"`).String()) + "." + f.base[1]
		mac := hmac.New(sha256.New, f.document)
		mac.Write([]byte(signed))
		return signed + "." + encode(string(mac.Sum(nil)))
	}, grants.AlgNotAllowed}
}

// The claims are altered, the signature kept. What is wrong without a look at
// the signature is said to be; the rest fails by the signature.
func payloadMutations() []mutation {
	var all []mutation
	text := func(name string, want grants.Reason, alter func(payload string) string) {
		all = append(all, mutation{"payload: " + name, func(f *forge) string {
			return f.base[0] + "." + encode(alter(f.claims.String())) + "." + f.base[2]
		}, want})
	}
	set := func(want grants.Reason, pairs ...string) {
		all = append(all, mutation{"payload: " + strings.Join(pairs, " "), func(f *forge) string {
			return f.base[0] + "." + encode(f.claims.with(pairs...).String()) + "." + f.base[2]
		}, want})
	}
	set(grants.SignatureInvalid, "sub", `"user-2"`)
	set(grants.SignatureInvalid, "permissions", `["lockHolder.identifier:NO.919424508.*"]`)
	set(grants.SignatureInvalid, "permissions", "")
	set(grants.SignatureInvalid, "exp", "1800003601")
	set(grants.SignatureInvalid, "iat", "1799999991")
	set(grants.SignatureInvalid, "jti", `"1"`)
	set(grants.SignatureInvalid, "aud", `"api.cambio.example"`)
	set(grants.TokenExpired, "exp", "1799999999")
	set(grants.IssuerUnknown, "iss", `"https://other.example/"`)
	set(grants.AudienceMismatch, "aud", `["another.example"]`)
	text("a bit of sub", grants.SignatureInvalid, func(payload string) string { return strings.Replace(payload, "user-1", "user-0", 1) })
	text("a space", grants.SignatureInvalid, func(payload string) string { return "{ " + payload[1:] })
	text("a line break after it", grants.SignatureInvalid, func(payload string) string { return payload + "\n" })
	text("sub twice", grants.Malformed, func(payload string) string { return `{"sub":"root",` + payload[1:] })
	text("sub and Sub", grants.Malformed, func(payload string) string { return `{"Sub":"root",` + payload[1:] })
	text("empty", grants.Malformed, func(string) string { return "" })
	text("an array", grants.Malformed, func(payload string) string { return "[" + payload + "]" })
	text("cut short", grants.Malformed, func(payload string) string { return payload[:len(payload)-1] })
	return all
}

// The text of one part is altered, what it stands for is not (RFC 7515 §2).
func encodingMutations() []mutation {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	alterations := map[string]func(text string) string{
		"padding":               func(text string) string { return text + strings.Repeat("=", 3-(len(text)+3)%4) },
		"padding in URL escape": func(text string) string { return text + strings.Repeat("%3D", 3-(len(text)+3)%4) },
		"the standard alphabet": func(text string) string { return strings.NewReplacer("-", "+", "_", "/").Replace(text) },
		"unused bits": func(text string) string {
			last := strings.IndexByte(alphabet, text[len(text)-1])
			return text[:len(text)-1] + string(alphabet[last|1])
		},
		"a line break inside": func(text string) string { return text[:8] + "\n" + text[8:] },
		"a line break at end": func(text string) string { return text + "\r\n" },
		"a space inside":      func(text string) string { return text[:8] + " " + text[8:] },
		"a space before":      func(text string) string { return " " + text },
		"a character more":    func(text string) string { return text + strings.Repeat("A", 4-(len(text)+3)%4) },
		"a NUL at end":        func(text string) string { return text + "\x00" },
	}
	var all []mutation
	for part, name := range []string{"header", "payload", "signature"} {
		for how, alter := range alterations {
			all = append(all, mutation{name + ": " + how, func(f *forge) string {
				altered := f.base
				altered[part] = alter(altered[part])
				return strings.Join(altered[:], ".")
			}, grants.Malformed})
		}
	}
	return all
}

// The token is put together in another way.
func shapeMutations() []mutation {
	var all []mutation
	add := func(name string, make func(head, body, signature string) string) {
		all = append(all, mutation{"shape: " + name, func(f *forge) string { return make(f.base[0], f.base[1], f.base[2]) }, grants.Malformed})
	}
	add("a dot at the end", func(h, b, s string) string { return h + "." + b + "." + s + "." })
	add("a dot before", func(h, b, s string) string { return "." + h + "." + b + "." + s })
	add("a dot more", func(h, b, s string) string { return h + ".." + b + "." + s })
	add("a part more", func(h, b, s string) string { return h + "." + b + "." + s + "." + s })
	add("five parts", func(h, b, s string) string { return h + "." + b + "." + s + "." + s + "." + s })
	add("no signature and no dot", func(h, b, _ string) string { return h + "." + b })
	add("no header", func(_, b, s string) string { return "." + b + "." + s })
	add("detached (RFC 7515 App. F)", func(h, _, s string) string { return h + ".." + s })
	add("a space before", func(h, b, s string) string { return " " + h + "." + b + "." + s })
	add("a line break at end", func(h, b, s string) string { return h + "." + b + "." + s + "\n" })
	add("in quotes", func(h, b, s string) string { return quote(h + "." + b + "." + s) })
	add("with its scheme", func(h, b, s string) string { return "Bearer " + h + "." + b + "." + s })
	add("flattened JSON (RFC 7515 §7.2.2)", func(h, b, s string) string {
		return string(must(json.Marshal(map[string]string{"protected": h, "payload": b, "signature": s})))
	})
	add("general JSON (RFC 7515 §7.2.1)", func(h, b, s string) string {
		return `{"payload":` + quote(b) + `,"signatures":[{"protected":` + quote(h) + `,"signature":` + quote(s) + `}]}`
	})
	return all
}
