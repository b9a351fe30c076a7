package remote

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cambio-oauth/cambio/grants/assertion"
)

// Bounds of a key document.
const (
	MaxDocumentBytes = 256 << 10 // bytes of the document as sent
	MaxKeys          = 64        // entries of a JWKS, or PEM blocks
)

// Formats of a key document. FormatAuto, or no format at all, decides by
// content.
const (
	FormatAuto = "auto"
	FormatJWKS = "jwks"
	FormatPEM  = "pem"
)

// Errors of Parse. Another error says that the document is of another format
// than expected, or not well formed. None of them holds bytes of the document.
var (
	ErrPrivateKey       = errors.New("a private key is published; expected public keys only")
	ErrTooManyKeys      = fmt.Errorf("more than %d keys", MaxKeys)
	ErrDocumentTooLarge = fmt.Errorf("the document is larger than %d bytes", MaxDocumentBytes)
)

// Codes of warnings.
const (
	WarnSymmetricKey       = "symmetric_key"       // a shared secret is published; ignored
	WarnUnsupportedKey     = "unsupported_key"     // a key type or curve that Cambio does not know; ignored
	WarnUnreadableKey      = "unreadable_key"      // ignored
	WarnBadKeyID           = "bad_key_id"          // a kid that no token can name; ignored
	WarnUnusableKey        = "unusable_key"        // kept, but verifies nothing
	WarnAmbiguousKeyID     = "ambiguous_key_id"    // several keys have one kid
	WarnUnsupportedBlock   = "unsupported_block"   // a PEM block without a public key; ignored
	WarnCertificateExpired = "certificate_expired" // its key is used nevertheless
)

// Warning is something that the owner of a document should know.
type Warning struct {
	Code   string // one of the Warn constants
	Detail string // for people: which key, what was expected
}

// Document is a key document that was read.
type Document struct {
	Format   string // FormatJWKS or FormatPEM
	Keys     []assertion.Key
	Warnings []Warning
}

// Parse reads a key document of the given format. A key that cannot be used
// never spoils its siblings (RFC 7517 §5); a private key spoils everything.
func Parse(data []byte, format string) (*Document, error) { return parse(data, format, time.Now()) }

func parse(data []byte, format string, now time.Time) (*Document, error) {
	if len(data) > MaxDocumentBytes {
		return nil, ErrDocumentTooLarge
	}
	data = bytes.TrimLeft(data, " \t\r\n")
	found := sniff(data)
	if format == FormatAuto || format == "" {
		if format = found; found != FormatJWKS && found != FormatPEM {
			return nil, fmt.Errorf("expected a JWKS or PEM document, found %s", found)
		}
	}
	switch {
	case format != FormatJWKS && format != FormatPEM:
		return nil, errors.New("expected the format auto, jwks or pem")
	case publishesPrivatePEM(data):
		return nil, ErrPrivateKey
	case format != found:
		return nil, fmt.Errorf("expected a %s document, found %s", format, found)
	case format == FormatJWKS:
		return parseJWKS(data)
	}
	return parsePEM(data, now)
}

// sniff names what data looks like: a format, or something else in words.
func sniff(data []byte) string {
	switch {
	case len(data) == 0:
		return "nothing"
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return "a byte order mark"
	case data[0] == '{':
		return FormatJWKS
	case data[0] == '<': // a login or error page, whatever it quotes
		return "HTML or XML"
	case bytes.HasPrefix(data, pemBegin), bytes.Contains(data, append([]byte("\n"), pemBegin...)):
		return FormatPEM
	}
	return "something else"
}

func (d *Document) warn(code, key, detail string) {
	d.Warnings = append(d.Warnings, Warning{Code: code, Detail: key + ": " + detail})
}

// add keeps a key unless the document has had it already. name is for people.
func (d *Document) add(key assertion.Key, name string) {
	same := func(other assertion.Key) bool {
		return other.ID == key.ID && other.Algorithm == key.Algorithm &&
			other.Problem == key.Problem && samePublic(other.Public, key.Public)
	}
	if slices.ContainsFunc(d.Keys, same) {
		return
	}
	// RFC 7517 §4.5: the verifier decides, since only it knows the algorithm.
	if key.ID != "" && slices.ContainsFunc(d.Keys, func(other assertion.Key) bool {
		return other.ID == key.ID && !samePublic(other.Public, key.Public)
	}) {
		d.warn(WarnAmbiguousKeyID, name, "another key has the same kid")
	}
	if key.Problem != "" {
		d.warn(WarnUnusableKey, name, key.Problem)
	}
	d.Keys = append(d.Keys, key)
}
