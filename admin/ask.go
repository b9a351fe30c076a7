package admin

import (
	"bytes"
	"context"
	"net/http"

	"github.com/gorilla/mux"
)

// Answer is what was answered to somebody who asked in this process.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

type callerKey struct{}

// Ask has the API serve a request of somebody whose sign-in another door has
// checked, as the panel does. Everything else is as if the request had come over
// the network: what a caller may see and change is said in one place.
func (a *API) Ask(r *http.Request, caller Caller) Answer {
	return Recorded(a.routes(), r.WithContext(context.WithValue(r.Context(), callerKey{}, caller)))
}

// Recorded has a handler serve a request in this process.
func Recorded(handler http.Handler, r *http.Request) Answer {
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	handler.ServeHTTP(w, r)
	return Answer{Status: w.status, Header: w.header, Body: w.body.Bytes()}
}

// routed gives the API's routes on a router of their own.
func (a *API) routed() http.Handler {
	router := mux.NewRouter().SkipClean(true)
	a.Mount(router)
	return router
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
