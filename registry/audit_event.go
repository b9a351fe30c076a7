package registry

import (
	"context"
	"encoding/json"
	"time"
)

// AuditEvent says who changed what. It holds no secret.
type AuditEvent struct {
	ID           string // UUIDv7
	At           time.Time
	ClientID     string // who
	IntegratorID string // whose; empty for what is the platform's
	Action       string // create, update, delete, link, unlink, add_secret, revoke_tokens, refresh or rotate
	Kind         string // of the object, as in the path of the admin API
	ObjectID     string
	Before       json.RawMessage // its writable members; nil when there was nothing
	After        json.RawMessage // likewise
}

// AuditFilter names events; what is empty names all.
type AuditFilter struct{ IntegratorID, ObjectID string }

// PendingEvent is an event whose change is under way. The store writes it in the
// transaction of the change, so that neither is without the other.
type PendingEvent struct {
	AuditEvent
	// Complete, when not nil, fills in what is known once the change is made.
	Complete func(e *AuditEvent) error
	Written  bool
}

type pendingKey struct{}

// WithEvent gives a context whose change is to be written down.
func WithEvent(ctx context.Context, e *PendingEvent) context.Context {
	return context.WithValue(ctx, pendingKey{}, e)
}

// EventOf gives the event to write down, nil when there is none or it is
// written.
func EventOf(ctx context.Context) *PendingEvent {
	e, _ := ctx.Value(pendingKey{}).(*PendingEvent)
	if e == nil || e.Written {
		return nil
	}
	return e
}
