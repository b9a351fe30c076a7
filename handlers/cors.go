package handlers

import (
	"net/http"
	"slices"
)

// exposedHeaders are what a page may read of an answer besides its body.
const exposedHeaders = "Retry-After, WWW-Authenticate, X-Request-Id"

// preflight answers every origin: which client a request will name is not
// known before the request. Whether the page may read the answer is decided by
// allowOrigin, on the answer itself.
func preflight(w http.ResponseWriter, event *Event, methods string) {
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Allow-Methods", methods)
	header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	header.Set("Access-Control-Max-Age", "600")
	event.Status = http.StatusNoContent
	w.WriteHeader(http.StatusNoContent)
}

// allowOrigin lets a page of another origin read the answer: of a client, when
// the client lists the origin; without a client, always. Never with
// credentials: nothing here goes by cookies.
func (s *Server) allowOrigin(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return
	}
	note := noteOf(r.Context())
	switch {
	case !note.presented:
		header.Set("Access-Control-Allow-Origin", "*")
	case note.client != nil && slices.Contains(note.client.AllowedOrigins, origin):
		header.Set("Access-Control-Allow-Origin", origin)
	default:
		return
	}
	header.Set("Access-Control-Expose-Headers", exposedHeaders)
}
