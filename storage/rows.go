package storage

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/registry"
)

// object holds the columns that every table of objects has.
type object struct {
	ID        string `gorm:"primaryKey"`
	Revision  int64
	CreatedAt int64 `gorm:"autoCreateTime:false"`
	UpdatedAt int64 `gorm:"autoUpdateTime:false"`
}

func (o object) value() registry.Object {
	return registry.Object{ID: o.ID, Revision: o.Revision, CreatedAt: fromMicros(o.CreatedAt), UpdatedAt: fromMicros(o.UpdatedAt)}
}

// begin gives a new object its id, its times and its first revision.
func (s *Store) begin(o *registry.Object) (object, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return object{}, err
	}
	now := micros(s.now())
	row := object{ID: id.String(), Revision: 1, CreatedAt: now, UpdatedAt: now}
	*o = row.value()
	return row, nil
}

// micros is how times are stored; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// list is a JSON array of strings; nil is stored as the empty one.
type list []string

// GormDataType tells gorm that this is one column.
func (list) GormDataType() string { return "text" }

// Value implements driver.Valuer.
func (l list) Value() (driver.Value, error) {
	if l == nil {
		return "[]", nil
	}
	text, err := json.Marshal([]string(l))
	return string(text), err
}

// Scan implements sql.Scanner.
func (l *list) Scan(source any) error { return scanJSON(source, (*[]string)(l)) }

// optionalList is a list whose nil is NULL.
type optionalList []string

// GormDataType tells gorm that this is one column.
func (optionalList) GormDataType() string { return "text" }

// Value implements driver.Valuer.
func (l optionalList) Value() (driver.Value, error) {
	if l == nil {
		return nil, nil
	}
	return list(l).Value()
}

// Scan implements sql.Scanner.
func (l *optionalList) Scan(source any) error {
	if source == nil {
		*l = nil
		return nil
	}
	return scanJSON(source, (*[]string)(l))
}

func scanJSON(source, target any) error {
	var text []byte
	switch source := source.(type) {
	case string:
		text = []byte(source)
	case []byte:
		text = source
	default:
		return fmt.Errorf("%w: want JSON text, found %T", errGarbage, source)
	}
	if err := json.Unmarshal(text, target); err != nil {
		return fmt.Errorf("%w: %w", errGarbage, err)
	}
	return nil
}

// translate turns gorm's errors into registry's, at the one border there is.
func translate(err error) error {
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound), errors.Is(err, gorm.ErrForeignKeyViolated):
		return fmt.Errorf("%w: %w", registry.ErrNotFound, err)
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return fmt.Errorf("%w: %w", registry.ErrConflict, err)
	}
	return err
}

// take reads the one row that a condition names. Conditions are always text:
// gorm drops the zero values of a struct condition, and would match every row.
func take[R any](db *gorm.DB, condition string, args ...any) (R, error) {
	var row R
	err := db.Where(condition, args...).Take(&row).Error
	return row, translate(err)
}

// find reads a page of the rows that a condition names and converts them.
func find[R, T any](db *gorm.DB, page registry.Page, convert func(R) T, condition string, args ...any) ([]T, error) {
	var rows []R
	query := db.Where(condition, args...).Order("id").Limit(page.Rows())
	if page.After != "" {
		query = query.Where("id > ?", page.After)
	}
	if err := query.Find(&rows).Error; err != nil {
		return nil, translate(err)
	}
	return convertAll(rows, convert), nil
}

// holding is the pattern of texts that hold a text.
func holding(text string) string {
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text) + "%"
}

// findAll reads the few rows that a condition names.
func findAll[R, T any](db *gorm.DB, convert func(R) T, condition string, args ...any) ([]T, error) {
	var rows []R
	if err := db.Where(condition, args...).Order("id").Find(&rows).Error; err != nil {
		return nil, translate(err)
	}
	return convertAll(rows, convert), nil
}

func convertAll[R, T any](rows []R, convert func(R) T) []T {
	values := make([]T, len(rows))
	for i, row := range rows {
		values[i] = convert(row)
	}
	return values
}

// update writes columns of one row if its revision is still the one that was
// read, and tells the object its new revision and time. tx may hold a condition
// of its own, such as whose the row must be.
func (s *Store) update(tx *gorm.DB, table string, o *registry.Object, columns map[string]any) error {
	tx = tx.Table(table).Session(&gorm.Session{})
	now := micros(s.now())
	columns["revision"] = o.Revision + 1
	columns["updated_at"] = now
	result := tx.Where("id = ? AND revision = ?", o.ID, o.Revision).Updates(columns)
	if result.Error != nil {
		return result.Error
	}
	if result.RowsAffected == 0 {
		var n int64
		if err := tx.Where("id = ?", o.ID).Count(&n).Error; err != nil {
			return err
		}
		if n == 0 {
			return registry.ErrNotFound
		}
		return registry.ErrStale
	}
	o.Revision, o.UpdatedAt = o.Revision+1, fromMicros(now)
	return nil
}

// remove deletes the rows that a condition names; there must be one.
func remove(tx *gorm.DB, table, condition string, args ...any) error {
	result := tx.Exec("DELETE FROM "+table+" WHERE "+condition, args...) // both are constants of this package
	if result.Error == nil && result.RowsAffected == 0 {
		return registry.ErrNotFound
	}
	return result.Error
}
