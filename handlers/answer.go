package handlers

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/cambio-oauth/cambio/grants"
)

// retryAfter is how many seconds a client is asked to wait when the trouble is
// ours.
const retryAfter = "5"

// refusalAnswer is RFC 6749 §5.2, with the reason for those entitled to it.
type refusalAnswer struct {
	Error       grants.Code   `json:"error"`
	Description string        `json:"error_description,omitempty"`
	Reason      grants.Reason `json:"reason,omitempty"`
}

// strangersText is all that a caller who did not authenticate learns about a
// refused subject token: neither which issuers are registered nor how far a
// forged token came.
const strangersText = "the subject token was not accepted"

// refuse is the one place where a refusal becomes an answer.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, event *Event, refusal *grants.Refusal) {
	refusal = s.limits.charge(noteOf(r.Context()), refusal)
	status, limited := http.StatusBadRequest, (*tooMany)(nil)
	answer := refusalAnswer{Error: refusal.Code, Description: refusal.Description}
	switch {
	case errors.Is(refusal, errTooLarge):
		status = http.StatusRequestEntityTooLarge
	case refusal.Code == grants.InvalidClient:
		status = http.StatusUnauthorized
	case errors.As(refusal, &limited):
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", strconv.FormatInt(limited.retryAfter(), 10))
	case errors.Is(refusal, errNoPlace):
		event.TurnedAway = true
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	case refusal.Code == grants.TemporarilyUnavailable:
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", retryAfter)
	case refusal.Code == grants.ServerError:
		status = http.StatusInternalServerError
	case refusal.Expected != "" && noteOf(r.Context()).verified:
		answer.Reason = refusal.Reason
		answer.Description += " (expected " + refusal.Expected + "; found " + refusal.Found + ")"
	case refusal.Reason != "":
		answer.Description = strangersText
	}
	answer.Description = describable(answer.Description)
	if status == http.StatusUnauthorized {
		// RFC 6749 §5.2. The error stands here too because some client
		// libraries show nothing but the challenge.
		w.Header().Set("WWW-Authenticate", `Basic realm="cambio", error="`+string(answer.Error)+`", error_description="`+answer.Description+`"`)
	}
	event.Code, event.Reason = refusal.Code, refusal.Reason
	switch {
	case refusal.Reason == grants.KeysUnavailable: // an integrator's server; keys/remote says which
		s.config.Log.WarnContext(r.Context(), "request failed", "endpoint", event.Endpoint, "error", refusal)
	case status >= http.StatusInternalServerError && !errors.Is(refusal, errNoPlace):
		s.config.Log.ErrorContext(r.Context(), "request failed", "endpoint", event.Endpoint, "error", refusal)
	}
	s.answer(w, r, event, status, answer)
}

// describable keeps to the characters of error_description (RFC 6749 §5.2:
// %x20-21 / %x23-5B / %x5D-7E), whatever a token holds, and to a length that a
// header can carry.
func describable(text string) string {
	const limit = 800
	text = strings.Map(func(c rune) rune {
		switch {
		case c == '"':
			return '\''
		case c < 0x20 || c > 0x7e || c == '\\':
			return '?'
		}
		return c
	}, text)
	if len(text) > limit {
		text = text[:limit] + "..."
	}
	return text
}

// answer writes JSON that nobody may keep (RFC 6749 §5.1).
func (s *Server) answer(w http.ResponseWriter, r *http.Request, event *Event, status int, value any) {
	noStore(w)
	s.write(w, r, event, status, value)
}

func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, event *Event, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		s.config.Log.ErrorContext(r.Context(), "an answer could not be encoded", "error", err)
		status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	event.Status = status
	w.WriteHeader(status)
	_, _ = w.Write(body) // the reader is gone: nothing to be done
}
