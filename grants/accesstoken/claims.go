package accesstoken

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/cambio-oauth/cambio/grants"
)

// Type is the typ header of an access token (RFC 9068 §2.1).
const Type = "at+jwt"

// Audience is one value or several; one is written as a plain string, as RFC
// 7519 §4.1.3 allows and most readers expect.
type Audience []string

// MarshalJSON implements json.Marshaler.
func (a Audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *Audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = Audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// Claims are the claims of an access token. Times are seconds since 1970.
type Claims struct {
	Issuer        string   `json:"iss"`
	Subject       string   `json:"sub"`
	Audience      Audience `json:"aud"`
	ExpiresAt     int64    `json:"exp"`
	IssuedAt      int64    `json:"iat"`
	ID            string   `json:"jti"`
	ClientID      string   `json:"client_id"`
	Scope         string   `json:"scope"`
	IntegratorID  string   `json:"integrator_id,omitempty"`
	LockHolderIDs []string `json:"lock_holder_ids,omitempty"`
	SubjectIssuer string   `json:"subject_issuer,omitempty"` // exchange only: iss of the subject token
	SubjectID     string   `json:"subject,omitempty"`        // exchange only: its sub
	// Generation holds the generations of the integrator and of the client at
	// the time of issue; see grants.Generations.
	Generation [2]int64 `json:"gen"`
}

// Generations gives the generations the token was issued under.
func (c *Claims) Generations() grants.Generations {
	return grants.Generations{Integrator: c.Generation[0], Client: c.Generation[1]}
}

// HasScope tells whether the token holds a scope.
func (c *Claims) HasScope(scope string) bool {
	return scope != "" && slices.Contains(strings.Split(c.Scope, " "), scope)
}

// Exchanged tells whether the token came out of an exchange.
func (c *Claims) Exchanged() bool { return c.SubjectIssuer != "" }

// Clientless tells whether it came out of an exchange without a client: then
// the integrator's id stands for the client's.
func (c *Claims) Clientless() bool { return c.IntegratorID != "" && c.ClientID == c.IntegratorID }

// Expires gives the end of the token's life.
func (c *Claims) Expires() time.Time { return time.Unix(c.ExpiresAt, 0) }
