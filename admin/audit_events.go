package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cambio-oauth/cambio/registry"
)

// auditEventView says who changed what.
type auditEventView struct {
	ID           string          `json:"id"`
	At           time.Time       `json:"at"`
	ClientID     string          `json:"client_id"`
	IntegratorID string          `json:"integrator_id,omitempty"`
	Action       string          `json:"action"`
	Kind         string          `json:"object"`
	ObjectID     string          `json:"object_id"`
	Before       json.RawMessage `json:"before,omitempty"`
	After        json.RawMessage `json:"after,omitempty"`
}

// listAuditEvents answers who changed what, newest first: to an operator all,
// to an integrator what is its own.
func (a *API) listAuditEvents(w http.ResponseWriter, r request) error {
	asked := r.URL.Query()
	filter := registry.AuditFilter{IntegratorID: asked.Get("integrator"), ObjectID: asked.Get("object_id")}
	if !r.caller.Operator() {
		filter.IntegratorID = r.caller.IntegratorID // whatever it asks for
	}
	for _, value := range []string{filter.IntegratorID, filter.ObjectID} {
		if len(value) > maxSearchBytes || !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
			return errSearch
		}
	}
	name := "audit-events " + filter.IntegratorID + " " + filter.ObjectID
	return serveList(a, w, r, name, func(page registry.Page) ([]registry.AuditEvent, error) {
		return a.config.Store.AuditEvents(r.Context(), filter, page)
	}, func(e *registry.AuditEvent) (string, any) { return e.ID, auditEventView(*e) })
}

// audited gives the context in which a change is made that is to be written
// down. after is asked when the change is made, for what only the store knows.
func (r request) audited(action, kind, integratorID, objectID string, before any, after func() (objectID string, value any)) (context.Context, error) {
	event := &registry.PendingEvent{AuditEvent: registry.AuditEvent{
		ClientID: r.caller.ClientID, IntegratorID: integratorID, Action: action, Kind: kind, ObjectID: objectID,
	}}
	var err error
	if before != nil {
		if event.Before, err = json.Marshal(before); err != nil {
			return nil, err
		}
	}
	if after != nil {
		event.Complete = func(e *registry.AuditEvent) (err error) {
			id, value := after()
			if id != "" {
				e.ObjectID = id
			}
			if kind == "integrators" { // which is its own
				e.IntegratorID = e.ObjectID
			}
			if value != nil {
				e.After, err = json.Marshal(value)
			}
			return err
		}
	}
	return registry.WithEvent(r.Context(), event), nil
}

// kind names the objects of a path.
func kindOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
