package remote

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/grants/strictjson"
)

const maxKeyIDBytes = 256

// parseJWKS reads a JWK set (RFC 7517 §5).
func parseJWKS(data []byte) (*Document, error) {
	if err := strictjson.Check(data); err != nil {
		return nil, fmt.Errorf("expected a JWK set: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // a number out of range would spoil its siblings
	var set map[string]any
	if decoder.Decode(&set) != nil {
		return nil, errors.New("expected a JWK set, which is a JSON object")
	}
	if publishesPrivateJWK(set) {
		return nil, ErrPrivateKey
	}
	entries, ok := set["keys"].([]any)
	if !ok {
		return nil, errors.New("expected a JWK set, which has an array with the name keys")
	}
	if len(entries) > MaxKeys {
		return nil, ErrTooManyKeys
	}
	document := &Document{Format: FormatJWKS}
	for i, entry := range entries {
		document.addJWK(entry, fmt.Sprintf("key %d", i))
	}
	return document, nil
}

// publishesPrivateJWK looks for private members (RFC 7518 §6.2.2, §6.3.2, RFC
// 9964 priv) at every depth. Some libraries write them out empty; an empty one
// gives nothing away.
func publishesPrivateJWK(value any) bool {
	switch value := value.(type) {
	case []any:
		return slices.ContainsFunc(value, publishesPrivateJWK)
	case map[string]any:
		for name, member := range value {
			switch name {
			case "d", "p", "q", "dp", "dq", "qi", "oth", "priv":
				list, isList := member.([]any)
				if member != nil && member != "" && !(isList && len(list) == 0) {
					return true
				}
			}
			if publishesPrivateJWK(member) {
				return true
			}
		}
	}
	return false
}

// addJWK judges one entry of a JWK set on its own: a decoder of the whole set
// gives up at the first key it does not know.
func (d *Document) addJWK(entry any, name string) {
	members, ok := entry.(map[string]any)
	if !ok {
		d.warn(WarnUnreadableKey, name, "expected an object")
		return
	}
	id, ok := optionalText(members, "kid")
	if !ok || len(id) > maxKeyIDBytes || !printable(id) {
		d.warn(WarnBadKeyID, name, fmt.Sprintf("expected a kid of at most %d printable ASCII characters", maxKeyIDBytes))
		return
	}
	if id != "" {
		name += fmt.Sprintf(" (kid %q)", id)
	}
	if members["kty"] == "oct" || members["k"] != nil {
		d.warn(WarnSymmetricKey, name, "a shared secret is published; expected public keys only")
		return
	}
	public, err := publicJWK(members)
	switch {
	case errors.Is(err, errUnsupportedKey):
		d.warn(WarnUnsupportedKey, name, err.Error())
		return
	case err != nil:
		d.warn(WarnUnreadableKey, name, err.Error())
		return
	}
	key := assertion.Key{ID: id, Public: public, Problem: materialProblem(public)}
	algorithm, problem := purpose(members)
	key.Algorithm = algorithm
	if key.Problem == "" {
		key.Problem = problem
	}
	d.add(key, name)
}

// publicJWK reads the key itself and nothing else: x5c and x5u are nobody's
// business here, and a bad chain must not spoil the key (RFC 7517 §4.6, §4.7).
func publicJWK(members map[string]any) (crypto.PublicKey, error) {
	kty, _ := members["kty"].(string)
	switch kty {
	case "RSA":
		return rsaJWK(members)
	case "EC", "OKP":
		return curveJWK(members)
	}
	return nil, errUnsupportedKey
}

// rsaJWK reads RFC 7518 §6.3.1. go-jose refuses moduli over 4096 bits, which
// here are kept for the sake of a clear answer.
func rsaJWK(members map[string]any) (crypto.PublicKey, error) {
	n, err := base64url(members, "n")
	if err != nil {
		return nil, err
	}
	e, err := base64url(members, "e")
	if err != nil {
		return nil, err
	}
	exponent := new(big.Int).SetBytes(e)
	if !exponent.IsInt64() || exponent.Int64() > math.MaxInt32 {
		return nil, errors.New("e is out of range")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, nil
}

// curveJWK reads RFC 7518 §6.2.1 and RFC 8037 §2. go-jose checks that an EC
// point is on its curve (CVE-2015-7940) and that an Ed25519 point has no small
// order.
func curveJWK(members map[string]any) (crypto.PublicKey, error) {
	names := []string{"x"}
	switch members["crv"] {
	case "P-256", "P-384", "P-521":
		names = []string{"x", "y"}
	case "Ed25519":
	default:
		return nil, errUnsupportedKey
	}
	clean := map[string]any{"kty": members["kty"], "crv": members["crv"]}
	for _, name := range names {
		if _, err := base64url(members, name); err != nil {
			return nil, err
		}
		clean[name] = members[name]
	}
	data, err := json.Marshal(clean)
	if err != nil {
		return nil, err
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(data); err != nil {
		return nil, errors.New("the coordinates are not a point of the curve")
	}
	return key.Key, nil
}

// base64url reads a member that must be there. RFC 7515 §2: no padding, no
// line breaks, unused bits zero.
func base64url(members map[string]any, name string) ([]byte, error) {
	text, _ := members[name].(string)
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(data) == 0 || strings.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("%s is not base64url", name)
	}
	return data, nil
}

// optionalText reads a member that is a string. Absent and null mean the same.
func optionalText(members map[string]any, name string) (string, bool) {
	if members[name] == nil {
		return "", true
	}
	text, ok := members[name].(string)
	return text, ok
}

func printable(text string) bool {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return false
		}
	}
	return true
}
