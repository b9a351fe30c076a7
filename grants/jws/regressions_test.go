package jws_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"
)

// RFC 7518 §3.5: the salt is as long as the hash. go-jose verifies with
// PSSSaltLengthAuto; Wycheproof json_web_signature 281 to 286.
func TestSaltOfAnotherLength(t *testing.T) {
	for _, length := range []int{0, 20, 48, rsa.PSSSaltLengthAuto} {
		signed := b64(`{"alg":"PS256"}`) + "." + b64(`{}`)
		digest := sha256.Sum256([]byte(signed))
		signature := must(rsa.SignPSS(rand.Reader, rsaKey(), crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: length}))
		wantSignatureError(t, parse(t, signed+"."+b64(string(signature))), "PS256", &rsaKey().PublicKey)
	}
}

// Nobody reads jwk and x5c: go-jose does, on the way to the signature, and
// refuses good ones for what stands there.
func TestHeadersThatNobodyShouldReadAreRead(t *testing.T) {
	for _, member := range []string{`"x5c":["AAAA"]`, `"jwk":{"kty":"X"}`, `"nonce":5`} {
		if err := parse(t, signRS256(`{"alg":"RS256",`+member+`}`, `{}`)).Verify("RS256", &rsaKey().PublicKey); err != nil {
			t.Errorf("%s: %v, want it ignored (or refused by Parse, as header_not_allowed)", member, err)
		}
	}
}

// strings.ToLower turns U+0130 into "i": a media type has ASCII letters only.
func TestTypeIsFoldedInASCIIOnly(t *testing.T) {
	if got := parse(t, compact(`{"typ":"appl\u0130cation/at+jwt"}`, `{}`)).Type; got == "at+jwt" {
		t.Errorf("got %q", got)
	}
}

// A byte slice is no secret here: there is no HMAC to verify with it.
func TestBytesVerifyAsASecret(t *testing.T) {
	signed := b64(`{"alg":"HS256"}`) + "." + b64(`{}`)
	mac := hmac.New(sha256.New, []byte("a secret of thirty-two characters"))
	mac.Write([]byte(signed))
	wantSignatureError(t, parse(t, signed+"."+b64(string(mac.Sum(nil)))), "HS256", []byte("a secret of thirty-two characters"))
}
