package admin

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/cambio-oauth/cambio/registry"
)

// Errors of this room.
var (
	errForbidden    = errors.New("this is for operators only")
	errMalformed    = errors.New("the body is not one well-formed JSON object in which every member stands once")
	errBody         = errors.New("this operation has no body: what can be asked for is a query parameter")
	errBusy         = errors.New("others read the record of exchanges at the moment: try again")
	errTooLarge     = errors.New("the body is too large")
	errMediaType    = errors.New("the Content-Type must be application/json or, for PATCH, application/merge-patch+json")
	errMethod       = errors.New("this path does not have this method: see Allow")
	errCursor       = errors.New("the cursor is not one of this list")
	errSearch       = errors.New("want at most 256 bytes of text to search for")
	errLimit        = errors.New("limit must be a number from 1 to 200")
	errPrecondition = errors.New("the object was changed: If-Match does not name its present version")
)

// problem is RFC 9457, with a code for programs and the fields at fault.
type problem struct {
	Type   string                `json:"type"`
	Title  string                `json:"title"`
	Status int                   `json:"status"`
	Detail string                `json:"detail,omitempty"`
	Code   string                `json:"code"`
	Errors []registry.FieldError `json:"errors,omitempty"`
}

// fail is the one place where an error becomes an answer. What is not known
// here is ours, and its text stays in the log.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	switch p.Status {
	case http.StatusUnauthorized:
		// RFC 6750 §3.1: without a token the challenge names no error.
		challenge := `Bearer realm="cambio"`
		if errors.Is(err, errInvalidToken) {
			challenge += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "1")
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
		a.config.Log.ErrorContext(r.Context(), "admin request failed", "method", r.Method, "error", err)
	}
	if errors.Is(err, errScope) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="cambio", error="insufficient_scope", scope="admin integrator.admin"`)
	}
	if tooMany := (tooManyError{}); errors.As(err, &tooMany) {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(tooMany.wait.Seconds()))))
	}
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte(`{"type":"about:blank","title":"Internal Server Error","status":500,"code":"internal"}`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}

// knownErrors are those whose text is fit for everybody.
func knownErrors() []knownError {
	return []knownError{
		{errNoToken, http.StatusUnauthorized, "invalid_token"},
		{errInvalidToken, http.StatusUnauthorized, "invalid_token"},
		{errScope, http.StatusForbidden, "insufficient_scope"},
		{errForbidden, http.StatusForbidden, "forbidden"},
		{errMalformed, http.StatusBadRequest, "malformed"},
		{errBody, http.StatusBadRequest, "malformed"},
		{errBusy, http.StatusTooManyRequests, "too_many_requests"},
		{errMethod, http.StatusMethodNotAllowed, "method_not_allowed"},
		{errCursor, http.StatusBadRequest, "invalid_cursor"},
		{errLimit, http.StatusBadRequest, "invalid_limit"},
		{errSearch, http.StatusBadRequest, "invalid_search"},
		{errFilter, http.StatusBadRequest, "invalid_filter"},
		{errOverlap, http.StatusBadRequest, "invalid_overlap"},
		{errHours, http.StatusBadRequest, "invalid_hours"},
		{errTooLarge, http.StatusRequestEntityTooLarge, "too_large"},
		{errMediaType, http.StatusUnsupportedMediaType, "unsupported_media_type"},
		{errIdempotencyKey, http.StatusBadRequest, "invalid_idempotency_key"},
		{errKeyReused, http.StatusUnprocessableEntity, "idempotency_key_reused"},
		{errPrecondition, http.StatusPreconditionFailed, "stale"},
		{errExists, http.StatusPreconditionFailed, "exists"},
		{registry.ErrStale, http.StatusConflict, "concurrent_update"},
	}
}

type knownError struct {
	err    error
	status int
	code   string
}

func problemOf(err error) problem {
	p := problem{Type: "about:blank"}
	var faults registry.Invalid
	var keys *registry.KeysUnavailable
	switch {
	case errors.As(err, &keys):
		p.Status, p.Code = http.StatusBadGateway, "keys_"+keys.Word
		p.Detail = viewFailure(keys.Word).Detail + " The keys stay as they were."
	case errors.As(err, &tooManyError{}):
		p.Status, p.Code, p.Detail = http.StatusTooManyRequests, "too_many_requests", err.Error()
	case errors.As(err, &keyError{}):
		p.Status, p.Code, p.Detail = http.StatusBadRequest, "invalid_key", err.Error()
	case errors.As(err, &ambiguousError{}):
		p.Status, p.Code, p.Detail = http.StatusConflict, "ambiguous", err.Error()
	case errors.As(err, &faults):
		p.Status, p.Code, p.Detail, p.Errors = http.StatusUnprocessableEntity, "invalid", "some members are not acceptable", faults
	case errors.Is(err, registry.ErrNotFound):
		p.Status, p.Code, p.Detail = http.StatusNotFound, "not_found", "there is no such object here"
	case errors.Is(err, registry.ErrConflict):
		p.Status, p.Code, p.Detail = http.StatusConflict, "conflict", "an object with these values exists already"
		if conflict := registry.Conflict(""); errors.As(err, &conflict) {
			p.Detail = conflict.Error()
		}
	default:
		// Whatever else went wrong is the database's: try again, nothing is lost.
		p.Status, p.Code, p.Detail = http.StatusServiceUnavailable, "unavailable", "the request could not be processed at the moment"
		for _, k := range knownErrors() {
			if errors.Is(err, k.err) {
				p.Status, p.Code, p.Detail = k.status, k.code, k.err.Error()
			}
		}
	}
	p.Title = http.StatusText(p.Status)
	return p
}
