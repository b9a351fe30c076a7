package assertion

import (
	"errors"
	"fmt"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/jws"
)

// Token is a subject token that is well formed. Nothing it says is true yet.
type Token struct {
	Issuer   string
	Audience []string // aud; nil when there is none

	signed *jws.Token
}

// KeyID gives the kid header, empty when there is none.
func (t *Token) KeyID() string { return t.signed.KeyID }

// Parse bounds and reads a subject token. It gives what is needed to find the
// policy, and refuses what no policy could accept.
func Parse(raw string) (*Token, *grants.Refusal) {
	signed, err := jws.ParseJWT(raw, grants.MaxSubjectTokenBytes)
	switch {
	case errors.Is(err, jws.ErrTooLarge):
		return nil, grants.RefuseToken(grants.TooLarge, "the subject token is too large",
			fmt.Sprintf("at most %d bytes", grants.MaxSubjectTokenBytes), fmt.Sprintf("%d bytes", len(raw)))
	case errors.Is(err, jws.ErrHeaderNotAllowed):
		return nil, grants.RefuseToken(grants.HeaderNotAllowed, "the subject token has a header that is not allowed",
			"no crit, b64, zip, enc or cty", err.Error())
	case err != nil:
		return nil, grants.RefuseToken(grants.Malformed, "the subject token is not a well-formed signed JWT",
			"a compact JWS (RFC 7515 section 7.1) whose payload is a JSON object", err.Error())
	}
	token := &Token{signed: signed}
	for name := range signed.Members {
		if claim, ok := twinOf(name); ok {
			return nil, grants.RefuseToken(grants.Malformed, "a claim of the subject token has a name that reads like "+claim, claim, grants.Shown(name))
		}
	}
	var refusal *grants.Refusal
	if token.Issuer, refusal = token.requiredString("iss", 2048); refusal != nil {
		return nil, refusal
	}
	if raw, ok := signed.Members["aud"]; ok && !isNull(raw) { // whether it must be there is for the policy to say
		if token.Audience, refusal = token.texts("aud"); refusal != nil {
			return nil, refusal
		}
	}
	return token, nil
}

// ClaimedSubject gives sub before anything is verified; empty unless it is a
// string.
func (t *Token) ClaimedSubject() string {
	subject, _ := t.signed.Members.Text("sub")
	return subject
}

// typIDJAG is the typ of draft-ietf-oauth-identity-assertion-authz-grant §3.
const typIDJAG = "oauth-id-jag+jwt"

// IdentityAssertion tells whether the token says that it is an ID-JAG.
func (t *Token) IdentityAssertion() bool { return t.signed.Type == typIDJAG }

// checkKind refuses JWTs that were made for another purpose (RFC 8725 §3.11):
// an ID token was meant for a client, a logout token for a logout.
func (t *Token) checkKind(policy *Policy) *grants.Refusal {
	switch typ := t.signed.Type; {
	case typ == "", typ == "jwt", typ == "at+jwt":
	case typ == typIDJAG && policy.AllowIDJAG:
	case typ == typIDJAG:
		return grants.RefuseToken(grants.TypNotAllowed, "identity assertions are for the JWT bearer grant, at a key URL with allow_id_jag",
			"JWT, at+jwt or no typ", typ)
	default:
		return grants.RefuseToken(grants.TypNotAllowed, "the typ header says that this token was made for another purpose",
			"JWT, at+jwt or no typ", grants.Shown(t.signed.Type))
	}
	if t.has("cnf") { // RFC 9449 §6, RFC 8705 §3: useless without its key, and we would make a bearer token of it
		return grants.RefuseToken(grants.WrongTokenKind, "this token is bound to a key of its client", "a bearer token", "claim cnf")
	}
	if t.has("events") {
		return grants.RefuseToken(grants.WrongTokenKind, "this is a logout token or a security event token", "an access token", "claim events")
	}
	if policy.AllowIDToken {
		return nil
	}
	for _, claim := range []string{"nonce", "at_hash", "c_hash"} {
		if t.has(claim) {
			return grants.RefuseToken(grants.WrongTokenKind, "this is an ID token", "an access token, or a key URL with allow_id_token", "claim "+claim)
		}
	}
	for _, mark := range [][2]string{{"token_use", "id"}, {"typ", "ID"}} { // Cognito, Keycloak
		if text, ok := t.signed.Members.Text(mark[0]); ok && text == mark[1] {
			return grants.RefuseToken(grants.WrongTokenKind, "this is an ID token", "an access token, or a key URL with allow_id_token", mark[0]+" "+mark[1])
		}
	}
	return nil
}
