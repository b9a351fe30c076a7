package registry_test

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

func TestPepperMatchesLiveSecretsOnly(t *testing.T) {
	pepper, other := registry.Pepper("pepper of 32 bytes, or so we say"), registry.Pepper("another one of 32 bytes, we say.")
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	right := pepper.Hash("right")
	for _, rule := range []struct {
		name   string
		stored []registry.ClientSecret
		want   bool
	}{
		{"the secret", []registry.ClientSecret{{Hash: right}}, true},
		{"one of several", []registry.ClientSecret{{Hash: pepper.Hash("old")}, {Hash: right}, {Hash: pepper.Hash("new")}}, true},
		{"one that ends later", []registry.ClientSecret{{Hash: right, ExpiresAt: now.Add(1)}}, true},
		{"one that ends now", []registry.ClientSecret{{Hash: right, ExpiresAt: now}}, false},
		{"one that ended", []registry.ClientSecret{{Hash: right, ExpiresAt: now.Add(-1)}}, false},
		{"one that ended, beside another that lives", []registry.ClientSecret{{Hash: right, ExpiresAt: now.Add(-1)}, {Hash: pepper.Hash("new")}}, false},
		{"one that ended, and lives on", []registry.ClientSecret{{Hash: right, ExpiresAt: now.Add(-1)}, {Hash: right}}, true},
		{"a client without secrets", nil, false},
		{"another secret", []registry.ClientSecret{{Hash: pepper.Hash("wrong")}}, false},
		{"the hash of no secret", []registry.ClientSecret{{Hash: pepper.Hash("")}}, false},
		{"an empty hash", []registry.ClientSecret{{Hash: []byte{}}}, false},
		{"no hash", []registry.ClientSecret{{}}, false},
		{"the secret itself", []registry.ClientSecret{{Hash: []byte("right")}}, false},
		{"half of the hash", []registry.ClientSecret{{Hash: right[:16]}}, false},
		{"the hash and more", []registry.ClientSecret{{Hash: append(bytes.Clone(right), 0)}}, false},
		{"the hash in hexadecimal", []registry.ClientSecret{{Hash: []byte(hex.EncodeToString(right))}}, false},
		{"the hash under another pepper", []registry.ClientSecret{{Hash: other.Hash("right")}}, false},
	} {
		t.Run(rule.name, func(t *testing.T) {
			if got := pepper.Matches("right", rule.stored, now); got != rule.want {
				t.Errorf("got %v, want %v", got, rule.want)
			}
		})
	}
	t.Run("an empty hash matches nothing, whatever is sent", func(t *testing.T) {
		for _, p := range []registry.Pepper{nil, pepper} {
			for _, sent := range []string{"", "right", "\x00"} {
				if p.Matches(sent, []registry.ClientSecret{{}, {Hash: []byte{}}}, now) {
					t.Errorf("%q matches", sent)
				}
			}
		}
	})
}

// RFC 4231 §4.3: HMAC-SHA-256.
func TestPepperHash(t *testing.T) {
	const want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	if got := hex.EncodeToString(registry.Pepper("Jefe").Hash("what do ya want for nothing?")); got != want {
		t.Errorf("got %s", got)
	}
}
