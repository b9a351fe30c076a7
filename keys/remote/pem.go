package remote

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/cambio-oauth/cambio/grants/assertion"
)

const (
	maxLabelBytes  = 100 // of a PEM block; the longest in use has 35
	maxHeaderLines = 16  // of a PEM block; RFC 7468 §2 has none, RFC 1421 a few
)

var pemBegin = []byte("-----BEGIN ")

// publishesPrivatePEM looks at every BEGIN line, also those of blocks that
// cannot be decoded and those inside of JSON strings.
func publishesPrivatePEM(data []byte) bool {
	for {
		_, after, found := bytes.Cut(data, pemBegin)
		if !found {
			return false
		}
		label := after[:min(len(after), maxLabelBytes)]
		label, _, _ = bytes.Cut(label, []byte("-----"))
		label, _, _ = bytes.Cut(label, []byte("\n"))
		if bytes.Contains(label, []byte("PRIVATE KEY")) {
			return true
		}
		data = after
	}
}

// readPEM reads blocks of RFC 7468 in any mixture, with text around them.
func (r *reader) readPEM(data []byte) error {
	// Counted before anything is decoded (CVE-2025-61723).
	begun := bytes.Count(data, pemBegin)
	if begun > MaxKeys {
		return ErrTooManyKeys
	}
	if tooManyHeaders(data) {
		return fmt.Errorf("a PEM block has more than %d lines of headers", maxHeaderLines)
	}
	r.Format = FormatPEM
	decoded := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		r.addBlock(block, assertion.Key{Unnamed: true}, fmt.Sprintf("block %d", decoded))
		decoded++
	}
	if decoded < begun {
		r.warn(WarnUnreadableKey, fmt.Sprintf("%d of %d blocks", begun-decoded, begun), "not well-formed PEM")
	}
	if len(r.Keys) == 0 {
		return errNoPEMKey
	}
	return nil
}

// tooManyHeaders looks for what encoding/pem would gather in a map, which takes
// many times the memory of the text.
func tooManyHeaders(data []byte) bool {
	for {
		_, after, found := bytes.Cut(data, pemBegin)
		if !found {
			return false
		}
		_, lines, _ := bytes.Cut(after, []byte("\n"))
		for headers := 0; ; headers++ {
			if headers > maxHeaderLines {
				return true
			}
			line, rest, _ := bytes.Cut(lines, []byte("\n"))
			if !bytes.Contains(line, []byte(":")) {
				break
			}
			lines = rest
		}
		data = after
	}
}

// addBlock completes a key with what a PEM block holds.
func (r *reader) addBlock(block *pem.Block, key assertion.Key, name string) {
	public, expires, err := publicBlock(block)
	switch {
	case errors.Is(err, errUnsupportedBlock):
		r.warn(WarnUnsupportedBlock, name, err.Error())
		return
	case errors.Is(err, errUnsupportedKey):
		r.warn(WarnUnsupportedKey, name, err.Error())
		return
	case err != nil: // which may quote the document
		r.warn(WarnUnreadableKey, name, "not valid DER of its type")
		return
	}
	if !expires.IsZero() {
		r.checkExpiry(expires, name)
	}
	key.Public, key.Problem = public, r.moduli.problem(public)
	r.add(key, name, WarnUnusableKey)
}
