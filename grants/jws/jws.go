package jws

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/cambio-oauth/cambio/grants/strictjson"
)

// MaxHeaderBytes bounds the encoded header. It has room for a certificate
// chain, which nobody reads, and none for members by the thousand.
const MaxHeaderBytes = 8 << 10

// MaxKeyIDBytes bounds the kid header, which is compared, stored and shown.
const MaxKeyIDBytes = 256

// Errors of Parse and Verify. ErrMalformed is wrapped by what exactly was
// wrong with the text.
var (
	ErrTooLarge         = errors.New("token is too large")
	ErrMalformed        = errors.New("token is not a well-formed compact JWS")
	ErrHeaderNotAllowed = errors.New("token has a header that is not allowed")
	ErrSignature        = errors.New("signature does not verify")

	errNotCanonical = errors.New("not canonical base64url")
)

var base64url = base64.RawURLEncoding.Strict()

// Token is a compact JWS whose shape is sound and whose signature nobody has
// looked at yet.
type Token struct {
	Algorithm string
	KeyID     string // empty when absent
	Type      string // lower case, without the prefix "application/" (RFC 7515 §4.1.9)
	Payload   []byte
	Members   strictjson.Members // of the payload, when ParseJWT read it

	signed    []byte // header and payload as they were signed
	signature []byte
}

// ParseJWT reads a compact JWS whose payload is a JSON object, checked by
// strictjson (RFC 7519 §7.2).
func ParseJWT(raw string, limit int) (*Token, error) {
	token, err := Parse(raw, limit)
	if err != nil {
		return nil, err
	}
	if token.Members, err = strictjson.Object(token.Payload); err != nil {
		return nil, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
	}
	return token, nil
}

// Parse reads the compact serialization of at most limit bytes. The payload may
// be anything.
func Parse(raw string, limit int) (*Token, error) {
	if len(raw) > limit {
		return nil, ErrTooLarge
	}
	// Dots are counted before anything is split (CVE-2025-30204, CVE-2025-27144).
	if n := strings.Count(raw, "."); n != 2 {
		return nil, fmt.Errorf("%w: %d parts, not 3", ErrMalformed, n+1)
	}
	head, rest, _ := strings.Cut(raw, ".")
	body, signature, _ := strings.Cut(rest, ".")
	if len(head) > MaxHeaderBytes {
		return nil, fmt.Errorf("%w: header of %d bytes, at most %d are allowed", ErrMalformed, len(head), MaxHeaderBytes)
	}
	header, err := decode(head)
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	payload, err := decode(body)
	if err != nil {
		return nil, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
	}
	proof, err := decode(signature)
	if err != nil {
		return nil, fmt.Errorf("%w: signature: %w", ErrMalformed, err)
	}
	token := &Token{Payload: payload, signed: []byte(raw[:len(head)+1+len(body)]), signature: proof}
	if err := token.readHeader(header); err != nil {
		return nil, err
	}
	return token, nil
}

// decode accepts exactly one spelling of every value. RFC 7515 §2: no padding;
// unused bits must be zero, or one token would have several texts.
func decode(part string) ([]byte, error) {
	data, err := base64url.DecodeString(part)
	if err != nil || strings.Contains(part, "\r") || strings.Contains(part, "\n") { // which encoding/base64 skips
		return nil, errNotCanonical
	}
	return data, nil
}

func (t *Token) readHeader(data []byte) error {
	members, err := strictjson.Object(data)
	if err != nil {
		return fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	// crit and b64 change what is signed, zip and enc what is said (RFC 7515
	// §4.1.11, RFC 7797 §7, RFC 8725 §3.6); cty announces a nested token (RFC
	// 7519 §5.2). Embedded keys and links to keys (jwk, jku, x5u, x5c) are
	// read by nobody (CVE-2018-0114).
	for _, name := range []string{"crit", "b64", "zip", "enc", "cty"} {
		if _, ok := members[name]; ok {
			return fmt.Errorf("%w: %s", ErrHeaderNotAllowed, name)
		}
	}
	t.Algorithm, _ = members.Text("alg") // what is no string names no algorithm, and no policy allows that
	if t.KeyID, err = text(members, "kid"); err != nil {
		return err
	}
	if len(t.KeyID) > MaxKeyIDBytes || !printable(t.KeyID) {
		return fmt.Errorf("%w: kid is longer than %d bytes or not printable ASCII", ErrMalformed, MaxKeyIDBytes)
	}
	if t.Type, err = text(members, "typ"); err != nil {
		return err
	}
	t.Type = strings.TrimPrefix(lowerASCII(t.Type), "application/")
	return nil
}

// lowerASCII folds what media types have; strings.ToLower would make an "i" of
// U+0130.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// text reads a header that is a string. Absent, null and "" mean the same.
func text(members strictjson.Members, name string) (string, error) {
	value, ok := members.Text(name)
	if raw, there := members[name]; there && !ok && string(raw) != "null" {
		return "", fmt.Errorf("%w: %s is not a string", ErrMalformed, name)
	}
	return value, nil
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
