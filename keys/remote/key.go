package remote

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
)

// Bounds of RSA keys. Fewer bits can be factored (RFC 7518 §3.3, RFC 8017);
// more bits, or another exponent, cost up to 400 times as much to verify
// (CVE-2023-29409).
const (
	minModulusBits = 2048
	maxModulusBits = 4096
	publicExponent = 65537
)

var errUnsupportedKey = errors.New("expected an RSA, EC (P-256, P-384, P-521) or Ed25519 key")

func supported(public crypto.PublicKey) bool {
	switch public := public.(type) {
	case *rsa.PublicKey, ed25519.PublicKey:
		return true
	case *ecdsa.PublicKey:
		return public.Curve == elliptic.P256() || public.Curve == elliptic.P384() || public.Curve == elliptic.P521()
	}
	return false
}

func samePublic(a, b crypto.PublicKey) bool {
	known, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && known.Equal(b)
}

// materialProblem says why the key itself must not verify anything, or nothing.
func materialProblem(public crypto.PublicKey) string {
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return ""
	}
	switch bits := key.N.BitLen(); {
	case bits < minModulusBits || bits > maxModulusBits:
		return fmt.Sprintf("RSA modulus of %d bits, expected %d to %d", bits, minModulusBits, maxModulusBits)
	case key.E != publicExponent:
		return fmt.Sprintf("RSA exponent is not %d", publicExponent)
	}
	return weakness(key.N)
}

const maxTrialDivisor = 701 // the largest prime of CVE-2017-15361 for 2048-bit keys

// weakness finds moduli with a small factor, and those of the broken generator
// of CVE-2017-15361: modulo every small prime they are a power of 65537, which
// others are by chance once in 2^167.
func weakness(n *big.Int) string {
	if n.Bit(0) == 0 {
		return "RSA modulus is even"
	}
	broken := true
	for prime := uint64(3); prime <= maxTrialDivisor; prime += 2 {
		if !isPrime(prime) {
			continue
		}
		rest := new(big.Int).Mod(n, new(big.Int).SetUint64(prime)).Uint64()
		if rest == 0 {
			return "RSA modulus has a small factor"
		}
		broken = broken && isPower(rest, prime)
	}
	if broken {
		return "RSA modulus was made by a broken generator (CVE-2017-15361)"
	}
	return ""
}

// isPower tells whether rest is a power of 65537 modulo prime.
func isPower(rest, prime uint64) bool {
	power := uint64(1)
	for power != rest {
		if power = power * publicExponent % prime; power == 1 {
			return false
		}
	}
	return true
}

func isPrime(odd uint64) bool {
	for divisor := uint64(3); divisor*divisor <= odd; divisor += 2 {
		if odd%divisor == 0 {
			return false
		}
	}
	return true
}

// purpose reads what the publisher of a JWK says it is for: its algorithm, and
// why it is not for signatures, or nothing.
func purpose(members map[string]any) (algorithm, problem string) {
	algorithm, ok := optionalText(members, "alg")
	if !ok || (members["alg"] != nil && !isSignatureAlgorithm(algorithm)) { // RFC 7517 §4.4
		return "", "alg does not name a public-key signature algorithm"
	}
	use, ok := optionalText(members, "use")
	if !ok || (members["use"] != nil && use != "sig") { // RFC 7517 §4.2
		return algorithm, "use is not sig"
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

// isSignatureAlgorithm knows the asymmetric ones of RFC 7518 §3.1, RFC 8037,
// RFC 8812 and RFC 9864. HMAC is none: a public key is no secret.
func isSignatureAlgorithm(name string) bool {
	switch name {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
		"ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519":
		return true
	}
	return false
}
