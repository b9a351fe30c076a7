package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// apiDocument is the OpenAPI document that a server publishes of itself.
type apiDocument struct {
	*openapi3.T
	router routers.Router
}

func (s *server) readDocument() {
	s.t.Helper()
	loader := openapi3.NewLoader()
	parsed, err := loader.LoadFromData([]byte(s.do("GET", "/admin/v1/openapi.yaml", "").mustBe(s.t, http.StatusOK).body))
	if err != nil {
		s.t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(parsed)
	if err != nil {
		s.t.Fatal(err)
	}
	s.document = &apiDocument{parsed, router}
}

// checkAnswer holds an answer of the admin API, whatever test asked for it,
// against the document: status, content type, headers and body.
func (d *apiDocument) checkAnswer(t testing.TB, r *http.Request, response *http.Response, body []byte) {
	t.Helper()
	route, variables, err := d.router.FindRoute(r)
	switch {
	case errors.Is(err, routers.ErrPathNotFound) && response.StatusCode == http.StatusNotFound,
		errors.Is(err, routers.ErrMethodNotAllowed) && response.StatusCode == http.StatusMethodNotAllowed:
		return // no operation stands in the document for these; mustBeProblem looks at them
	case err == nil && response.Header.Get("Content-Type") == "application/x-ndjson":
		for line := range bytes.Lines(body) { // of which kin-openapi knows nothing
			var record any
			err = errors.Join(err, json.Unmarshal(line, &record), d.Components.Schemas["Exchange"].Value.VisitJSON(record, openapi3.EnableJSONSchema2020()))
		}
	case err == nil && response.StatusCode == http.StatusNoContent && len(body) > 0:
		err = errors.New("a body after a 204")
	case err == nil:
		err = openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: variables, Route: route},
			Status:                 response.StatusCode,
			Header:                 response.Header,
			Body:                   io.NopCloser(bytes.NewReader(body)),
			Options:                &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
		})
	}
	if err != nil {
		t.Errorf("%s %s, %d: not as in openapi.yaml: %v\n%s", r.Method, r.URL.Path, response.StatusCode, err, body)
	}
}

// The check itself finds what is not as documented.
func TestAnswersThatAreNotAsDocumented(t *testing.T) {
	s := startServer(t, "sqlite://"+t.TempDir()+"/cambio.db", nil)
	const good = `{"id":"019aa2f0-7c1e-7b54-9a51-3f0e6f6d2c11","created_at":"2026-11-23T21:50:04Z","updated_at":"2026-11-23T21:50:04Z","name":"Acme","status":"active"}`
	for rule, c := range map[string]struct {
		status int
		body   string
		ok     bool
	}{
		"as documented":     {200, good, true},
		"another status":    {418, good, false},
		"a member missing":  {200, `{"name":"Acme"}`, false},
		"a value unlisted":  {200, good[:len(good)-8] + `asleep"}`, false},
		"not JSON":          {200, `x`, false},
		"another error one": {404, `{"oops":1}`, false},
	} {
		t.Run(rule, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/admin/v1/integrators/me", nil)
			if err != nil {
				t.Fatal(err)
			}
			recorded := &recorder{TB: t}
			s.document.checkAnswer(recorded, r, &http.Response{StatusCode: c.status, Header: http.Header{"Content-Type": {"application/json"}, "Etag": {`"1"`}}}, []byte(c.body))
			if recorded.failed == c.ok {
				t.Errorf("failed: %v", recorded.failed)
			}
		})
	}
}

// recorder notes that a check failed.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }
