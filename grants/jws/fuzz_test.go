package jws_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants/jws"
	"github.com/cambio-oauth/cambio/grants/strictjson"
)

// FuzzParse: an accepted text is the only spelling of what it says, and no
// text verifies with a key that did not sign it.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		compact(`{"alg":"RS256","kid":"k","typ":"application/at+jwt"}`, `{"iss":"a"}`), compact(`{"alg":"ES256"}`, `{}`), compact(`{"alg":"none"}`, `{}`),
		compact(`{"alg":"RS256","jwk":{"kty":"RSA"},"x5c":["AA=="]}`, `{}`), compact(`{"alg":"HS256","crit":[]}`, `{}`), compact(`{"alg":"EdDSA"} `, `{} `),
		"eyJhbGciOiJub25lIn0.e30.", "..", "....", `{"payload":"e30","signatures":[]}`,
		"eyJhbGciOiJFUzI1NiJ9." + rfcPayload + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		token, err := jws.ParseJWT(raw, limit)
		if err != nil {
			return
		}
		parts := strings.Split(raw, ".")
		if len(parts) != 3 || len(raw) > limit {
			t.Fatalf("%d parts, %d bytes", len(parts), len(raw))
		}
		for _, part := range parts {
			decoded, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil || base64.RawURLEncoding.EncodeToString(decoded) != part {
				t.Fatalf("%q is not the one spelling of %q (%v)", part, decoded, err)
			}
		}
		if base64.RawURLEncoding.EncodeToString(token.Payload) != parts[1] {
			t.Fatal("the payload is not the second part")
		}
		if err := strictjson.Check(token.Payload); err != nil {
			t.Fatal(err)
		}
		if len(token.KeyID) > jws.MaxKeyIDBytes {
			t.Fatalf("a kid of %d bytes", len(token.KeyID))
		}
		for _, key := range []any{&rsaKey().PublicKey, &ecKey().PublicKey} {
			if token.Verify(token.Algorithm, key) == nil {
				t.Fatal("verified with a key made just now")
			}
		}
	})
}
