package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cambio-oauth/cambio/grants/strictjson"
)

// maxCommas bounds what a JSON document costs to decode: a value of two bytes
// takes a hundred in memory. Each of 64 keys may have 32 members and items.
const maxCommas = 32 * MaxKeys

const maxJWKSURIBytes = 2048

// DiscoveryError says that a document is not one of keys but of OpenID Connect
// Discovery §3 or RFC 8414 §2, which names where the keys are.
type DiscoveryError struct {
	JWKSURI string // as the document says it, not judged; empty when it cannot be a URL
	Issuer  string // likewise
}

// Error implements error. Its text holds nothing of the document.
func (*DiscoveryError) Error() string {
	return "expected keys, found a discovery document; its jwks_uri is the URL of the keys"
}

// readJSON reads a document that is a JSON object.
func (r *reader) readJSON(data []byte, format string) error {
	if bytes.Count(data, []byte(",")) > maxCommas {
		return fmt.Errorf("%w, or more members than so many keys have", ErrTooManyKeys)
	}
	if err := strictjson.Check(data); err != nil {
		return fmt.Errorf("expected a JWK set: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // a number out of range would spoil its siblings
	var object map[string]any
	if decoder.Decode(&object) != nil {
		return errors.New("expected a JWK set, which is a JSON object")
	}
	if publishesPrivateKey(object) {
		return ErrPrivateKey
	}
	found, err := shape(object)
	switch {
	case err != nil:
		return err
	case !accepts(format, found):
		return unexpected(format, found)
	}
	r.Format = found
	if found == FormatPEMMap {
		return r.readPEMMap(object)
	}
	return r.readJWKS(object["keys"])
}

// shape tells which format an object has.
func shape(object map[string]any) (string, error) {
	if _, ok := object["keys"]; ok {
		return FormatJWKS, nil
	}
	if uri, ok := object["jwks_uri"].(string); ok {
		issuer, _ := object["issuer"].(string)
		return "", &DiscoveryError{JWKSURI: shortAndPrintable(uri), Issuer: shortAndPrintable(issuer)}
	}
	if isPEMMap(object) {
		return FormatPEMMap, nil
	}
	return "", errors.New("expected a JWK set, which has an array with the name keys, or a map from kid to PEM")
}

func shortAndPrintable(uri string) string {
	if len(uri) > maxJWKSURIBytes || !printable(uri) {
		return ""
	}
	return uri
}

// publishesPrivateKey looks for private members (RFC 7518 §6.2.2, §6.3.2, RFC
// 9964 priv), and for private PEM behind JSON escapes, at every depth. Some
// libraries write private members out empty; an empty one gives nothing away.
func publishesPrivateKey(value any) bool {
	switch value := value.(type) {
	case string:
		return strings.Contains(value, string(pemBegin)) && publishesPrivatePEM([]byte(value))
	case []any:
		return slices.ContainsFunc(value, publishesPrivateKey)
	case map[string]any:
		for name, member := range value {
			if isPrivateMember(name, member) || publishesPrivateKey(member) {
				return true
			}
		}
	}
	return false
}

func isPrivateMember(name string, member any) bool {
	switch name {
	case "d", "p", "q", "dp", "dq", "qi", "oth", "priv":
	default:
		return false
	}
	switch member := member.(type) {
	case nil:
		return false
	case string: // in a map from kid to PEM these may be names
		return member != "" && !strings.HasPrefix(member, string(pemBegin))
	case []any:
		return len(member) > 0
	}
	return true
}
