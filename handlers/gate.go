package handlers

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cambio-oauth/cambio/grants"
)

// repeatable are the parameters that may stand more than once (RFC 8693 §2.1).
// RFC 6749 §3.2: no other may.
func repeatable(name string) bool { return name == "audience" || name == "resource" }

// errTooLarge marks a body past the limit, which is answered with 413.
var errTooLarge = errors.New("body too large")

// readForm bounds and reads a form body before fosite or anybody else sees a
// byte of it. fosite by itself takes 10 MB, multipart, duplicates and any
// number of scopes, some of them at quadratic cost.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, *grants.Refusal) {
	if refusal := checkHead(r, formMediaType); refusal != nil {
		return nil, refusal
	}
	body, refusal := readBody(w, r)
	if refusal != nil {
		return nil, refusal
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, grants.Refuse(grants.InvalidRequest, "the body is not a well-formed application/x-www-form-urlencoded form")
	}
	return form, checkParameters(form)
}

// formMediaType is what RFC 6749 §3.2 has requests in.
const formMediaType = "application/x-www-form-urlencoded"

// checkHead holds the parts of a request outside its body against the rules.
func checkHead(r *http.Request, mediaTypes ...string) *grants.Refusal {
	// RFC 6749 §2.3.1, RFC 6750 §5.3: a URL ends up in logs.
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return grants.Refuse(grants.InvalidRequest, "parameters belong in the body, not in the URL")
	}
	if r.Header.Get("Content-Encoding") != "" {
		return grants.Refuse(grants.InvalidRequest, "an encoded body is not accepted")
	}
	types := r.Header.Values("Content-Type")
	if len(types) == 1 {
		mediaType, parameters, err := mime.ParseMediaType(types[0])
		charset, named := parameters["charset"]
		if err == nil && slices.Contains(mediaTypes, mediaType) && (!named || strings.EqualFold(charset, "utf-8")) {
			return nil
		}
	}
	return grants.Refuse(grants.InvalidRequest, "the Content-Type must be %s", strings.Join(mediaTypes, " or "))
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *grants.Refusal) {
	var buffer bytes.Buffer
	buffer.Grow(int(min(max(r.ContentLength, 0), grants.MaxBodyBytes)) + bytes.MinRead) // in one piece, where the length is said
	_, err := buffer.ReadFrom(http.MaxBytesReader(w, r.Body, grants.MaxBodyBytes))
	body := buffer.Bytes()
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		// net/http would wait for up to 256 KiB more of a chunked body before
		// it answers.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
		refusal := grants.Refuse(grants.InvalidRequest, "the body is larger than %d bytes", grants.MaxBodyBytes)
		refusal.Cause = errTooLarge
		return nil, refusal
	case err != nil:
		return nil, grants.Refuse(grants.InvalidRequest, "the body could not be read")
	}
	return body, enter(r.Context())
}

// checkParameters holds the parameters against what every endpoint shares.
func checkParameters(form url.Values) *grants.Refusal {
	for name, values := range form {
		if len(values) > 1 && !repeatable(name) {
			return grants.Refuse(grants.InvalidRequest, "a parameter is included more than once")
		}
		if len(values) > grants.MaxTargets {
			return grants.Refuse(grants.InvalidTarget, "more than %d audience and resource values were requested", grants.MaxTargets)
		}
		if !isText(name) {
			return grants.Refuse(grants.InvalidRequest, "the name of a parameter is not valid UTF-8 text")
		}
		for _, value := range values {
			if !isText(value) {
				return grants.Refuse(grants.InvalidRequest, "a parameter is not valid UTF-8 text")
			}
			// fosite splits a single audience at spaces, at quadratic cost.
			if repeatable(name) && strings.Contains(value, " ") {
				return grants.Refuse(grants.InvalidTarget, "a requested audience or resource is not a registered resource server")
			}
		}
	}
	_, refusal := grants.SplitScope(form.Get("scope"))
	return refusal
}

// isText: RFC 6749 appendix B has UTF-8, and NUL ends a text in other people's
// software.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// checkGrantType answers what fosite would call invalid_request.
func checkGrantType(form url.Values) *grants.Refusal {
	switch form.Get("grant_type") {
	case grants.ClientCredentials:
		// Whoever names a user here would get a token without one.
		for _, name := range []string{"subject_token", "actor_token", "assertion"} {
			if form.Get(name) != "" {
				return grants.Refuse(grants.InvalidRequest, "client_credentials has no %s", name)
			}
		}
		return nil
	case grants.TokenExchange, grants.JWTBearer:
		return nil
	case "":
		return grants.Refuse(grants.InvalidRequest, "grant_type is required")
	}
	return grants.Refuse(grants.UnsupportedGrantType, "the supported grant types are %s, %s and %s", grants.ClientCredentials, grants.TokenExchange, grants.JWTBearer)
}

// withForm gives fosite a request that is parsed already.
func withForm(r *http.Request, form url.Values) *http.Request {
	copied := *r
	copied.PostForm, copied.Form = form, form
	copied.Body = http.NoBody
	if r.Header.Get("Content-Type") != formMediaType { // the dialect takes JSON, too
		copied.Header = r.Header.Clone()
		copied.Header.Set("Content-Type", formMediaType)
	}
	return &copied
}
