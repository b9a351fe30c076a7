package handlers

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/cambio-oauth/cambio/grants"
)

type handle func(w http.ResponseWriter, r *http.Request, event *Event)

// door makes an endpoint of OAuth: POST only, one event a request, and alive
// after a panic. cors lets browsers in; which ones is decided with the answer.
func (s *Server) door(endpoint string, cors bool, next handle) http.Handler {
	return s.watched(endpoint, func(w http.ResponseWriter, r *http.Request, event *Event) {
		switch {
		case r.Method == http.MethodOptions && cors:
			preflight(w, event, http.MethodPost)
		case s.places.full():
			// As cheaply as can be, or refusing would take the time of those
			// who are served: the body is not read, and no line logged.
			if cors {
				s.allowOrigin(w, r)
			}
			s.refuse(w, r, event, s.places.turnAway(r.Context()))
		case r.Method != http.MethodPost:
			// RFC 6749 §3.2, RFC 7662 §2.1, RFC 7009 §2.1.
			s.refuseMethod(w, r, event, http.MethodPost)
		default:
			next(w, r, event)
		}
	})
}

// document makes an endpoint that anybody may read from anywhere.
func (s *Server) document(endpoint string, next handle) http.Handler {
	return s.watched(endpoint, func(w http.ResponseWriter, r *http.Request, event *Event) {
		if r.Method == http.MethodOptions {
			preflight(w, event, "GET, HEAD")
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", exposedHeaders)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			s.refuseMethod(w, r, event, "GET, HEAD")
			return
		}
		next(w, r, event)
	})
}

func (s *Server) refuseMethod(w http.ResponseWriter, r *http.Request, event *Event, allowed string) {
	w.Header().Set("Allow", allowed)
	event.Code = grants.InvalidRequest
	s.answer(w, r, event, http.StatusMethodNotAllowed, refusalAnswer{Error: grants.InvalidRequest, Description: "the method must be " + allowed})
}

// watched gives a request its note and its event, and closes the event.
func (s *Server) watched(endpoint string, next handle) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := s.config.Now()
		event := &Event{Endpoint: endpoint}
		note := &note{address: clientAddress(r, s.config.Proxies), places: s.places}
		r = r.WithContext(context.WithValue(r.Context(), noteKey{}, note))
		w.Header().Set("X-Content-Type-Options", "nosniff")
		defer func() {
			if cause := recover(); cause != nil {
				// Never the value itself: it could hold what was being worked on.
				s.config.Log.ErrorContext(r.Context(), "panic", "endpoint", endpoint, "type", fmt.Sprintf("%T", cause))
				event.Code = grants.ServerError
				s.answer(w, r, event, http.StatusInternalServerError, refusalAnswer{Error: grants.ServerError})
			}
			note.leave()
			event.Duration = s.config.Now().Sub(began)
			s.finish(r, event)
		}()
		next(w, r, event)
	})
}

// finish tells the metrics and the log: one line a request, and in it no part
// of a token, a secret or a key.
func (s *Server) finish(r *http.Request, event *Event) {
	note := noteOf(r.Context())
	switch {
	case note.client != nil:
		event.IntegratorID = note.client.IntegratorID
	case note.minted != nil: // without a client
		event.IntegratorID = note.minted.Claims.IntegratorID
	}
	s.config.Observe(r.Context(), *event)
	if event.TurnedAway || event.Endpoint == "metadata" || event.Endpoint == "jwks" {
		return
	}
	attributes := []slog.Attr{
		slog.String("endpoint", event.Endpoint), slog.Int("status", event.Status),
		slog.Int64("duration_us", event.Duration.Microseconds()),
	}
	add := func(name, value string) {
		if value != "" {
			attributes = append(attributes, slog.String(name, value))
		}
	}
	add("grant_type", event.Grant)
	add("error", string(event.Code))
	add("reason", string(event.Reason))
	if note.client != nil {
		add("client_id", note.client.ID)
	}
	add("integrator_id", event.IntegratorID)
	if note.minted != nil && event.Status == http.StatusOK {
		add("jti", note.minted.Claims.ID)
	}
	s.config.Log.LogAttrs(r.Context(), slog.LevelInfo, "request", attributes...)
}
