package remote

import (
	"fmt"

	"github.com/cambio-oauth/cambio/grants/assertion"
)

// Codes of warnings about one key.
const (
	WarnSymmetricKey       = "symmetric_key"       // a shared secret is published; ignored
	WarnUnsupportedKey     = "unsupported_key"     // a key type or curve that Cambio does not know; ignored
	WarnUnreadableKey      = "unreadable_key"      // ignored
	WarnBadKeyID           = "bad_key_id"          // a kid that no token can name; ignored
	WarnUnsupportedBlock   = "unsupported_block"   // a PEM block without a public key; ignored
	WarnUnusableKey        = "unusable_key"        // kept, but verifies nothing
	WarnEncryptionKey      = "encryption_key"      // for encryption, as its publisher says; verifies nothing
	WarnAmbiguousKeyID     = "ambiguous_key_id"    // several keys have one kid
	WarnCertificateExpired = "certificate_expired" // its key is used nevertheless
)

// Codes of warnings about a document, each given once.
const (
	WarnKeyWithoutID        = "key_without_kid" // beside others: a token cannot name it
	WarnKeyWithoutAlgorithm = "key_without_alg" // a JWK for whatever algorithm the key URL allows
	WarnSingleKey           = "single_key"      // without a second one, rotation has no overlap
	WarnNoUsableKey         = "no_usable_key"   // well formed, but no token can be verified
)

const (
	maxDetailBytes = 200
	maxQuotedKeyID = 64 // bytes of a kid in a detail; kids are ASCII
)

// Warning is something that the owner of a document should know.
type Warning struct {
	Code   string // one of the Warn constants
	Detail string // for people: which key, what was expected; ASCII, at most 200 bytes, never a key
}

func (r *reader) warn(code, key, detail string) {
	text := key + ": " + detail
	r.Warnings = append(r.Warnings, Warning{Code: code, Detail: text[:min(len(text), maxDetailBytes)]})
}

// nameOf names the key at a place of the document for people.
func nameOf(place int, id string) string {
	if id == "" {
		return fmt.Sprintf("key %d", place)
	}
	return fmt.Sprintf("key %d (kid %.*q)", place, maxQuotedKeyID, id)
}

// conclude warns of what only the whole document shows.
func (r *reader) conclude() {
	usable := make([]assertion.Key, 0, len(r.Keys))
	withoutID, withoutAlgorithm, several := 0, 0, false
	for _, key := range r.Keys {
		if key.Problem != "" {
			continue
		}
		if key.ID == "" {
			withoutID++
		}
		if key.Algorithm == "" {
			withoutAlgorithm++
		}
		usable = append(usable, key)
		several = several || !samePublic(key.Public, usable[0].Public)
	}
	if r.Format == FormatJWKS {
		if withoutID > 0 && len(r.Keys) > 1 { // RFC 7517 §4.5
			r.warn(WarnKeyWithoutID, "the document", fmt.Sprintf("%d of %d usable keys have no kid; a token names its key by kid", withoutID, len(usable)))
		}
		if withoutAlgorithm > 0 { // RFC 7517 §4.4
			r.warn(WarnKeyWithoutAlgorithm, "the document", fmt.Sprintf("%d of %d usable keys name no alg", withoutAlgorithm, len(usable)))
		}
	}
	switch {
	case len(usable) == 0:
		r.warn(WarnNoUsableKey, "the document", "no key in it can verify a token")
	case !several:
		r.warn(WarnSingleKey, "the document", "one usable key; publish the next one before it is used to sign")
	}
}
