package jws_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"sync"
	"testing"

	"github.com/cambio-oauth/cambio/grants/jws"
)

const limit = 32 << 10

var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func b64(data string) string { return base64.RawURLEncoding.EncodeToString([]byte(data)) }

// compact joins a header and a payload with some bytes for a signature.
func compact(header, payload string) string {
	return b64(header) + "." + b64(payload) + "." + b64("signature")
}

// signRS256 signs by hand, so that the library under the verifier is not what
// its tests rest on (RFC 7518 §3.3).
func signRS256(header, payload string) string {
	signed := b64(header) + "." + b64(payload)
	digest := sha256.Sum256([]byte(signed))
	return signed + "." + b64(string(must(rsa.SignPKCS1v15(rand.Reader, rsaKey(), crypto.SHA256, digest[:]))))
}

func parse(t *testing.T, raw string) *jws.Token {
	t.Helper()
	token, err := jws.ParseJWT(raw, limit)
	if err != nil {
		t.Fatalf("%.200s: %v", raw, err)
	}
	return token
}

// withUnusedBit sets an unused bit of the last character: the text changes,
// the bytes it stands for do not. It says no when there is no unused bit.
func withUnusedBit(part string) (string, bool) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(part)%4 == 0 {
		return part, false
	}
	last := strings.IndexByte(alphabet, part[len(part)-1])
	return part[:len(part)-1] + string(alphabet[last|1]), true
}
