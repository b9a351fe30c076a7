package registry

import (
	"slices"
	"strings"
	"time"
)

// Defaults and bounds of a key URL.
const (
	FormatAuto         = "auto"
	FormatJWKS         = "jwks"
	FormatPEM          = "pem"
	DefaultPermissions = "permissions"
	DefaultMaxLifetime = 24 * time.Hour
	MaxMaxLifetime     = 366 * 24 * time.Hour
	MaxAudiences       = 16

	FormatArray = "array" // of permissions
)

// Algorithms a key URL may allow (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2). Symmetric
// ones and none are not among them and cannot be configured.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
}

// PermissionsFormats are how claims may hold permissions.
func PermissionsFormats() []string { return []string{FormatArray, "space", "comma", "keys", "auto"} }

// Validate reports what is wrong with a key URL. Whether the URL itself may be
// fetched is for keys/remote to say.
func (k *KeyURL) Validate() error {
	var faults Invalid
	// Not "must be a URL": some providers' issuers are bare names.
	// "#" stands between issuer and subject in the tokens we issue.
	faults.Add(ValidAudience(k.Issuer) && !strings.Contains(k.Issuer, "#"), "/issuer", "invalid",
		"want the iss claim exactly: 1 to 512 bytes of printable ASCII without spaces and #")
	faults.Add(slices.Contains([]string{FormatAuto, FormatJWKS, FormatPEM}, k.Format), "/format", "invalid", "want auto, jwks or pem")
	k.check(&faults, "")
	if k.Audited != nil {
		changed, err := k.Audited.Apply(k.TokenRules)
		if err == nil {
			changed.check(&faults, "/change")
		} else {
			faults.Add(false, "/change", "invalid", errUnknownRule.Error())
		}
	}
	faults.checkStatus(k.Status)
	return faults.Err()
}

// Bounds of how many key URLs an integrator may have. Each one for an issuer
// may cost a fetch before a token is refused.
const (
	MaxKeyURLs          = 64
	MaxKeyURLsPerIssuer = 4
)

// KeyURLTerms are what a key URL is stored under besides its own members.
type KeyURLTerms struct {
	// Audiences are the server's: what a key URL without its own accepts.
	Audiences []string
	// SharedIssuer lets the issuer be one that another integrator has
	// registered: operators know when two share a provider. Anybody else
	// could otherwise take an issuer's name, and with it its users' subjects.
	SharedIssuer bool
}
