package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

// auditColumns are a registry.Audit; without a change all are empty.
type auditColumns struct {
	Change string
	Result string
	Code   string
	Reason string
	Lost   list
	Gained list
}

func newAuditColumns(a *registry.Audit) auditColumns {
	if a == nil {
		return auditColumns{}
	}
	return auditColumns{Change: a.ChangeID, Result: a.Result, Code: a.Code, Reason: a.Reason, Lost: a.Lost, Gained: a.Gained}
}

func (c auditColumns) audit() *registry.Audit {
	if c.Change == "" {
		return nil
	}
	return &registry.Audit{ChangeID: c.Change, Result: c.Result, Code: c.Code, Reason: c.Reason, Lost: c.Lost, Gained: c.Gained}
}

// maxAuditKinds bounds how many kinds of attempts a summary adds up. An
// integrator with more of them has users with a set of scopes each.
const maxAuditKinds = 10_000

// AuditSummary adds up what a change on trial would have done.
func (s *Store) AuditSummary(ctx context.Context, integratorID, changeID string) (*registry.AuditSummary, error) {
	var kinds []struct {
		Result      string
		Audit       auditColumns `gorm:"embedded;embeddedPrefix:audit_"`
		N           int64
		First, Last int64
	}
	err := s.reader.WithContext(ctx).Raw(`SELECT result, audit_result, audit_code, audit_reason, audit_lost, audit_gained,
		COUNT(*) AS n, MIN(at) AS first, MAX(at) AS last FROM exchanges WHERE integrator_id = ? AND audit_change = ? AND audit_change <> ''
		GROUP BY result, audit_result, audit_code, audit_reason, audit_lost, audit_gained ORDER BY n DESC LIMIT ?`,
		integratorID, changeID, maxAuditKinds+1).Scan(&kinds).Error
	if err != nil {
		return nil, translate(err)
	}
	sum := &registry.AuditSummary{Reasons: map[string]int64{}, Lost: map[string]int64{}, Gained: map[string]int64{}}
	if len(kinds) > maxAuditKinds {
		kinds, sum.Incomplete = kinds[:maxAuditKinds], true
	}
	for _, kind := range kinds {
		add(sum, kind.Result, kind.Audit, kind.N)
		if first := fromMicros(kind.First); sum.First.IsZero() || first.Before(sum.First) {
			sum.First = first
		}
		if last := fromMicros(kind.Last); last.After(sum.Last) {
			sum.Last = last
		}
	}
	return sum, nil
}

// add counts n attempts of one kind.
func add(sum *registry.AuditSummary, result string, would auditColumns, n int64) {
	sum.Exchanges += n
	granted, wouldPass := result == registry.ResultGranted, would.Result == registry.ResultGranted
	if granted {
		sum.Granted += n
	}
	switch {
	case granted && wouldPass:
		for _, scope := range would.Lost {
			sum.Lost[scope] += n
		}
		for _, scope := range would.Gained {
			sum.Gained[scope] += n
		}
	case granted:
		reason := would.Reason
		if reason == "" {
			reason = would.Code
		}
		sum.WouldFail += n
		sum.Reasons[reason] += n
	case wouldPass:
		sum.WouldPass += n
	}
}

// Exchanges lists the records of an integrator that a filter names, newest
// first; page.After is the id of the last one seen.
func (s *Store) Exchanges(ctx context.Context, integratorID string, filter registry.ExchangeFilter, page registry.Page) ([]registry.Exchange, error) {
	query := s.reader.WithContext(ctx).Where("integrator_id = ?", integratorID).Order("id DESC").Limit(page.Rows())
	for _, condition := range []struct{ text, value string }{
		{"id < ?", page.After}, {"result = ?", filter.Result}, {"reason = ?", filter.Reason}, {"client_id = ?", filter.ClientID},
		{"issuer = ?", filter.Issuer}, {"subject = ?", filter.Subject}, {"key_id = ?", filter.KeyID}, {"token_id = ?", filter.TokenID},
		{"subject_token_hash = ?", filter.SubjectTokenHash},
	} {
		if condition.value != "" {
			query = query.Where(condition.text, condition.value)
		}
	}
	if !filter.From.IsZero() {
		// Ids are made after the attempt began: by them, no older record is read.
		query = query.Where("at >= ? AND id >= ?", micros(filter.From), firstID(filter.From.Add(-time.Minute)))
	}
	if !filter.To.IsZero() {
		query = query.Where("at < ?", micros(filter.To))
	}
	var rows []exchangeRow
	if err := query.Find(&rows).Error; err != nil {
		return nil, translate(err)
	}
	exchanges := make([]registry.Exchange, len(rows))
	for i, row := range rows {
		exchanges[i] = registry.Exchange{
			ID: row.ID, At: fromMicros(row.At), GrantType: row.GrantType, Result: row.Result, Code: row.Code, Reason: row.Reason,
			IntegratorID: row.IntegratorID, ClientID: row.ClientID, Issuer: row.Issuer, Subject: row.Subject, KeyID: row.KeyID,
			Granted: row.Granted, TokenID: row.TokenID, ExpiresAt: fromMicros(row.ExpiresAt),
			SubjectTokenHash: row.SubjectTokenHash, Audit: row.Audit.audit(),
		}
		if err := json.Unmarshal([]byte(row.Dropped), &exchanges[i].Dropped); err != nil {
			return nil, fmt.Errorf("record %s: %w", row.ID, err)
		}
	}
	return exchanges, nil
}
