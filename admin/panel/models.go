package panel

import (
	"encoding/json"
	"time"
)

// The objects of the admin API, as far as pages show them.

type integrator struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"created_at"`

	ETag string `json:"-"`
	At   string `json:"-"` // in addresses: the id, or me
}

type keyURL struct {
	ID          string          `json:"id"`
	Issuer      string          `json:"issuer"`
	URL         string          `json:"url"`
	Format      string          `json:"format"`
	Algorithms  []string        `json:"algorithms"`
	Audiences   []string        `json:"audiences"`
	AudClaims   []string        `json:"audience_claims"`
	Required    []requiredClaim `json:"required_claims"`
	Condition   string          `json:"condition"`
	Permissions oneOrMany       `json:"permissions_claim"`
	PermFormat  string          `json:"permissions_format"`
	AllowID     bool            `json:"allow_id_token"`
	AllowIDJAG  bool            `json:"allow_id_jag"`
	MaxLifetime int64           `json:"max_lifetime"`
	Clientless  bool            `json:"clientless"`
	SingleUse   bool            `json:"single_use"`
	Mode        string          `json:"mode"`
	Change      json.RawMessage `json:"change"`
	Status      string          `json:"status"`
	Health      health          `json:"health"`
	CreatedAt   time.Time       `json:"created_at"`
	UpdatedAt   time.Time       `json:"updated_at"`

	ETag string `json:"-"`
}

// Lifetime is the longest life of a subject token.
func (k keyURL) Lifetime() time.Duration { return time.Duration(k.MaxLifetime) * time.Second }

// oneOrMany is a text, or a list of them.
type oneOrMany []string

// UnmarshalJSON implements json.Unmarshaler.
func (o *oneOrMany) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*o = oneOrMany{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(o))
}

type health struct {
	Status       string    `json:"status"`
	Format       string    `json:"format"`
	FetchedAt    time.Time `json:"fetched_at"`
	UsableUntil  time.Time `json:"usable_until"`
	FailingSince time.Time `json:"failing_since"`
	Failure      *failure  `json:"failure"`
	Keys         []key     `json:"keys"`
	Warnings     []warning `json:"warnings"`
}

// failingKeyURL is one whose keys cannot be fetched.
type failingKeyURL struct {
	ID             string    `json:"id"`
	IntegratorID   string    `json:"integrator_id"`
	IntegratorName string    `json:"integrator_name"`
	Issuer         string    `json:"issuer"`
	Status         string    `json:"status"`
	FailingSince   time.Time `json:"failing_since"`
	UsableUntil    time.Time `json:"usable_until"`
}

type failure struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

type warning failure

type key struct {
	KeyID      string    `json:"kid"`
	Type       string    `json:"kty"`
	Curve      string    `json:"crv"`
	Bits       int       `json:"bits"`
	Algorithm  string    `json:"alg"`
	Thumbprint string    `json:"thumbprint"`
	Status     string    `json:"status"`
	Problem    string    `json:"problem"`
	FirstSeen  time.Time `json:"first_seen_at"`
	LastSeen   time.Time `json:"last_seen_at"`
	LastUsed   time.Time `json:"last_used_at"`
}

// check is what a fetch found that changed nothing.
type check struct {
	OK       bool      `json:"ok"`
	Format   string    `json:"format"`
	Keys     []key     `json:"keys"`
	Warnings []warning `json:"warnings"`
	Failure  *failure  `json:"failure"`
	JWKSURI  string    `json:"jwks_uri"`
	KeyFound *bool     `json:"kid_found"`
}

// proposal is a key URL that a token seems to need.
type proposal struct {
	Preset     string          `json:"preset"`
	KeyURL     json.RawMessage `json:"key_url"`
	Registered []string        `json:"registered"`
	Missing    []struct {
		Member string `json:"member"`
		Detail string `json:"detail"`
	} `json:"missing"`
	Warnings []warning `json:"warnings"`
	Keys     *check    `json:"keys"`
	Refused  string    `json:"refused"`
}

type preset struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Docs      string        `json:"docs"`
	Inputs    []presetInput `json:"inputs"`
	Templates []struct {
		Issuer string `json:"issuer"`
		URL    string `json:"url"`
		Guess  string `json:"guess"`
	} `json:"templates"`
	Algorithms   []string          `json:"algorithms"`
	AllowIDToken bool              `json:"allow_id_token"`
	Help         map[string]string `json:"help"`
}

type presetInput struct {
	Name    string `json:"name"`
	Label   string `json:"label"`
	Pattern string `json:"pattern"`
	Example string `json:"example"`
}

type client struct {
	ID         string          `json:"id"`
	ClientID   string          `json:"client_id"`
	Secret     string          `json:"client_secret"`
	Name       string          `json:"client_name"`
	Method     string          `json:"token_endpoint_auth_method"`
	GrantTypes []string        `json:"grant_types"`
	Scope      *string         `json:"scope"`
	JWKS       json.RawMessage `json:"jwks"`
	JWKSURI    *string         `json:"jwks_uri"`
	TTL        *int64          `json:"access_token_ttl"`
	Origins    []string        `json:"allowed_origins"`
	Status     string          `json:"status"`
	CreatedAt  time.Time       `json:"created_at"`
	LastUsedAt time.Time       `json:"last_used_at"`
	Secrets    []struct {
		CreatedAt time.Time `json:"created_at"`
		ExpiresAt time.Time `json:"expires_at"`
	} `json:"secrets"`

	ETag string `json:"-"`
}

// HasSecret tells whether the client proves itself by a secret.
func (c client) HasSecret() bool {
	return c.Method == "client_secret_basic" || c.Method == "client_secret_post"
}

type lockHolder struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Country      string `json:"country_iso"`
	Organization string `json:"organization_id"`
	Suffix       string `json:"organization_id_suffix"`
}

// Reference is how permissions and scopes name it.
func (h lockHolder) Reference() string {
	return "lockHolder.identifier:" + h.Country + "." + h.Organization + "." + h.Suffix
}

type scopeRule struct {
	ID         string `json:"id"`
	Permission string `json:"permission"`
	Scope      string `json:"scope"`
}

type resourceServer struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Audience  string    `json:"audience"`
	ClientID  string    `json:"client_id"`
	Secret    string    `json:"client_secret"`
	CreatedAt time.Time `json:"created_at"`
}

type exchange struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	GrantType string    `json:"grant_type"`
	Result    string    `json:"result"`
	Code      string    `json:"error"`
	Reason    string    `json:"reason"`
	ClientID  string    `json:"client_id"`
	Issuer    string    `json:"issuer"`
	Subject   string    `json:"subject"`
	KeyID     string    `json:"kid"`
	Granted   []string  `json:"granted"`
	Dropped   []struct {
		Permission string `json:"permission"`
		Reason     string `json:"reason"`
	} `json:"dropped"`
	TokenID   string    `json:"jti"`
	ExpiresAt time.Time `json:"expires_at"`
	Hash      string    `json:"subject_token_sha256"`
}

// Why is the reason of a refusal, or its error code where there is none.
func (e exchange) Why() string {
	if e.Reason != "" {
		return e.Reason
	}
	return e.Code
}

type explanation struct {
	Result     string   `json:"result"`
	Code       string   `json:"error"`
	Reason     string   `json:"reason"`
	Detail     string   `json:"error_description"`
	Hint       string   `json:"hint"`
	Clientless bool     `json:"clientless"`
	Steps      []step   `json:"steps"`
	Scopes     []string `json:"scopes"`
	Dropped    []struct {
		Permission string `json:"permission"`
		Reason     string `json:"reason"`
		Detail     string `json:"detail"`
	} `json:"dropped"`
	Token json.RawMessage `json:"token"`
	Hash  string          `json:"subject_token_sha256"`
}

type step struct {
	Name     string `json:"name"`
	KeyURL   string `json:"key_url"`
	Result   string `json:"result"`
	Reason   string `json:"reason"`
	Detail   string `json:"detail"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
	Hint     string `json:"hint"`
}

type signingKey struct {
	KeyID     string    `json:"kid"`
	Algorithm string    `json:"alg"`
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	RetiredAt time.Time `json:"retired_at"`
}

type auditEvent struct {
	ID           string          `json:"id"`
	At           time.Time       `json:"at"`
	ClientID     string          `json:"client_id"`
	IntegratorID string          `json:"integrator_id"`
	Action       string          `json:"action"`
	Object       string          `json:"object"`
	ObjectID     string          `json:"object_id"`
	Before       json.RawMessage `json:"before"`
	After        json.RawMessage `json:"after"`
}

// statistics count attempts by the hour.
type statistics struct {
	From    time.Time        `json:"from"`
	To      time.Time        `json:"to"`
	Granted int64            `json:"granted"`
	Refused int64            `json:"refused"`
	Reasons map[string]int64 `json:"reasons"`
	Hours   []struct {
		At      time.Time `json:"at"`
		Granted int64     `json:"granted"`
		Refused int64     `json:"refused"`
	} `json:"hours"`
}

// Share is that of granted attempts, in percent; -1 when there were none.
func (s statistics) Share() int64 {
	if s.Granted+s.Refused == 0 {
		return -1
	}
	return 100 * s.Granted / (s.Granted + s.Refused)
}
