package storage

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/cambio-oauth/cambio/registry"
)

type exchangeCountRow struct {
	Hour         int64
	IntegratorID string
	Result       string
	Reason       string
	Count        int64
}

// TableName implements gorm's tabler.
func (exchangeCountRow) TableName() string { return "exchange_counts" }

func (r exchangeCountRow) exchangeCount() registry.ExchangeCount {
	return registry.ExchangeCount{Hour: fromMicros(r.Hour), Result: r.Result, Reason: r.Reason, Count: r.Count}
}

// addCounts adds to what is counted already, on whichever replica: all rows or
// none. They have to be in one order everywhere, or two replicas would wait for
// each other.
func (s *Store) addCounts(ctx context.Context, rows []exchangeCountRow) error {
	return translate(s.writer.WithContext(ctx).Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "integrator_id"}, {Name: "hour"}, {Name: "result"}, {Name: "reason"}},
		DoUpdates: clause.Assignments(map[string]any{"count": gorm.Expr("exchange_counts.count + excluded.count")}),
	}).Create(&rows).Error)
}

// ExchangeCounts gives how many attempts there were in the hours that began
// from a moment on and before another, the oldest first: of one integrator, or
// of all together when integratorID is empty. What replicas have not flushed
// yet is not among them.
func (s *Store) ExchangeCounts(ctx context.Context, integratorID string, from, to time.Time) ([]registry.ExchangeCount, error) {
	var rows []exchangeCountRow
	err := s.reader.WithContext(ctx).Where("integrator_id = ? AND hour >= ? AND hour < ?", integratorID, micros(from), micros(to)).
		Order("hour, result, reason").Find(&rows).Error
	if err != nil {
		return nil, translate(err)
	}
	return convertAll(rows, exchangeCountRow.exchangeCount), nil
}

// PurgeExchangeCounts deletes the counts of hours that began before a moment,
// in a batch. It tells how many rows there were.
func (s *Store) PurgeExchangeCounts(ctx context.Context, before time.Time) (int64, error) {
	return s.purge(ctx, `DELETE FROM exchange_counts WHERE (integrator_id, hour, result, reason) IN
		(SELECT integrator_id, hour, result, reason FROM exchange_counts WHERE hour < ? ORDER BY hour LIMIT ?)`, micros(before))
}
