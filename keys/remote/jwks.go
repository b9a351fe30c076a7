package remote

import (
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/grants/assertion"
)

const maxKeyIDBytes = 256

// readJWKS reads the keys of a JWK set (RFC 7517 §5).
func (r *reader) readJWKS(keys any) error {
	entries, ok := keys.([]any)
	if !ok {
		return errors.New("expected a JWK set, in which keys is an array")
	}
	if len(entries) > MaxKeys {
		return ErrTooManyKeys
	}
	for place, entry := range entries {
		r.addJWK(entry, place)
	}
	return nil
}

// addJWK judges one entry of a JWK set on its own: a decoder of the whole set
// gives up at the first key it does not know.
func (r *reader) addJWK(entry any, place int) {
	members, ok := entry.(map[string]any)
	if !ok {
		r.warn(WarnUnreadableKey, nameOf(place, ""), "expected an object")
		return
	}
	id, ok := optionalText(members, "kid")
	if !ok || !soundKeyID(id) {
		r.warn(WarnBadKeyID, nameOf(place, ""), errBadKeyID.Error())
		return
	}
	name := nameOf(place, id)
	if members["kty"] == "oct" || members["k"] != nil {
		r.warn(WarnSymmetricKey, name, "a shared secret is published; expected public keys only")
		return
	}
	code := WarnUnusableKey
	if members["use"] == "enc" {
		code = WarnEncryptionKey
	}
	public, err := publicJWK(members)
	switch {
	case errors.Is(err, errUnsupportedKey) && code == WarnEncryptionKey:
		r.warn(code, name, useProblem)
		return
	case errors.Is(err, errUnsupportedKey):
		r.warn(WarnUnsupportedKey, name, fmt.Sprintf("kty %s, crv %s; %v", quoted(members["kty"]), quoted(members["crv"]), err))
		return
	case err != nil:
		r.warn(WarnUnreadableKey, name, err.Error())
		return
	}
	key := assertion.Key{ID: id, Public: public}
	key.Algorithm, key.Problem = purpose(members, public)
	if key.Problem == "" {
		key.Problem = encodingProblem(members, public)
	}
	if key.Problem == "" {
		key.Problem = r.moduli.problem(public)
	}
	if r.add(key, name, code) && key.Problem == "" {
		r.checkChain(members["x5c"], name)
	}
}

// checkChain warns when the certificate of a key has expired. It is nobody's
// business otherwise (RFC 7517 §4.7), and may be garbage.
func (r *reader) checkChain(x5c any, name string) {
	chain, _ := x5c.([]any)
	if len(chain) == 0 {
		return
	}
	text, _ := chain[0].(string)
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return
	}
	if _, expires, err := readCertificate(der); err == nil {
		r.checkExpiry(expires, name)
	}
}

func (r *reader) checkExpiry(expires time.Time, name string) {
	if r.now.After(expires) {
		r.warn(WarnCertificateExpired, name, "expired at "+expires.UTC().Format(time.RFC3339))
	}
}

// publicJWK reads the key itself and nothing else.
func publicJWK(members map[string]any) (crypto.PublicKey, error) {
	switch members["kty"] {
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

// encodingProblem finds leading zeros, which RFC 7518 §2 (Base64urlUInt) does
// not allow: others compute another thumbprint for the same key (RFC 7638 §7).
// The coordinates of other keys have a fixed length.
func encodingProblem(members map[string]any, public crypto.PublicKey) string {
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return ""
	}
	for name, length := range map[string]int{"n": key.N.BitLen(), "e": bits.Len(uint(key.E))} {
		text, _ := members[name].(string)
		if base64.RawURLEncoding.DecodedLen(len(text)) > (length+7)/8 {
			return "n or e has leading zeros"
		}
	}
	return ""
}

// curveJWK reads RFC 7518 §6.2.1 and RFC 8037 §2. go-jose checks that an EC
// point is on its curve (CVE-2015-7940) and that an Ed25519 point has no small
// order.
func curveJWK(members map[string]any) (crypto.PublicKey, error) {
	names, size := []string{"x"}, 32
	switch members["crv"] {
	case "P-256":
		names = []string{"x", "y"}
	case "P-384":
		names, size = []string{"x", "y"}, 48
	case "P-521":
		names, size = []string{"x", "y"}, 66
	case "Ed25519":
	default:
		return nil, errUnsupportedKey
	}
	clean := map[string]any{"kty": members["kty"], "crv": members["crv"]}
	for _, name := range names {
		data, err := base64url(members, name)
		if err != nil {
			return nil, err
		}
		if len(data) != size {
			return nil, fmt.Errorf("%s does not have %d bytes", name, size)
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
