package vectors_test

import (
	"crypto/elliptic"
	"encoding/json"
	"io/fs"
	"math/big"
	"slices"
	"testing"

	"github.com/c2sp/wycheproof"

	"github.com/cambio-oauth/cambio/keys/remote"
)

// keyAgreement is a file of vectors for key agreement whose public keys are
// JWKs. It tells nothing of signatures, but holds points of every kind.
type keyAgreement struct {
	NumberOfTests int `json:"numberOfTests"`
	Groups        []struct {
		Tests []struct {
			ID     int             `json:"tcId"`
			Public json.RawMessage `json:"public"`
		} `json:"tests"`
	} `json:"testGroups"`
}

// The parser keeps the points that lie on a curve of ours, drops those that do
// not (CVE-2015-7940), and does not know other curves.
func TestPublicKeysOfKeyAgreement(t *testing.T) {
	for _, file := range []string{
		"ecdh_secp256k1_webcrypto_test.json", "ecdh_secp256r1_webcrypto_test.json", "ecdh_secp384r1_webcrypto_test.json",
		"ecdh_secp521r1_webcrypto_test.json", "x25519_jwk_test.json", "x448_jwk_test.json",
	} {
		t.Run(file, func(t *testing.T) {
			var vectors keyAgreement
			mustDo(json.Unmarshal(must(fs.ReadFile(wycheproof.TestVectors, file)), &vectors))
			run, kept := 0, 0
			for _, group := range vectors.Groups {
				for _, vector := range group.Tests {
					run++
					want := fateOf(vector.Public)
					got := readKey(t, vector.Public)
					if got == "" {
						kept++
					}
					if got != want {
						t.Errorf("%d: warned of %q, want %q: %s", vector.ID, got, want, vector.Public)
					}
				}
			}
			if run != vectors.NumberOfTests || run == 0 {
				t.Errorf("%d keys were read, the file says %d", run, vectors.NumberOfTests)
			}
			t.Logf("%d of %d keys read, %d kept", run, vectors.NumberOfTests, kept)
		})
	}
}

// fateOf gives the warning that a JWK deserves, or nothing when it is a good
// key.
func fateOf(jwk []byte) string {
	var members struct {
		Type  string    `json:"kty"`
		Curve string    `json:"crv"`
		X     base64Int `json:"x"`
		Y     base64Int `json:"y"`
	}
	mustDo(json.Unmarshal(jwk, &members))
	curve, ours := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[members.Curve]
	switch {
	case members.Type == "oct":
		return remote.WarnSymmetricKey
	case members.Type == "RSA": // without a modulus
		return remote.WarnUnreadableKey
	case members.Type != "EC" || !ours:
		return remote.WarnUnsupportedKey
	case !solves(curve.Params(), members.X.int(), members.Y.int()):
		return remote.WarnUnreadableKey
	}
	return ""
}

// solves tells whether y² = x³ - 3x + b, worked out here and not by the library
// that the parser asks. Upstream's flags would not do: it calls points invalid
// for key agreement that are good points of another curve.
func solves(curve *elliptic.CurveParams, x, y *big.Int) bool {
	right := new(big.Int).Exp(x, big.NewInt(3), nil)
	right.Sub(right, new(big.Int).Mul(x, big.NewInt(3))).Add(right, curve.B)
	left := new(big.Int).Mul(y, y)
	return x.Cmp(curve.P) < 0 && y.Cmp(curve.P) < 0 && left.Sub(left, right).Mod(left, curve.P).Sign() == 0
}

// readKey gives the warning about the only key of a document, or nothing when
// it is kept and usable.
func readKey(t *testing.T, jwk []byte) string {
	t.Helper()
	document, err := remote.Parse(asSet(jwk), remote.FormatAuto)
	if err != nil {
		t.Fatalf("%s: %v", jwk, err)
	}
	warnings := aboutKeys(document.Warnings)
	switch {
	case len(document.Keys) == 1 && document.Keys[0].Problem == "" && len(warnings) == 0:
		return ""
	case len(document.Keys) == 0 && len(warnings) == 1:
		return warnings[0].Code
	}
	t.Fatalf("%s: %+v", jwk, document)
	return ""
}

// aboutKeys leaves out what is said of a document as a whole.
func aboutKeys(warnings []remote.Warning) []remote.Warning {
	return slices.DeleteFunc(slices.Clone(warnings), func(w remote.Warning) bool {
		switch w.Code {
		case remote.WarnSingleKey, remote.WarnNoUsableKey, remote.WarnKeyWithoutID, remote.WarnKeyWithoutAlgorithm:
			return true
		}
		return false
	})
}
