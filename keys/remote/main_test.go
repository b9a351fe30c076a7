package remote

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"github.com/cambio-oauth/cambio/grants/assertion"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// must takes the value of a call that cannot fail.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func ecKey(curve elliptic.Curve) *ecdsa.PrivateKey {
	return must(ecdsa.GenerateKey(curve, rand.Reader))
}

func edKey() ed25519.PublicKey {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	return must(public, err)
}

// rsaKey makes a public key of exactly so many bits. Its modulus is a product
// of two numbers of which nobody knows the factors, which no test here needs.
func rsaKey(bits int) *rsa.PublicKey {
	random := func(bits int) *big.Int { // with the two topmost bits set, so that products have all their bits
		n := must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits))))
		return n.SetBit(n, bits-1, 1).SetBit(n, bits-2, 1).SetBit(n, 0, 1)
	}
	for {
		n := random(bits / 2)
		n.Mul(n, random(bits-bits/2))
		if weakness(n) == "" {
			return &rsa.PublicKey{N: n, E: publicExponent}
		}
	}
}

// jwk writes a key as a JWK with further members, or without those that are
// nil.
func jwk(public crypto.PublicKey, members map[string]any) map[string]any {
	key := map[string]any{}
	if large, ok := public.(*rsa.PublicKey); ok {
		key["kty"], key["n"] = "RSA", b64(large.N.Bytes())
		key["e"] = b64(big.NewInt(int64(large.E)).Bytes())
	} else {
		data := must(json.Marshal(jose.JSONWebKey{Key: public}))
		must(0, json.Unmarshal(data, &key))
	}
	for name, value := range members {
		key[name] = value
	}
	return key
}

func jwks(keys ...any) []byte {
	if keys == nil {
		keys = []any{}
	}
	return must(json.Marshal(map[string]any{"keys": keys}))
}

// named is a JWKS of new EC keys with these key ids.
func named(ids ...string) []byte {
	keys := []any{}
	for _, id := range ids {
		keys = append(keys, jwk(ecKey(elliptic.P256()).Public(), map[string]any{"kid": id}))
	}
	return jwks(keys...)
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func spki(public crypto.PublicKey) string {
	return block("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(public)))
}

// certify makes a certificate for 127.0.0.1, signed by itself.
func certify(key *ecdsa.PrivateKey, notAfter time.Time) []byte {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: notAfter.Add(-time.Hour), NotAfter: notAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	return must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
}

// wantWord requires a *FetchError with one word, and nothing else in its text.
func wantWord(t *testing.T, err error, word string) {
	t.Helper()
	var failure *FetchError
	if !errors.As(err, &failure) || failure.Word != word {
		t.Fatalf("got %v, want the word %s", err, word)
	}
	if text := err.Error(); text != "the keys cannot be fetched: "+word {
		t.Errorf("the text %q says more than its word", text)
	}
}

func ids(keys []assertion.Key) string {
	list := []string{}
	for _, key := range keys {
		list = append(list, key.ID)
	}
	return strings.Join(list, " ")
}

func timeOf(year, month int) time.Time {
	return time.Date(year, time.Month(month), 1, 0, 0, 0, 0, time.UTC)
}

func marshalPKCS1(key *rsa.PublicKey) []byte { return x509.MarshalPKCS1PublicKey(key) }

func derOf(text string) []byte {
	decoded, _ := pem.Decode([]byte(text))
	return decoded.Bytes
}
