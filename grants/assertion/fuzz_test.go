package assertion_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
)

// FuzzVerify signs what it is given, so that nothing but the checks stands in
// the way, and then edits the text. What is accepted must be acceptable to a
// second, slower and simpler judge; an edited text is nobody's.
func FuzzVerify(f *testing.F) {
	for _, seed := range signedSeeds() {
		f.Add(seed[0], seed[1], uint16(0), uint16(0), "")
	}
	for _, edit := range editSeeds() {
		f.Add(soundHeader.String(), soundClaims.String(), edit.at, edit.cut, edit.text)
	}
	f.Fuzz(func(t *testing.T, header, payload string, at, cut uint16, text string) {
		if len(header)+len(payload)+len(text) > 2*grants.MaxSubjectTokenBytes {
			return // too large, which says nothing about the rest
		}
		raw := signText(rsaKey(), header, payload)
		claims, refusal := judge(raw, soundPolicy(), finding(rightKey()))
		if refusal != nil {
			checkRefusal(t, refusal)
			if claims != nil {
				t.Fatal("a refusal came with claims")
			}
		} else if problem := secondOpinion(raw); problem != "" {
			t.Fatalf("accepted: %s\n%s\n%s", problem, header, payload)
		} else if !json.Valid(claims.At("iss")) || claims.Issuer != soundPolicy().Issuer {
			t.Fatalf("claims of another token: %+v", claims)
		}
		from := int(at) % len(raw)
		edited := raw[:from] + text + raw[min(from+int(cut), len(raw)):]
		if _, refusal := judge(edited, soundPolicy(), finding(rightKey())); refusal != nil {
			checkRefusal(t, refusal)
		} else if edited != raw {
			t.Fatalf("accepted, but nobody signed it:\n%s\nwhat was signed:\n%s", edited, raw)
		}
	})
}

// signedSeeds are headers and payloads: sound ones, each member of theirs with
// values of every kind, and all sorts of texts in their place.
func signedSeeds() [][2]string {
	seeds := [][2]string{{soundHeader.String(), soundClaims.String()}, {soundHeader.String(), typicalClaims().String()}}
	values := []string{
		"", "null", "true", "0", "1e999", "1800000000", "1800003600.9", `""`, `" "`, `"\u0000"`, `"9999999999"`, "[null]", `["api.unloc.app",5]`, `{"a":[{"b":null}]}`,
		`"none"`, `"PS256"`, `"at+jwt"`, `"ID"`,
	}
	for _, header := range []string{"alg", "kid", "typ", "crit", "b64", "zip", "enc", "cty", "jwk", "jku", "x5c", "x5u", "x"} {
		for _, value := range values {
			seeds = append(seeds, [2]string{soundHeader.with(header, value).String(), soundClaims.String()})
		}
	}
	for _, claim := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "permissions", "cnf", "events", "nonce", "at_hash", "token_use", "typ", "scope", "iss\x00", "ѕub", "x"} {
		for _, value := range values {
			seeds = append(seeds, [2]string{soundHeader.String(), soundClaims.with(claim, value).String()})
		}
	}
	for _, text := range []string{
		"", " ", "null", "[]", `"x"`, "1", "{}", "{} {}", "\ufeff{}", "{\x00}\x00", "{\"a\":\"\xff\"}", `{"a":"\ud800"}`, `{"a":1,"\u0061":2}`, `{"a":1,"A":2}`,
		twice(soundHeader, `"ALG":"none"`), twice(soundClaims, `"SUB":"x"`), nested("[", "]", 17), nested(`{"a":`, "}", 17), sign(soundHeader, soundClaims),
	} {
		seeds = append(seeds, [2]string{text, soundClaims.String()}, [2]string{soundHeader.String(), text})
	}
	return seeds
}

// edit replaces cut bytes of a text.
type edit struct {
	at, cut uint16
	text    string
}

func editSeeds() []edit {
	const whole = 1<<16 - 1
	sound := sign(soundHeader, soundClaims)
	body, signature := uint16(strings.Index(sound, ".")+1), uint16(strings.LastIndex(sound, ".")+1)
	end, none := uint16(len(sound)-1), b64([]byte(`{"alg":"none"}`))
	edits := []edit{
		{0, whole, ""}, {0, whole, "...."}, {0, whole, "a.b.c.d.e"}, {0, whole, none + ".e30."}, {0, whole, `{"payload":"e30","signatures":[]}`}, {0, whole, "ory_at_abc"},
		{0, body - 1, none}, {0, 0, "Bearer "}, {body, signature - 1 - body, ""}, {body, signature - 1 - body, "e30"}, {signature, whole, ""}, {signature, whole, "AAAA"},
	}
	for _, at := range []uint16{0, 1, body - 1, body, signature - 1, signature, end} {
		for _, text := range []string{"", "A", "=", "\n", "%3D", ".", "+", " ", "\x00", "é"} {
			edits = append(edits, edit{at, 0, text}, edit{at, 1, text})
		}
	}
	return edits
}

// secondOpinion reads a token with plain decoders and the arithmetic of the
// standard library, and says what speaks against it.
func secondOpinion(raw string) string {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 || len(raw) > grants.MaxSubjectTokenBytes {
		return "not three parts of at most 32 KiB"
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil || b64(decoded[i]) != part {
			return "a part that does not encode to itself"
		}
	}
	var header, claims map[string]any
	if decodeNumbers(decoded[0], &header) != nil || decodeNumbers(decoded[1], &claims) != nil {
		return "not JSON objects"
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if header["alg"] != "RS256" || rsa.VerifyPKCS1v15(&rsaKey().PublicKey, crypto.SHA256, digest[:], decoded[2]) != nil {
		return "no signature by the key under the policy's algorithm"
	}
	for _, name := range []string{"crit", "b64", "zip", "enc", "cty"} {
		if _, ok := header[name]; ok {
			return "header " + name
		}
	}
	return opinionOfClaims(claims)
}

// decodeNumbers keeps numbers as text: 1e999 is sound JSON, and no float64.
func decodeNumbers(data []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode(v)
}

// seconds gives a NumericDate; NaN, which no comparison holds for, when there
// is none.
func seconds(value any) float64 {
	number, _ := value.(json.Number)
	if date, err := number.Float64(); err == nil {
		return date
	}
	return math.NaN()
}

func opinionOfClaims(claims map[string]any) string {
	audience, isList := claims["aud"].([]any)
	if !isList {
		audience = []any{claims["aud"]}
	}
	clock := float64(now.UnixNano()) / 1e9
	exp, iat, nbf := seconds(claims["exp"]), seconds(claims["iat"]), seconds(claims["nbf"])
	sub, _ := claims["sub"].(string)
	folded := map[string]bool{}
	for name := range claims {
		folded[strings.ToLower(name)] = true
	}
	switch _, isLogout := claims["events"]; {
	case claims["iss"] != soundPolicy().Issuer:
		return "iss"
	case !slices.Contains(audience, any("api.unloc.app")) && !slices.Contains(audience, any("api.cambio.example")):
		return "aud"
	case !(exp > clock):
		return "exp"
	case !(iat >= 1 && iat < clock+61 && exp > iat && exp-iat < 24*60*60+1):
		return "iat"
	case claims["nbf"] != nil && !(nbf < clock+61):
		return "nbf"
	case strings.TrimSpace(sub) == "" || len(sub) > 255:
		return "sub"
	case isLogout || claims["nonce"] != nil || claims["cnf"] != nil || claims["typ"] == "ID":
		return "another kind of token"
	case len(folded) != len(claims):
		return "names that differ by case"
	}
	return ""
}

// contractReasons are those that a subject token can be refused for here.
func contractReasons() []grants.Reason {
	return []grants.Reason{
		grants.Malformed, grants.TooLarge, grants.AlgNotAllowed, grants.HeaderNotAllowed, grants.TypNotAllowed, grants.IssuerUnknown, grants.KeyNotFound,
		grants.KeyAmbiguous, grants.KeyUnusable, grants.SignatureInvalid, grants.AudienceMismatch, grants.TokenExpired, grants.TokenNotYetValid,
		grants.LifetimeTooLong, grants.ClaimMissing, grants.ClaimInvalid, grants.WrongTokenKind,
	}
}

// checkRefusal: it has a reason of the contract, and texts that can be shown.
func checkRefusal(t *testing.T, refusal *grants.Refusal) {
	t.Helper()
	if refusal.Code != grants.InvalidRequest || !slices.Contains(contractReasons(), refusal.Reason) {
		t.Fatalf("code %q, reason %q", refusal.Code, refusal.Reason)
	}
	const longest = 4 << 10
	for name, text := range map[string]string{
		"Error": refusal.Error(), "Description": refusal.Description, "Expected": refusal.Expected, "Found": refusal.Found,
	} {
		if text == "" || len(text) > longest || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%s is %q", name, text)
		}
	}
}
