package presets

import "github.com/cambio-oauth/cambio/registry"

// Proposal is a key URL for tokens like the one that was shown, and what is
// left to do. Nothing of it was verified.
type Proposal struct {
	Preset    string    // id
	Guess     bool      // the issuer alone does not tell the provider
	KeyURL    KeyURL    // empty when refused
	Discovery string    // where a document tells the URL of the keys; empty when it is known
	Missing   []Missing // in the token, or in the proposal
	Warnings  []Warning
	Refused   string // why no key URL makes this token work; empty when one may
}

// KeyURL has the members of a key URL that are not the default.
type KeyURL struct {
	Issuer            string                   `json:"issuer"`
	URL               string                   `json:"url,omitempty"`
	Algorithms        []string                 `json:"algorithms,omitempty"`
	Audiences         []string                 `json:"audiences,omitempty"`
	AudienceClaims    []string                 `json:"audience_claims,omitempty"`
	RequiredClaims    []registry.RequiredClaim `json:"required_claims,omitempty"`
	PermissionsClaim  registry.ClaimNames      `json:"permissions_claim,omitempty"`
	PermissionsFormat string                   `json:"permissions_format,omitempty"`
	AllowIDToken      bool                     `json:"allow_id_token,omitempty"`
}

// Missing is a member of the key URL that the token gives no good value for.
type Missing struct {
	Member string `json:"member"`
	Detail string `json:"detail"`
}

// Warning is something to know about a key URL that may work.
type Warning struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Codes of warnings that are no preset's own.
const (
	WarnGuess       = "provider_guessed"
	WarnLookAlike   = "issuer_lookalike"
	WarnAlgorithm   = "alg_unusual"
	WarnIDToken     = "id_token"
	WarnLifetime    = "lifetime_too_long"
	WarnAudiences   = "several_audiences"
	WarnEmpty       = "no_permissions"
	WarnPermissions = "permissions_invalid"
)

func (p *Proposal) missing(member, detail string) {
	p.Missing = append(p.Missing, Missing{member, detail})
}

func (p *Proposal) warn(code, detail string) {
	p.Warnings = append(p.Warnings, Warning{code, detail})
}
