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
	MaxKeys          = 64        // entries of a JWKS or map, or PEM blocks
)

// Formats of a key document. FormatAuto, or no format at all, decides by
// content. FormatPEMMap is what a document is found to be and cannot be asked
// for: it is one of the documents that FormatPEM accepts.
const (
	FormatAuto   = "auto"
	FormatJWKS   = "jwks"
	FormatPEM    = "pem"
	FormatPEMMap = "pem_map" // a JSON object from kid to PEM, as Google publishes
)

// Errors of Parse, beside *DiscoveryError. Another error says that the
// document is of another format than expected, or not well formed. None of
// them has bytes of the document in its text.
var (
	ErrPrivateKey       = errors.New("a private key is published; expected public keys only")
	ErrTooManyKeys      = fmt.Errorf("more than %d keys", MaxKeys)
	ErrDocumentTooLarge = fmt.Errorf("the document is larger than %d bytes", MaxDocumentBytes)
)

// Document is a key document that was read.
type Document struct {
	Format   string // FormatJWKS, FormatPEM or FormatPEMMap
	Keys     []assertion.Key
	Warnings []Warning // at most two for each key, and three
}

// Parse reads a key document of the given format. A key that cannot be used
// never spoils its siblings (RFC 7517 §5); a private key spoils everything.
func Parse(data []byte, format string) (*Document, error) { return parse(data, format, time.Now()) }

func parse(data []byte, format string, now time.Time) (*Document, error) {
	if len(data) > MaxDocumentBytes {
		return nil, ErrDocumentTooLarge
	}
	switch format {
	case "":
		format = FormatAuto
	case FormatAuto, FormatJWKS, FormatPEM:
	default:
		return nil, errors.New("expected the format auto, jwks or pem")
	}
	data = bytes.TrimLeft(data, " \t\r\n")
	found := sniff(data)
	known := found == kindJSON || found == FormatPEM
	switch {
	case !known && format == FormatAuto:
		return nil, fmt.Errorf("expected a JWKS or PEM document, found %s", found)
	case publishesPrivatePEM(data):
		return nil, ErrPrivateKey
	case !known, found == FormatPEM && !accepts(format, found):
		return nil, unexpected(format, found)
	}
	r := &reader{now: now}
	var err error
	if found == FormatPEM {
		err = r.readPEM(data)
	} else {
		err = r.readJSON(data, format)
	}
	if err != nil {
		return nil, err
	}
	r.conclude()
	return &r.Document, nil
}

const kindJSON = "JSON"

// sniff names what data looks like: PEM, JSON, or something else in words.
func sniff(data []byte) string {
	switch {
	case len(data) == 0:
		return "nothing"
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return "a byte order mark"
	case data[0] == '{':
		return kindJSON
	case data[0] == '<': // a login or error page, whatever it quotes
		return "HTML or XML"
	case bytes.HasPrefix(data, pemBegin), bytes.Contains(data, append([]byte("\n"), pemBegin...)):
		return FormatPEM
	}
	return "something else"
}

// accepts tells whether a document that is found is one that was asked for.
func accepts(format, found string) bool {
	return format == FormatAuto || format == found || format == FormatPEM && found == FormatPEMMap
}

func unexpected(format, found string) error {
	return fmt.Errorf("expected a %s document, found %s", format, found)
}

// reader is a document that is being read.
type reader struct {
	Document
	now    time.Time
	moduli moduli
}

// add keeps a key unless the document has had it already, and tells whether it
// did. code is that of the warning when the key has a problem; name is for
// people.
func (r *reader) add(key assertion.Key, name, code string) (kept bool) {
	if slices.ContainsFunc(r.Keys, func(other assertion.Key) bool { return covers(other, key) }) {
		return false
	}
	r.Keys = slices.DeleteFunc(r.Keys, func(other assertion.Key) bool { return covers(key, other) })
	// RFC 7517 §4.5: the verifier decides, since only it knows the algorithm.
	if key.ID != "" && slices.ContainsFunc(r.Keys, func(other assertion.Key) bool {
		return other.ID == key.ID && !samePublic(other.Public, key.Public)
	}) {
		r.warn(WarnAmbiguousKeyID, name, "another key has the same kid")
	}
	if key.Problem != "" {
		r.warn(code, name, key.Problem)
	}
	r.Keys = append(r.Keys, key)
	return true
}

// covers tells whether b adds nothing to a: it is the same key under the same
// name, for the same algorithm or one of all those that a is for. Two of them
// would be ambiguous to the verifier.
func covers(a, b assertion.Key) bool {
	return a.ID == b.ID && a.Problem == b.Problem && samePublic(a.Public, b.Public) &&
		(a.Algorithm == b.Algorithm || a.Algorithm == "" && a.Problem == "")
}
