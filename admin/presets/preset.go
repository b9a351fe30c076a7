package presets

// Preset is what is known of one identity provider. Patterns match whole texts.
type Preset struct {
	ID         string `yaml:"id"`
	Name       string `yaml:"name"`
	Docs       string `yaml:"docs"`        // the provider's own page
	VerifiedAt string `yaml:"verified_at"` // when the file was last held against that page

	// Domains are the provider's own. An issuer that names one of them without
	// being of a form below is no customer's domain, but a mistake or a trick.
	Domains        []string           `yaml:"domains"`
	Inputs         []Input            `yaml:"inputs"`
	Issuers        []IssuerForm       `yaml:"issuers"`
	Algorithms     []string           `yaml:"algorithms"`
	AllowIDToken   bool               `yaml:"allow_id_token"` // its ID tokens may serve, for want of better ones
	Audience       AudienceRule       `yaml:"audience"`
	RequiredClaims []RequiredClaim    `yaml:"required_claims"`
	Permissions    []PermissionSource `yaml:"permissions"` // the best first
	Guards         []Guard            `yaml:"guards"`
	Notices        []Notice           `yaml:"notices"`
	// Advice says for a reason code what to do at this provider.
	Advice map[string]string `yaml:"help"`
}

// Input is what tells one customer of a provider from another.
type Input struct {
	Name    string  `yaml:"name"`
	Label   string  `yaml:"label"`
	Pattern Pattern `yaml:"pattern"`
	Example string  `yaml:"example"`
}

// IssuerForm is one way in which a provider's issuers are written. {input}
// stands for an input.
type IssuerForm struct {
	Template string `yaml:"template"`
	URL      string `yaml:"url"` // of the keys; empty: by discovery
	// Guess says why this form alone proves nothing, such as for domains of
	// customers; empty when it does.
	Guess string `yaml:"guess"`
	// When must hold too: the claims tell the provider where its name does not.
	When *Condition `yaml:"when"`

	pattern Pattern
}

// AudienceRule says which claim names the API that a token is for.
type AudienceRule struct {
	Ignore   []Pattern `yaml:"ignore"`   // values of aud that are no API of ours
	Template string    `yaml:"template"` // the value, where the provider leaves no choice
	Claim    string    `yaml:"claim"`    // instead of aud, in tokens without one
}

// RequiredClaim is a claim without which a token proves too little. {name} in
// values stands for an input or for a claim of the token.
type RequiredClaim struct {
	Claim  string     `yaml:"claim"`
	Values []string   `yaml:"values"`
	When   *Condition `yaml:"when"`
}

// PermissionSource is where a token may hold permissions.
type PermissionSource struct {
	Claim   string    `yaml:"claim"`   // name or JSON Pointer; {audience} stands for the proposed one
	Pattern *Pattern  `yaml:"pattern"` // or the names of all such claims
	Format  string    `yaml:"format"`  // of registry; empty: by the type that is found
	Ignore  []Pattern `yaml:"ignore"`  // values that every token has, and that permit nothing
	// Preferred is what to propose when a token has none of the sources.
	Preferred bool `yaml:"preferred"`
}

// Guard says why a token can never work.
type Guard struct {
	When   Condition `yaml:"when"`
	Refuse string    `yaml:"refuse"`
}

// Notice is what to know about a token that works.
type Notice struct {
	Code   string     `yaml:"code"`
	When   *Condition `yaml:"when"`
	Detail string     `yaml:"detail"`
}

// Condition holds for a token when each part that is set does.
type Condition struct {
	Algorithm *Pattern           `yaml:"alg"`
	Issuer    *Pattern           `yaml:"iss"`
	Claims    map[string]Pattern `yaml:"claims"` // by name or JSON Pointer; strings, or the text of other JSON
	Absent    []string           `yaml:"absent"`
}

// Help says what to do at this provider about a reason of docs/reasons.md, or
// about "no_permissions" and "opaque"; empty when there is nothing to say.
func (p *Preset) Help(reason string) string { return p.Advice[reason] }
