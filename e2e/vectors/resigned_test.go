package vectors_test

import (
	"crypto/elliptic"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/keys/remote"
)

// badKey is why good tokens of a group's key are refused, and what the parser
// says of the key.
type badKey struct {
	reason grants.Reason
	says   string
}

const notForSignatures = "alg is not a signature algorithm for this type of key" // ES521, ES224, RSA-OAEP and the like

// badKeys names groups by file and first vector. key_unusable: the parser keeps
// the key, with a problem; key_not_found: it drops the key, with a warning.
var badKeys = map[string]badKey{
	signatureFile + " 347": {grants.KeyUnusable, notForSignatures},
	signatureFile + " 351": {grants.KeyUnusable, notForSignatures},
	signatureFile + " 353": {grants.KeyUnusable, "use is not sig"},
	signatureFile + " 354": {grants.KeyUnusable, "use is not sig"},
	signatureFile + " 355": {grants.KeyUnusable, "key_ops does not contain verify"},
	signatureFile + " 356": {grants.KeyUnusable, "key_ops does not contain verify"},

	cryptoFile + " 46": {grants.KeyUnusable, "RSA modulus was made by a broken generator (CVE-2017-15361)"},
	cryptoFile + " 67": {grants.KeyUnusable, notForSignatures},

	keyFile + " 6":  {grants.KeyUnusable, notForSignatures},
	keyFile + " 7":  {grants.KeyUnusable, "RSA modulus was made by a broken generator (CVE-2017-15361)"},
	keyFile + " 8":  {grants.KeyUnusable, "RSA modulus of 1024 bits, expected 2048 to 4096"},
	keyFile + " 9":  {grants.KeyUnusable, "RSA exponent is not 65537"},
	keyFile + " 19": {grants.KeyUnusable, notForSignatures},
	keyFile + " 20": {grants.KeyUnusable, notForSignatures},
	keyFile + " 21": {grants.KeyUnusable, "use is not sig"},
	keyFile + " 22": {grants.KeyNotFound, "the coordinates are not a point of the curve"},
	keyFile + " 23": {grants.KeyNotFound, "x does not have 48 bytes"},
	keyFile + " 24": {grants.KeyNotFound, "n is not base64url"},

	encryptionFile + " 33":  {grants.KeyUnusable, notForSignatures},
	encryptionFile + " 58":  {grants.KeyUnusable, notForSignatures},
	encryptionFile + " 60":  {grants.KeyUnusable, notForSignatures},
	encryptionFile + " 62":  {grants.KeyUnusable, notForSignatures},
	encryptionFile + " 76":  {grants.KeyUnusable, notForSignatures},
	encryptionFile + " 82":  {grants.KeyUnusable, notForSignatures},
	encryptionFile + " 88":  {grants.KeyUnusable, notForSignatures},
	encryptionFile + " 100": {grants.KeyUnusable, notForSignatures},
	encryptionFile + " 110": {grants.KeyUnusable, notForSignatures},
	encryptionFile + " 111": {grants.KeyUnusable, notForSignatures},
	encryptionFile + " 112": {grants.KeyUnusable, notForSignatures},
	encryptionFile + " 121": {grants.KeyUnusable, notForSignatures},
	encryptionFile + " 128": {grants.KeyUnusable, notForSignatures},
	encryptionFile + " 129": {grants.KeyUnusable, notForSignatures},
	encryptionFile + " 130": {grants.KeyUnusable, notForSignatures},
	encryptionFile + " 131": {grants.KeyUnusable, notForSignatures},
}

// A good token is accepted from every group whose key is good, and its
// signature is as good when the key is not.
func TestGoodTokensOfTheVectorsKeys(t *testing.T) {
	taken, seen := 0, map[string]bool{}
	for _, f := range forges(t) {
		seen[f.name] = true
		want := badKeys[f.name]
		if got := f.judge(strings.Join(f.base[:], ".")); got != want.reason {
			t.Errorf("%s, %s: %s, want %s", f.name, f.algorithm, said(got), said(want.reason))
		} else if got == accepted {
			taken++
		}
		if says := saidOf(t, f); says != want.says {
			t.Errorf("%s: the parser says %q, want %q", f.name, says, want.says)
		}
	}
	for name := range badKeys {
		if !seen[name] {
			t.Errorf("%s has a reason and no private key", name)
		}
	}
	t.Logf("%d groups with a private key, %d with a good one", len(seen), taken)
}

// saidOf gives the problem of the only key of a document or, when it was
// dropped, what was warned of.
func saidOf(t *testing.T, f *forge) string {
	t.Helper()
	read := must(remote.Parse(f.document, remote.FormatAuto))
	if len(read.Keys) == 1 {
		return read.Keys[0].Problem
	}
	warnings := aboutKeys(read.Warnings)
	if len(read.Keys) > 0 || len(warnings) != 1 || warnings[0].Code != remote.WarnUnreadableKey {
		t.Fatalf("%s: %+v", f.name, read)
	}
	_, detail, _ := strings.Cut(warnings[0].Detail, ": ")
	return detail
}

// The product's default policy takes the RS256 keys among them and no others.
func TestDefaultPolicyOfTheVectorsKeys(t *testing.T) {
	for _, f := range goodForges(t) {
		policy := *f.policy
		policy.Algorithms = []string{"RS256"}
		f.policy = &policy
		want := grants.AlgNotAllowed
		if f.algorithm == "RS256" {
			want = accepted
		}
		if got := f.judge(strings.Join(f.base[:], ".")); got != want {
			t.Errorf("%s, %s: %s, want %s", f.name, f.algorithm, said(got), said(want))
		}
	}
}

// RFC 8725 §3.1: a signature says nothing under another name.
func TestAlgorithmsOfTheVectorsKeysCannotBeSwapped(t *testing.T) {
	isRSA := func(algorithm string) bool { return algorithm[:2] == "RS" || algorithm[:2] == "PS" }
	for _, f := range goodForges(t) {
		silent := *f // whose JWK names no algorithm
		silent.document = withoutMember(f.document, "alg")
		silent.keys = keysOf(t, silent.document)
		if got := silent.judge(strings.Join(f.base[:], ".")); got != accepted {
			t.Errorf("%s without alg: %s", f.name, said(got))
		}
		for _, other := range f.policy.Algorithms {
			if other == f.algorithm {
				continue
			}
			raw := encode(f.header.with("alg", quote(other)).String()) + "." + f.base[1] + "." + f.base[2]
			if got := f.judge(raw); got != grants.KeyUnusable {
				t.Errorf("%s, %s said to be %s: %s", f.name, f.algorithm, other, said(got))
			}
			want := grants.KeyUnusable
			if isRSA(other) && isRSA(f.algorithm) {
				want = grants.SignatureInvalid // the key would fit
			}
			if got := silent.judge(raw); got != want {
				t.Errorf("%s without alg, %s said to be %s: %s, want %s", f.name, f.algorithm, other, said(got), said(want))
			}
		}
	}
}

// No bit of a token can be flipped.
func TestEveryBitOfAToken(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range goodForges(t) {
		if seen[f.algorithm] {
			continue // one key of each algorithm will do
		}
		seen[f.algorithm] = true
		flips := 0
		for part, text := range f.base {
			data := []byte(decode(text))
			for bit := range len(data) * 8 {
				data[bit/8] ^= 1 << (bit % 8)
				altered := f.base
				altered[part] = encode(string(data))
				data[bit/8] ^= 1 << (bit % 8)
				flips++
				got := f.judge(strings.Join(altered[:], "."))
				if got == accepted || part == 2 && got != grants.SignatureInvalid {
					t.Errorf("%s: bit %d of part %d flipped: %s", f.name, bit, part, said(got))
				}
			}
		}
		t.Logf("%s: %d flips", f.algorithm, flips)
	}
}

// An ECDSA signature has a twin, r and n - s, that is as good: RFC 7518 §3.4 asks
// for no choice between them. A token may therefore have two texts, and what is
// to be used once must be known by its jti.
func TestECDSASignaturesHaveTwins(t *testing.T) {
	f := firstForge(t, "ES256")
	signature := []byte(decode(f.base[2]))
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	twin := f.base[0] + "." + f.base[1] + "." + encode(string(signature))
	if got := f.judge(twin); got != accepted || twin == strings.Join(f.base[:], ".") {
		t.Error(said(got))
	}
}

// edited gives a set whose keys were each altered.
func edited(document []byte, alter func(jwk map[string]any)) []byte {
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	mustDo(json.Unmarshal(document, &set))
	for _, key := range set.Keys {
		alter(key)
	}
	return must(json.Marshal(set))
}

func withoutMember(document []byte, name string) []byte {
	return edited(document, func(jwk map[string]any) { delete(jwk, name) })
}
