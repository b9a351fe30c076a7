package storage

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/registry"
)

type auditEventRow struct {
	ID           string `gorm:"primaryKey"`
	At           int64
	ClientID     string
	IntegratorID string
	Action       string
	Kind         string
	ObjectID     string
	OldValue     string // JSON; empty: nothing
	NewValue     string
}

// TableName implements gorm's tabler.
func (auditEventRow) TableName() string { return "audit_events" }

func (r auditEventRow) event() registry.AuditEvent {
	return registry.AuditEvent{
		ID: r.ID, At: fromMicros(r.At), ClientID: r.ClientID, IntegratorID: r.IntegratorID,
		Action: r.Action, Kind: r.Kind, ObjectID: r.ObjectID, Before: rawOrNil(r.OldValue), After: rawOrNil(r.NewValue),
	}
}

func rawOrNil(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

// noted runs a change, and writes down in its transaction who made it, if the
// context says so.
func (s *Store) noted(ctx context.Context, apply func(tx *gorm.DB) error) func(tx *gorm.DB) error {
	pending := registry.EventOf(ctx)
	if pending == nil {
		return apply
	}
	return func(tx *gorm.DB) error {
		if err := apply(tx); err != nil {
			return err
		}
		event := pending.AuditEvent
		if pending.Complete != nil {
			if err := pending.Complete(&event); err != nil {
				return err
			}
		}
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		pending.Written = true // or the transaction fails, and the request with it
		return tx.Create(&auditEventRow{
			ID: id.String(), At: micros(s.now()), ClientID: event.ClientID, IntegratorID: event.IntegratorID,
			Action: event.Action, Kind: event.Kind, ObjectID: event.ObjectID, OldValue: string(event.Before), NewValue: string(event.After),
		}).Error
	}
}

// AuditEvents lists who changed what, newest first. page.After is the id of the
// last one seen.
func (s *Store) AuditEvents(ctx context.Context, filter registry.AuditFilter, page registry.Page) ([]registry.AuditEvent, error) {
	query := s.reader.WithContext(ctx).Order("id DESC").Limit(page.Rows())
	if filter.IntegratorID != "" {
		query = query.Where("integrator_id = ?", filter.IntegratorID)
	}
	if filter.ObjectID != "" {
		query = query.Where("object_id = ?", filter.ObjectID)
	}
	if page.After != "" {
		query = query.Where("id < ?", page.After)
	}
	var rows []auditEventRow
	if err := query.Find(&rows).Error; err != nil {
		return nil, translate(err)
	}
	return convertAll(rows, auditEventRow.event), nil
}
