package handlers

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
	"github.com/cambio-oauth/cambio/grants/strictjson"
)

// dialect is POST /auth/v1/token, with and without the final slash: the token
// endpoint as the users of the Unloc service wrote their programs against it.
// JSON or form in, the same grants inside, scope as an array out.
func (s *Server) dialect(w http.ResponseWriter, r *http.Request, event *Event) {
	form, refusal := readDialect(w, r)
	if refusal == nil {
		refusal = translateDialect(form)
	}
	s.serveToken(w, r, event, form, refusal, func(m *accesstoken.Minted, issuedType string) any {
		return dialectAnswer{
			AccessToken:     m.Token,
			IssuedTokenType: issuedType,
			TokenType:       "bearer",
			ExpiresIn:       m.Claims.ExpiresAt - m.Claims.IssuedAt,
			Scope:           strings.Split(m.Claims.Scope, " "),
			LockHolderIDs:   append([]string{}, m.Claims.LockHolderIDs...), // never null
		}
	})
}

type dialectAnswer struct {
	AccessToken     string   `json:"access_token"`
	IssuedTokenType string   `json:"issued_token_type,omitempty"`
	TokenType       string   `json:"token_type"`
	ExpiresIn       int64    `json:"expires_in"`
	Scope           []string `json:"scope"`
	LockHolderIDs   []string `json:"lock_holder_ids"`
}

func readDialect(w http.ResponseWriter, r *http.Request) (url.Values, *grants.Refusal) {
	if refusal := checkHead(r, "application/json", formMediaType); refusal != nil {
		return nil, refusal
	}
	if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType != "application/json" {
		return readForm(w, r)
	}
	body, refusal := readBody(w, r)
	if refusal != nil {
		return nil, refusal
	}
	form, refusal := formOfJSON(body)
	if refusal != nil {
		return nil, refusal
	}
	return form, checkParameters(form)
}

// formOfJSON turns a JSON body into the form it stands for. Members nobody
// knows are ignored (RFC 6749 §3.2), those we know must be strings.
func formOfJSON(body []byte) (url.Values, *grants.Refusal) {
	var members map[string]json.RawMessage
	if err := strictjson.Unmarshal(body, &members); err != nil || members == nil {
		return nil, grants.Refuse(grants.InvalidRequest, "the body is not one well-formed JSON object in which every member stands once")
	}
	form := url.Values{}
	for _, name := range misspelt() {
		if _, ok := members[name]; ok {
			form.Set(name, "")
		}
	}
	for _, name := range dialectParameters() {
		raw, ok := members[name]
		if !ok || string(raw) == "null" {
			continue
		}
		var one string
		if json.Unmarshal(raw, &one) == nil {
			form.Set(name, one)
			continue
		}
		values, ok := stringArray(raw)
		if !ok || name != "scope" && !repeatable(name) {
			return nil, grants.Refuse(grants.InvalidRequest, "the member %s is not a string", name)
		}
		if name == "scope" {
			for _, scope := range values {
				if !grants.ValidScope(scope) { // one element is one scope
					return nil, grants.Refuse(grants.InvalidScope, "scope holds a character that RFC 6749 section 3.3 does not allow")
				}
			}
			values = []string{strings.Join(values, " ")}
		}
		form[name] = values
	}
	return form, nil
}

// stringArray is strict where encoding/json is not: null is no string. It ends
// at the first element that is none.
func stringArray(raw json.RawMessage) ([]string, bool) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return nil, false
	}
	values := []string{}
	for decoder.More() {
		token, err := decoder.Token()
		text, ok := token.(string)
		if err != nil || !ok {
			return nil, false
		}
		values = append(values, text)
	}
	return values, true
}

func dialectParameters() []string {
	return []string{
		"grant_type", "grant", "subjectToken", "subject_token", "subject_token_type", "requested_token_type",
		"actor_token", "actor_token_type", "scope", "audience", "resource",
		"client_id", "client_secret", "client_assertion", "client_assertion_type",
	}
}

// misspelt are names that this dialect never had. Ignoring them would turn a
// request with credentials into one without a client.
func misspelt() []string {
	return []string{"clientId", "clientSecret", "clientAssertion", "actorToken"}
}

// translateDialect gives parameters their names of the RFCs. Both spellings at
// once are an error: one of them would be ignored, and nobody knows which.
func translateDialect(form url.Values) *grants.Refusal {
	for _, name := range misspelt() {
		if form.Has(name) {
			return grants.Refuse(grants.InvalidRequest, "%s is not a parameter: only subjectToken has a spelling of its own", name)
		}
	}
	for spelling, name := range map[string]string{"grant": "grant_type", "subjectToken": "subject_token"} {
		if value := form.Get(spelling); value != "" {
			if form.Get(name) != "" {
				return grants.Refuse(grants.InvalidRequest, "%s and %s are two spellings of one parameter: send one", spelling, name)
			}
			form.Set(name, value)
		}
		form.Del(spelling)
	}
	switch form.Get("grant_type") {
	case "", grants.ClientCredentials, grants.TokenExchange:
	case "token_exchange":
		form.Set("grant_type", grants.TokenExchange)
	default: // whatever other grants there are, this dialect never had them
		return grants.Refuse(grants.UnsupportedGrantType, "the supported grant types are %s and token_exchange", grants.ClientCredentials)
	}
	if form.Get("grant_type") == grants.TokenExchange && form.Get("subject_token_type") == "" {
		form.Set("subject_token_type", grants.TokenTypeJWT)
	}
	return nil
}
