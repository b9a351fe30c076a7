package registry

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"
)

// Pepper is the key of client secret hashes. It is not in the database, so a
// dump of the database verifies no secret.
type Pepper []byte

// Hash gives the keyed hash of a secret. Secrets are 256 random bits, so a slow
// hash would protect nothing and cost every request a quarter of a second.
func (p Pepper) Hash(secret string) []byte {
	mac := hmac.New(sha256.New, p)
	mac.Write([]byte(secret))
	return mac.Sum(nil)
}

// Matches tells whether secret is one of the client's live secrets, in time
// that does not depend on which, nor on how much of it is right.
func (p Pepper) Matches(secret string, stored []ClientSecret, now time.Time) bool {
	hash := p.Hash(secret)
	matches := false
	for _, s := range stored {
		live := s.ExpiresAt.IsZero() || now.Before(s.ExpiresAt)
		if hmac.Equal(hash, s.Hash) && live && len(s.Hash) > 0 {
			matches = true
		}
	}
	return matches
}

// NewClientSecret makes a secret: 256 random bits in characters that every
// client library sends unchanged, behind a prefix that secret scanners find.
func NewClientSecret() (string, error) {
	var random [32]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", err
	}
	return "cbs_" + base64.RawURLEncoding.EncodeToString(random[:]), nil
}
