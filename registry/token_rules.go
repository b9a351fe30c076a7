package registry

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of the rules of a key URL.
const (
	MaxPermissionsClaims = 8
	maxAudienceClaims    = 4
	maxRequiredClaims    = 16
	maxRequiredValues    = 32
	maxClaimBytes        = 255
)

// TokenRules are what a key URL asks of a subject token. They are also what can
// be changed on trial, which is why they have the names of the admin API.
type TokenRules struct {
	Algorithms        []string        `json:"algorithms"`      // JWS names
	Audiences         []string        `json:"audiences"`       // empty: the server's
	AudienceClaims    []string        `json:"audience_claims"` // the first of them that a token has is its audience; empty: aud
	RequiredClaims    []RequiredClaim `json:"required_claims"`
	Condition         Condition       `json:"condition"`
	PermissionsClaims ClaimNames      `json:"permissions_claim"`  // in order
	PermissionsFormat string          `json:"permissions_format"` // of each: array, space, comma, keys or auto
	AllowIDToken      bool            `json:"allow_id_token"`
	AllowIDJAG        bool            `json:"allow_id_jag"` // identity assertions, by the JWT bearer grant
	MaxLifetime       Seconds         `json:"max_lifetime"` // exp - iat of a subject token
}

// RequiredClaim is a claim that a subject token must have: of one of the values,
// if there are any.
type RequiredClaim struct {
	Claim  string   `json:"claim"` // name or JSON Pointer
	Values []string `json:"values"`
}

// UnmarshalJSON implements json.Unmarshaler. A misspelt member would ask for
// less than was meant.
func (r *RequiredClaim) UnmarshalJSON(data []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	*r = RequiredClaim{Values: []string{}}
	for name, value := range members {
		var err error
		switch name {
		case "claim":
			err = json.Unmarshal(value, &r.Claim)
		case "values":
			err = json.Unmarshal(value, &r.Values)
		default:
			err = errors.New("there is no member " + strconv.Quote(name))
		}
		if err != nil {
			return err
		}
	}
	if r.Values == nil {
		r.Values = []string{}
	}
	return nil
}

// Condition is a CEL expression over claims; empty means none, which is null in
// JSON.
type Condition string

// MarshalJSON implements json.Marshaler.
func (c Condition) MarshalJSON() ([]byte, error) {
	if c == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(c))
}

// ClaimNames is one name, or a list of them.
type ClaimNames []string

// MarshalJSON implements json.Marshaler.
func (n ClaimNames) MarshalJSON() ([]byte, error) {
	if len(n) == 1 {
		return json.Marshal(n[0])
	}
	return json.Marshal([]string(n))
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *ClaimNames) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*n = ClaimNames{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(n))
}

// Seconds is a duration in whole seconds.
type Seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(int64(time.Duration(s) / time.Second))
}

// UnmarshalJSON implements json.Unmarshaler. No number overflows into a valid
// one.
func (s *Seconds) UnmarshalJSON(data []byte) error {
	var n int64
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	const most = int64(MaxMaxLifetime/time.Second) + 1
	*s = Seconds(time.Duration(min(max(n, -1), most)) * time.Second)
	return nil
}

// ValidClaimName tells whether s can name a claim.
func ValidClaimName(s string) bool { return ValidName(s) && len(s) <= maxClaimBytes }

// check notes what is wrong with the rules, at pointers below a place.
func (r *TokenRules) check(faults *Invalid, place string) {
	known := !slices.ContainsFunc(r.Algorithms, func(a string) bool { return !slices.Contains(Algorithms(), a) })
	faults.Add(len(r.Algorithms) > 0 && known && unique(r.Algorithms), place+"/algorithms", "invalid", "want one or more of "+strings.Join(Algorithms(), " "))
	sound := !slices.ContainsFunc(r.Audiences, func(a string) bool { return !ValidAudience(a) })
	faults.Add(sound && unique(r.Audiences) && len(r.Audiences) <= MaxAudiences, place+"/audiences", "invalid", "want at most 16 values of printable ASCII without spaces")
	named := validClaimNames(r.AudienceClaims) && !slices.ContainsFunc(r.AudienceClaims, func(c string) bool { return strings.HasPrefix(c, "/") })
	faults.Add(named && len(r.AudienceClaims) <= maxAudienceClaims, place+"/audience_claims", "invalid", "want the names of 1 to 4 different claims, not JSON Pointers")
	other := slices.ContainsFunc(r.AudienceClaims, func(c string) bool { return c != "aud" })
	faults.Add(!other || len(r.Audiences) > 0, place+"/audiences", "required", "want the values of audience_claims that are meant for you: what this server is called stands in aud alone")
	faults.Add(validRequired(r.RequiredClaims), place+"/required_claims", "invalid",
		"want at most 16 different claims, each a name or a JSON Pointer, with at most 32 values of 1 to 512 bytes")
	faults.Add(validClaimNames(r.PermissionsClaims) && len(r.PermissionsClaims) <= MaxPermissionsClaims,
		place+"/permissions_claim", "invalid", "want the name of a claim or a JSON Pointer to it, or a list of 1 to 8 different ones")
	faults.Add(slices.Contains(PermissionsFormats(), r.PermissionsFormat), place+"/permissions_format", "invalid", "want one of "+strings.Join(PermissionsFormats(), " "))
	life := time.Duration(r.MaxLifetime)
	faults.Add(life >= time.Second && life <= MaxMaxLifetime, place+"/max_lifetime", "invalid", "want 1 to 31622400 seconds")
}

func validClaimNames(names []string) bool {
	return len(names) > 0 && unique(names) && !slices.ContainsFunc(names, func(c string) bool { return !ValidClaimName(c) })
}

func validRequired(required []RequiredClaim) bool {
	names := make([]string, 0, len(required))
	for _, r := range required {
		sound := !slices.ContainsFunc(r.Values, func(v string) bool { return !ValidName(v) || len(v) > 512 })
		if !ValidClaimName(r.Claim) || !sound || len(r.Values) > maxRequiredValues || !unique(r.Values) {
			return false
		}
		names = append(names, r.Claim)
	}
	return len(required) <= maxRequiredClaims && unique(names)
}

// Bound tells whether the rules ask for something that tells the tokens of one
// tenant from those of another, where all are signed with the same keys: a
// value of a claim that the provider sets, or a condition on one.
func (r *TokenRules) Bound(condition []string) bool {
	return slices.ContainsFunc(condition, tellsTenants) ||
		slices.ContainsFunc(r.RequiredClaims, func(c RequiredClaim) bool { return len(c.Values) > 0 && tellsTenants(c.Claim) })
}

// AudienceBound tells whether the audience is the aud of a token, and the key
// URL's own.
func (r *TokenRules) AudienceBound() bool {
	return len(r.Audiences) > 0 && slices.Equal(r.AudienceClaims, []string{"aud"})
}

// tellsTenants: what every token has says nothing of whose it is, and aud is
// asked for by whoever gets it.
func tellsTenants(claim string) bool {
	return !slices.Contains([]string{"iss", "aud", "exp", "iat", "nbf", "jti", "typ"}, strings.TrimPrefix(claim, "/"))
}

// AuditID names a trial: any change to the key URL begins another.
func (k *KeyURL) AuditID() string { return k.ID + ":" + strconv.FormatInt(k.Revision, 10) }

// Change is some members of TokenRules with other values, as JSON.
type Change json.RawMessage

// errUnknownRule names no member: whoever wants to know is told which there are.
var errUnknownRule = errors.New("want an object with members of the rules for subject tokens")

// Apply gives the rules with the change in force.
func (c Change) Apply(rules TokenRules) (TokenRules, error) {
	// What was is not to be written over where the copy shares it.
	text, err := json.Marshal(rules)
	if err != nil {
		return rules, err
	}
	var changed TokenRules
	if err := json.Unmarshal(text, &changed); err != nil {
		return rules, err
	}
	var members, known map[string]json.RawMessage
	if json.Unmarshal(c, &members) != nil || json.Unmarshal(text, &known) != nil {
		return rules, errUnknownRule
	}
	for name := range members { // exactly: encoding/json takes names in any case
		if _, ok := known[name]; !ok {
			return rules, errUnknownRule
		}
	}
	if json.Unmarshal(c, &changed) != nil {
		return rules, errUnknownRule
	}
	return changed, nil
}
