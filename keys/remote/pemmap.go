package remote

import (
	"bytes"
	"encoding/pem"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/cambio-oauth/cambio/grants/assertion"
)

// isPEMMap recognises the map from kid to certificate or public key that
// Google publishes: an object of strings, with PEM in at least one. An error
// answer in JSON has none.
func isPEMMap(object map[string]any) bool {
	found := false
	for _, member := range object {
		text, ok := member.(string)
		if !ok {
			return false
		}
		found = found || strings.Contains(text, string(pemBegin))
	}
	return found
}

// readPEMMap reads one block for each kid. JSON objects have no order, so the
// kids' own makes the outcome the same each time.
func (r *reader) readPEMMap(object map[string]any) error {
	if len(object) > MaxKeys {
		return ErrTooManyKeys
	}
	for place, id := range slices.Sorted(maps.Keys(object)) {
		if id == "" || !soundKeyID(id) {
			r.warn(WarnBadKeyID, nameOf(place, ""), errBadKeyID.Error())
			continue
		}
		text, _ := object[id].(string)
		r.addMapped(id, []byte(text), nameOf(place, id))
	}
	if len(r.Keys) == 0 {
		return errNoPEMKey
	}
	return nil
}

func (r *reader) addMapped(id string, text []byte, name string) {
	text = bytes.TrimSpace(text)
	if bytes.Count(text, pemBegin) != 1 || tooManyHeaders(text) {
		r.warn(WarnUnreadableKey, name, "expected one PEM block")
		return
	}
	block, _ := pem.Decode(text)
	if block == nil {
		r.warn(WarnUnreadableKey, name, "not well-formed PEM")
		return
	}
	r.addBlock(block, assertion.Key{ID: id}, name)
}

var errNoPEMKey = errors.New("expected a PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE with an RSA, EC or Ed25519 key, found none")
