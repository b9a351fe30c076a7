package vectors_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/registry"
)

// privateJWK is a private key of a group.
type privateJWK struct {
	Type      string    `json:"kty"`
	Curve     string    `json:"crv"`
	Algorithm string    `json:"alg"`
	ID        string    `json:"kid"`
	N         base64Int `json:"n"`
	E         base64Int `json:"e"`
	D         base64Int `json:"d"`
	P         base64Int `json:"p"`
	Q         base64Int `json:"q"`
}

// base64Int is Base64urlUInt (RFC 7518 §2).
type base64Int big.Int

func (i *base64Int) UnmarshalText(text []byte) error {
	data, err := base64.RawURLEncoding.DecodeString(string(text))
	i.int().SetBytes(data)
	return err
}

func (i *base64Int) int() *big.Int { return (*big.Int)(i) }

// signingKey gives the first private key of a JWK or a JWK set, or nil when all
// of it is shared secrets.
func signingKey(t *testing.T, data []byte) *privateJWK {
	t.Helper()
	var set struct {
		Keys []privateJWK `json:"keys"`
	}
	if err := json.Unmarshal(asSet(data), &set); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(set.Keys, func(key privateJWK) bool { return key.D.int().Sign() != 0 })
	if i < 0 {
		return nil
	}
	return &set.Keys[i]
}

// algorithm gives the one to sign with: the key's own when it is for
// signatures, the usual one of its type otherwise.
func (k *privateJWK) algorithm() string {
	if slices.Contains(registry.Algorithms(), k.Algorithm) {
		return k.Algorithm
	}
	return map[string]string{"RSA": "RS256", "EC P-256": "ES256", "EC P-384": "ES384", "EC P-521": "ES512"}[strings.TrimSpace(k.Type+" "+k.Curve)]
}

// sign signs by hand, so that the library under the verifier is not what its
// tests rest on, and so that keys no library would sign with can be used.
func (k *privateJWK) sign(algorithm, signed string) []byte {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[algorithm[2:]]
	h := hash.New()
	h.Write([]byte(signed))
	digest := h.Sum(nil)
	switch algorithm[:2] {
	case "RS":
		return k.signPKCS1(hash, digest)
	case "PS":
		return must(rsa.SignPSS(rand.Reader, k.rsa(), hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
	}
	r, s, err := ecdsa.Sign(rand.Reader, k.ecdsa(algorithm), digest)
	mustDo(err)
	size := halfOf(algorithm)
	return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
}

func (k *privateJWK) rsa() *rsa.PrivateKey {
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: k.N.int(), E: int(k.E.int().Int64())}, D: k.D.int(), Primes: []*big.Int{k.P.int(), k.Q.int()}}
	key.Precompute()
	return key
}

// ecdsa takes the curve from the algorithm and the point from nowhere: some
// groups have a wrong one.
func (k *privateJWK) ecdsa(algorithm string) *ecdsa.PrivateKey {
	curve := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[algorithm]
	return must(ecdsa.ParseRawPrivateKey(curve, k.D.int().FillBytes(make([]byte, halfOf(algorithm)))))
}

// halfOf gives the bytes of r and of s (RFC 7518 §3.4).
func halfOf(algorithm string) int {
	return map[string]int{"ES256": 32, "ES384": 48, "ES512": 66}[algorithm]
}

// signPKCS1 is RFC 8017 §8.2.1, with the DigestInfo of §9.2 note 1.
func (k *privateJWK) signPKCS1(hash crypto.Hash, digest []byte) []byte {
	number := map[crypto.Hash]byte{crypto.SHA256: 1, crypto.SHA384: 2, crypto.SHA512: 3}[hash]
	size := byte(hash.Size())
	info := slices.Concat([]byte{0x30, 17 + size, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, number, 5, 0, 4, size}, digest)
	length := (k.N.int().BitLen() + 7) / 8
	padding := slices.Repeat([]byte{0xff}, length-3-len(info))
	message := new(big.Int).SetBytes(slices.Concat([]byte{0, 1}, padding, []byte{0}, info))
	return message.Exp(message, k.D.int(), k.N.int()).FillBytes(make([]byte, length))
}

// members is a JSON object whose values are written as they stand.
type members map[string]string

func (m members) String() string {
	raw := map[string]json.RawMessage{}
	for name, value := range m {
		raw[name] = json.RawMessage(value)
	}
	return string(must(json.Marshal(raw)))
}

// with gives a copy with some members set; the empty value takes one away.
func (m members) with(pairs ...string) members {
	m = maps.Clone(m)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
		if pairs[i+1] == "" {
			delete(m, pairs[i])
		}
	}
	return m
}

// forge makes tokens with the private key of one group.
type forge struct {
	name      string // file and first vector of the group
	key       *privateJWK
	algorithm string
	document  []byte
	keys      assertion.Keys
	policy    *assertion.Policy

	header, claims members   // of a token that is good
	base           [3]string // that token
}

// filled adds what gives the base64url of a part a character that the standard
// alphabet does not have, and unused bits.
func filled(m members) members {
	filler := "?????"
	for len(m.with("filler", `"`+filler+`"`).String())%3 == 0 {
		filler += "?"
	}
	return m.with("filler", `"`+filler+`"`)
}

func newForge(t *testing.T, file string, group group) *forge {
	t.Helper()
	key := signingKey(t, group.Private)
	if key == nil {
		return nil
	}
	f := &forge{name: fmt.Sprintf("%s %d", file, group.first()), key: key, algorithm: key.algorithm(), document: group.published()}
	f.keys = keysOf(t, f.document)
	f.policy = &assertion.Policy{Issuer: "https://acme.example/", Audiences: []string{"api.cambio.example"}, Algorithms: registry.Algorithms()}
	f.header = filled(members{"alg": quote(f.algorithm), "kid": quote(key.ID), "typ": `"JWT"`})
	for round := 0; !strings.ContainsAny(f.base[2], "-_"); round++ { // nearly every signature has them
		f.claims = filled(members{
			"iss": `"https://acme.example/"`, "aud": `["api.cambio.example"]`, "sub": `"user-1"`, "jti": quote(fmt.Sprint("token-", round)),
			"iat": "1799999990", "exp": "1800003600", "permissions": `["lockHolder.identifier:NO.919424508.east"]`,
		})
		f.base = [3]string(strings.Split(f.signed(f.header.String(), f.claims.String()), "."))
	}
	return f
}

// forges gives one for each group that has a private key.
func forges(t *testing.T) []*forge {
	t.Helper()
	var all []*forge
	for _, file := range joseFiles() {
		for _, group := range readSuite(t, file).Groups {
			if f := newForge(t, file, group); f != nil {
				all = append(all, f)
			}
		}
	}
	return all
}

// goodForges gives those whose keys are good ones.
func goodForges(t *testing.T) []*forge {
	t.Helper()
	return slices.DeleteFunc(forges(t), func(f *forge) bool { return badKeys[f.name].reason != accepted })
}

// firstForge gives the first good one of an algorithm.
func firstForge(t *testing.T, algorithm string) *forge {
	t.Helper()
	all := goodForges(t)
	return all[slices.IndexFunc(all, func(f *forge) bool { return f.algorithm == algorithm })]
}

// signed gives a token of whatever stands in header and payload.
func (f *forge) signed(header, payload string) string {
	text := encode(header) + "." + encode(payload)
	return text + "." + encode(string(f.key.sign(f.algorithm, text)))
}

// judge is what the token endpoint does with a subject token.
func (f *forge) judge(raw string) grants.Reason {
	token, refusal := assertion.Parse(raw)
	if refusal != nil {
		return reasonOf(refusal)
	}
	claims, refusal := verifier(f.keys).Verify(context.Background(), token, f.policy)
	if (claims == nil) != (refusal != nil) {
		panic("claims with a refusal, or neither")
	}
	return reasonOf(refusal)
}

func encode(data string) string { return base64.RawURLEncoding.EncodeToString([]byte(data)) }
func decode(text string) string {
	return string(must(base64.RawURLEncoding.DecodeString(text)))
}
func quote(text string) string { return string(must(json.Marshal(text))) }
