package grants

import (
	"fmt"
	"strconv"
)

// Code is an error code of RFC 6749 §5.2 or of one of its extensions.
type Code string

// Error codes of the token, introspection and revocation endpoints.
const (
	InvalidRequest         Code = "invalid_request"
	InvalidClient          Code = "invalid_client"
	InvalidGrant           Code = "invalid_grant"
	InvalidScope           Code = "invalid_scope"
	InvalidTarget          Code = "invalid_target" // RFC 8693 §2.2.2, RFC 8707 §2
	UnauthorizedClient     Code = "unauthorized_client"
	UnsupportedGrantType   Code = "unsupported_grant_type"
	TemporarilyUnavailable Code = "temporarily_unavailable"
	ServerError            Code = "server_error"
)

// Codes lists every error code.
func Codes() []Code {
	return []Code{InvalidRequest, InvalidClient, InvalidGrant, InvalidScope, InvalidTarget, UnauthorizedClient, UnsupportedGrantType,
		TemporarilyUnavailable, ServerError}
}

// Reason says why a subject token was refused. The same word stands in the
// answer to an authenticated client, the log, the metrics and the exchange
// record.
type Reason string

// Reasons of the contract.
const (
	Malformed           Reason = "malformed"
	TooLarge            Reason = "too_large"
	AlgNotAllowed       Reason = "alg_not_allowed"
	HeaderNotAllowed    Reason = "header_not_allowed"
	TypNotAllowed       Reason = "typ_not_allowed"
	IssuerUnknown       Reason = "issuer_unknown"
	KeyNotFound         Reason = "key_not_found"
	KeyAmbiguous        Reason = "key_ambiguous"
	KeyUnusable         Reason = "key_unusable"
	SignatureInvalid    Reason = "signature_invalid"
	AudienceMismatch    Reason = "audience_mismatch"
	TokenExpired        Reason = "token_expired"
	TokenNotYetValid    Reason = "token_not_yet_valid"
	LifetimeTooLong     Reason = "lifetime_too_long"
	ClaimMissing        Reason = "claim_missing"
	ClaimInvalid        Reason = "claim_invalid"
	ConditionFailed     Reason = "condition_failed"
	WrongTokenKind      Reason = "wrong_token_kind"
	PermissionsInvalid  Reason = "permissions_invalid"
	Replayed            Reason = "replayed"
	IntegratorDisabled  Reason = "integrator_disabled"
	KeysUnavailable     Reason = "keys_unavailable"     // ours, not the token's: always a 503
	DatabaseUnavailable Reason = "database_unavailable" // likewise
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{Malformed, TooLarge, AlgNotAllowed, HeaderNotAllowed, TypNotAllowed, IssuerUnknown, KeyNotFound, KeyAmbiguous, KeyUnusable,
		SignatureInvalid, AudienceMismatch, TokenExpired, TokenNotYetValid, LifetimeTooLong, ClaimMissing, ClaimInvalid, ConditionFailed,
		WrongTokenKind, PermissionsInvalid, Replayed, IntegratorDisabled, KeysUnavailable, DatabaseUnavailable}
}

// Refusal is why a request was not granted. It is a value: grants return it,
// handlers alone writes it.
type Refusal struct {
	Code        Code
	Reason      Reason // empty unless the subject token, or what we need to judge it, is at fault
	Description string // what is wrong, for whoever is entitled to know
	Expected    string // what would have been accepted
	Found       string // what was sent instead
	Cause       error  // for the log only; never on the wire
}

// Error implements error. It is for logs: it names the code and the reason,
// and holds no part of a token.
func (r *Refusal) Error() string {
	text := string(r.Code)
	if r.Reason != "" {
		text += " (" + string(r.Reason) + ")"
	}
	if r.Description != "" {
		text += ": " + r.Description
	}
	if r.Cause != nil {
		text += ": " + r.Cause.Error()
	}
	return text
}

// Unwrap gives the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// Refuse makes a refusal that is about the request, not about a token.
func Refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Description: fmt.Sprintf(format, args...)}
}

// Expecting adds what only a client that authenticated is told.
func (r *Refusal) Expecting(expected, found string) *Refusal {
	r.Expected, r.Found = expected, found
	return r
}

// RefuseToken makes a refusal of the subject token. RFC 8693 §2.2.2: a token
// that is invalid for any reason, or unacceptable by policy, MUST be answered
// with invalid_request.
func RefuseToken(reason Reason, description, expected, found string) *Refusal {
	return &Refusal{Code: InvalidRequest, Reason: reason, Description: description, Expected: expected, Found: found}
}

// Unavailable makes a refusal for a failure of ours. It is never answered as
// "invalid": a client would throw away a good token or a good secret.
func Unavailable(reason Reason, description string, cause error) *Refusal {
	return &Refusal{Code: TemporarilyUnavailable, Reason: reason, Description: description, Cause: cause}
}

// Shown is what a refusal shows of a stranger's text: printable ASCII, and no
// more than helps.
func Shown(text string) string {
	const limit = 256
	more := ""
	if len(text) > limit {
		text, more = text[:limit], "..."
	}
	quoted := strconv.QuoteToASCII(text)
	return quoted[1:len(quoted)-1] + more
}
