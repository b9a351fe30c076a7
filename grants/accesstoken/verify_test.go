package accesstoken_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants/accesstoken"
)

const (
	header = `{"alg":"RS256","kid":"k1","typ":"at+jwt"}`
	claims = `{"iss":"https://cambio.example","sub":"s","aud":"a","exp":1800003600,"iat":1800000000,"jti":"id","client_id":"c","scope":"a","gen":[0,0]}`
)

// replace changes one thing of the sound token, and fails if it did not.
func replace(t *testing.T, text, from, to string) string {
	t.Helper()
	if !strings.Contains(text, from) {
		t.Fatalf("%s does not hold %s", text, from)
	}
	return strings.Replace(text, from, to, 1)
}

// wantInvalid asserts ErrInvalid, with a part of what the log learns.
func wantInvalid(t *testing.T, v *accesstoken.Verifier, raw, text string) {
	t.Helper()
	got, err := v.Verify(t.Context(), raw)
	if !errors.Is(err, accesstoken.ErrInvalid) || got != nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got %+v, %v, want ErrInvalid: …%s…", got, err, text)
	}
}

func TestTheSoundTokenVerifies(t *testing.T) {
	got, err := verifier().Verify(t.Context(), signText(ourKey(), header, claims))
	if err != nil || got.ID != "id" || got.Subject != "s" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestTokensThatAreNotLive(t *testing.T) {
	for _, test := range []struct{ name, part, from, to, text string }{
		{"typ JWT: another kind under our key (RFC 9068 §4)", "header", "at+jwt", "JWT", `typ "jwt"`},
		{"no typ", "header", `,"typ":"at+jwt"`, "", `typ ""`},
		{"typ logout+jwt", "header", "at+jwt", "logout+jwt", `typ "logout+jwt"`},
		{"typ at+jwt with a space", "header", "at+jwt", "at+jwt ", `typ "at+jwt "`},
		{"no kid", "header", `"kid":"k1",`, "", `kid ""`},
		{"kid null", "header", `"k1"`, "null", `kid ""`},
		{"an unknown kid", "header", `"k1"`, `"k2"`, "no such key"},
		{"kid in another case", "header", `"k1"`, `"K1"`, "no such key"},
		{"alg none", "header", "RS256", "none", "signature does not verify"},
		{"alg PS256 with our RS256 key", "header", "RS256", "PS256", "signature does not verify"},
		{"alg HS256", "header", "RS256", "HS256", "signature does not verify"},
		{"crit", "header", `"alg"`, `"crit":[],"alg"`, "not allowed: crit"},
		{"another issuer", "claims", issuer, "https://other.example", "of another issuer"},
		{"our issuer with a slash", "claims", issuer, issuer + "/", "of another issuer"},
		{"no issuer", "claims", `"iss":"https://cambio.example",`, "", "of another issuer"},
		{"expired a second ago", "claims", "1800003600", "1799999999", "expired"},
		{"expires this second", "claims", "1800003600", "1800000000", "expired"},
		{"no exp", "claims", `"exp":1800003600,`, "", "expired"},
		{"exp null", "claims", "1800003600", "null", "expired"},
		{"exp a string", "claims", "1800003600", `"1800003600"`, "cannot unmarshal string"},
		{"exp a fraction", "claims", "1800003600", "1800003600.5", "cannot unmarshal number"},
		{"exp past 63 bits", "claims", "1800003600", "9223372036854775808", "cannot unmarshal number"},
		{"no jti, by which it would be revoked", "claims", `"jti":"id",`, "", "expired or of another issuer"},
		{"a claim twice", "claims", `"sub":"s"`, `"sub":"s","SUB":"t"`, "twice"},
	} {
		t.Run(test.name, func(t *testing.T) {
			head, body := header, claims
			if test.part == "header" {
				head = replace(t, header, test.from, test.to)
			} else {
				body = replace(t, claims, test.from, test.to)
			}
			wantInvalid(t, verifier(), signText(ourKey(), head, body), test.text)
		})
	}
	t.Run("expires in a second", func(t *testing.T) {
		if _, err := verifier().Verify(t.Context(), signText(ourKey(), header, replace(t, claims, "1800003600", "1800000001"))); err != nil {
			t.Error(err)
		}
	})
	t.Run("typ is a media type: case and prefix do not matter (RFC 7515 §4.1.9)", func(t *testing.T) {
		if _, err := verifier().Verify(t.Context(), signText(ourKey(), replace(t, header, "at+jwt", "application/AT+JWT"), claims)); err != nil {
			t.Error(err)
		}
	})
}

func TestTextsThatAreNoTokens(t *testing.T) {
	parts := strings.Split(signText(ourKey(), header, claims), ".")
	otherParts := strings.Split(signText(ourKey(), header, replace(t, claims, `"s"`, `"t"`)), ".")
	for _, test := range []struct{ name, raw, text string }{
		{"nothing", "", "1 parts"},
		{"an opaque token", "ory_at_abc.def", "2 parts"},
		{"signed by another key", signText(otherKey(), header, claims), "signature does not verify"},
		{"without signature", parts[0] + "." + parts[1] + ".", "signature does not verify"},
		{"with the signature of another token", parts[0] + "." + parts[1] + "." + otherParts[2], "signature does not verify"},
		{"with a line feed (F8)", strings.Join(parts, ".") + "\n", "not canonical base64url"},
		{"with padding (F8)", strings.Join(parts, ".") + "==", "not canonical base64url"},
		{"with a scheme before", "Bearer " + strings.Join(parts, "."), "not canonical base64url"},
		{"64 KiB and a byte", strings.Repeat("a", 64<<10+1), "too large"},
		{"a million dots", strings.Repeat(".", 1_000_000), "too large"},
	} {
		t.Run(test.name, func(t *testing.T) { wantInvalid(t, verifier(), test.raw, test.text) })
	}
}

// F8, INT-12: a token has one text. A 256-byte signature leaves four unused
// bits: fifteen other texts stand for the same bytes.
func TestUnusedBitsOfTheSignature(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	raw := signText(ourKey(), header, claims)
	last := strings.IndexByte(alphabet, raw[len(raw)-1])
	if last%16 != 0 {
		t.Fatalf("%q has no unused bits", raw[len(raw)-1:])
	}
	for bits := 1; bits < 16; bits++ {
		wantInvalid(t, verifier(), raw[:len(raw)-1]+string(alphabet[last|bits]), "not canonical base64url")
	}
}

// RFC 8725 §2.1: the public half of our key is published, and is no secret.
func TestOurPublicKeyIsNoSecret(t *testing.T) {
	secret, err := x509.MarshalPKIXPublicKey(&ourKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	signed := b64([]byte(replace(t, header, "RS256", "HS256"))) + "." + b64([]byte(claims))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	wantInvalid(t, verifier(), signed+"."+b64(mac.Sum(nil)), "signature does not verify")
}

// INT-10: a database that fails must not turn into active:false.
func TestALookUpThatFailsIsNoVerdict(t *testing.T) {
	down := errors.New("connection refused")
	keys := &publicKeys{err: down}
	v := verifier()
	v.Keys = keys
	got, err := v.Verify(t.Context(), signText(ourKey(), header, claims))
	if !errors.Is(err, down) || errors.Is(err, accesstoken.ErrInvalid) || got != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if len(keys.asked) != 1 || keys.asked[0] != "k1" {
		t.Errorf("keys %q were asked for", keys.asked)
	}
	t.Run("garbage is not worth a look-up", func(t *testing.T) {
		keys.asked = nil
		wantInvalid(t, v, "a.b.c", "")
		wantInvalid(t, v, signText(ourKey(), replace(t, header, "at+jwt", "JWT"), claims), "typ")
		if keys.asked != nil {
			t.Errorf("keys %q were asked for", keys.asked)
		}
	})
}

func TestTheClockDecides(t *testing.T) {
	raw := signText(ourKey(), header, claims)
	for at, live := range map[time.Time]bool{
		time.Unix(1_800_003_599, 999_999_999): true, time.Unix(1_800_003_600, 0): false, time.Unix(1_800_003_600, 1): false,
	} {
		v := verifier()
		v.Now = func() time.Time { return at }
		if _, err := v.Verify(t.Context(), raw); (err == nil) != live {
			t.Errorf("at %v: %v", at, err)
		}
	}
}
