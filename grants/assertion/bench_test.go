package assertion_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants/assertion"
)

// typicalClaims are those of the Unloc guide's example and what else an
// identity provider adds, with lock holders for a token of 1.5 KB.
func typicalClaims() members {
	var permissions []string
	for i := range 12 {
		permissions = append(permissions, fmt.Sprintf(`"lockHolder.identifier:NO.91942450%d.east"`, i))
	}
	return soundClaims.with(
		"permissions", "["+strings.Join(permissions, ",")+"]", "azp", `"EXAMPLE_16ACharacterIdentity"`, "scope", `"openid email name"`,
		"jti", `"0198c5a2-6d1c-7a3b-9a51-3f1f0a6f6a10"`, "name", `"Jørgen Østlie"`, "https://acme.example/roles", `["driver","admin"]`, "email_verified", "true",
	)
}

// BenchmarkVerify holds all that is done about a token, keys found, against the
// arithmetic that nobody can leave out. "ratio" alternates both, so that what
// else the machine does touches them alike: it is to stay at or under 1.25.
func BenchmarkVerify(b *testing.B) {
	raw := sign(soundHeader, typicalClaims())
	dot := strings.LastIndexByte(raw, '.')
	signed, signature := []byte(raw[:dot]), must(base64.RawURLEncoding.DecodeString(raw[dot+1:]))
	found := []assertion.Key{rightKey()}
	verifier := &assertion.Verifier{
		Keys: assertion.KeysFunc(func(context.Context, assertion.KeyQuery) ([]assertion.Key, error) { return found, nil }),
		Now:  func() time.Time { return now },
	}
	policy := soundPolicy()
	bare := func() {
		digest := sha256.Sum256(signed)
		if err := rsa.VerifyPKCS1v15(&rsaKey().PublicKey, crypto.SHA256, digest[:], signature); err != nil {
			b.Fatal(err)
		}
	}
	whole := func() {
		token, refusal := assertion.Parse(raw)
		if refusal != nil {
			b.Fatal(refusal)
		}
		if _, refusal := verifier.Verify(context.Background(), token, policy); refusal != nil {
			b.Fatal(refusal)
		}
	}
	measure := func(name string, run func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				run()
			}
		})
	}
	measure("bare", bare)
	measure("whole", whole)
	b.Run("ratio", func(b *testing.B) {
		var spentBare, spentWhole time.Duration
		for b.Loop() {
			start := time.Now()
			bare()
			middle := time.Now()
			whole()
			spentBare, spentWhole = spentBare+middle.Sub(start), spentWhole+time.Since(middle)
		}
		b.ReportMetric(float64(spentWhole)/float64(spentBare), "whole/bare")
	})
}
