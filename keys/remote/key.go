package remote

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
)

// Bounds of RSA keys. Fewer bits can be factored (RFC 7518 §3.3, RFC 8017);
// more bits, or another exponent, cost up to 400 times as much to verify
// (CVE-2023-29409).
const (
	minModulusBits = 2048
	maxModulusBits = 4096
	publicExponent = 65537
)

var (
	errUnsupportedKey = errors.New("expected an RSA, EC (P-256, P-384, P-521) or Ed25519 key")
	errBadKeyID       = fmt.Errorf("expected a kid of at most %d printable ASCII characters", maxKeyIDBytes)
)

func supported(public crypto.PublicKey) bool { return algorithmsOf(public) != nil }

// algorithmsOf lists the signature algorithms of a key: RFC 7518 §3.3 to §3.5,
// RFC 8037 §3.1, RFC 9864 §2.2. None is for a curve that is not supported.
func algorithmsOf(public crypto.PublicKey) []string {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case ed25519.PublicKey:
		return []string{"EdDSA", "Ed25519"}
	case *ecdsa.PublicKey:
		switch public.Curve {
		case elliptic.P256():
			return []string{"ES256"}
		case elliptic.P384():
			return []string{"ES384"}
		case elliptic.P521():
			return []string{"ES512"}
		}
	}
	return nil
}

// samePublic compares RSA keys without crypto/rsa, which takes constant time
// and allocates: of 64 keys each is compared with each.
func samePublic(a, b crypto.PublicKey) bool {
	if a, ok := a.(*rsa.PublicKey); ok {
		b, ok := b.(*rsa.PublicKey)
		return ok && a.E == b.E && a.N.Cmp(b.N) == 0
	}
	known, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && known.Equal(b)
}

const useProblem = "use is not sig"

// purpose reads what the publisher of a JWK says it is for: its algorithm, and
// why it is not for signatures, or nothing.
func purpose(members map[string]any, public crypto.PublicKey) (algorithm, problem string) {
	algorithm, ok := optionalText(members, "alg")
	// RFC 7517 §4.4. HMAC with a public key as the secret is the classic
	// confusion (CVE-2015-9235).
	if !ok || (members["alg"] != nil && !slices.Contains(algorithmsOf(public), algorithm)) {
		return "", "alg is not a signature algorithm for this type of key"
	}
	use, ok := optionalText(members, "use")
	if !ok || (members["use"] != nil && use != "sig") { // RFC 7517 §4.2
		return algorithm, useProblem
	}
	if members["key_ops"] == nil {
		return algorithm, ""
	}
	return algorithm, operationsProblem(members["key_ops"], use)
}

// operationsProblem reads key_ops: no duplicates, verify among them, and
// nothing that contradicts use (RFC 7517 §4.3).
func operationsProblem(value any, use string) string {
	operations, ok := value.([]any)
	if !ok {
		return "key_ops is not an array"
	}
	seen := map[string]bool{}
	for _, operation := range operations {
		name, ok := operation.(string)
		switch {
		case !ok || seen[name]:
			return "key_ops is not a list of different strings"
		case use == "sig" && name != "verify" && name != "sign":
			return "key_ops contradicts use"
		}
		seen[name] = true
	}
	if !seen["verify"] {
		return "key_ops does not contain verify"
	}
	return ""
}

// optionalText reads a member that is a string. Absent and null mean the same.
func optionalText(members map[string]any, name string) (string, bool) {
	if members[name] == nil {
		return "", true
	}
	text, ok := members[name].(string)
	return text, ok
}

func soundKeyID(id string) bool { return len(id) <= maxKeyIDBytes && printable(id) }

func printable(text string) bool {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return false
		}
	}
	return true
}

// quoted writes a short member for people, in ASCII whatever it is.
func quoted(member any) string {
	switch member := member.(type) {
	case nil:
		return "absent"
	case string:
		return fmt.Sprintf("%+.12q", member)
	}
	return "not a string"
}
