package storage

import (
	"context"

	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/registry"
)

type integratorRow struct {
	Object     object `gorm:"embedded"`
	Name       string
	Status     string
	Generation int64
}

// TableName implements gorm's tabler.
func (integratorRow) TableName() string { return "integrators" }

func (r integratorRow) integrator() registry.Integrator {
	return registry.Integrator{Object: r.Object.value(), Name: r.Name, Status: registry.Status(r.Status), Generation: r.Generation}
}

// CreateIntegrator stores a new integrator and fills in its Object.
func (s *Store) CreateIntegrator(ctx context.Context, i *registry.Integrator) error {
	head, err := s.begin(&i.Object)
	if err != nil {
		return err
	}
	i.Generation = 1
	return s.change(ctx, func(tx *gorm.DB) error {
		return tx.Create(&integratorRow{Object: head, Name: i.Name, Status: string(i.Status), Generation: i.Generation}).Error
	})
}

// Integrator reads one integrator.
func (s *Store) Integrator(ctx context.Context, id string) (*registry.Integrator, error) {
	row, err := take[integratorRow](s.reader.WithContext(ctx), "id = ?", id)
	if err != nil {
		return nil, err
	}
	integrator := row.integrator()
	return &integrator, nil
}

// Integrators lists integrators.
func (s *Store) Integrators(ctx context.Context, page registry.Page) ([]registry.Integrator, error) {
	return find(s.reader.WithContext(ctx), page, integratorRow.integrator, "LOWER(name) LIKE LOWER(?) ESCAPE '!'", holding(page.Search))
}

// IntegratorsNamed finds integrators by name, which need not be unique.
func (s *Store) IntegratorsNamed(ctx context.Context, name string) ([]registry.Integrator, error) {
	return findAll(s.reader.WithContext(ctx), integratorRow.integrator, "name = ?", name)
}

// UpdateIntegrator stores name and status. Disabling raises the generation, so
// that tokens from before stay dead when the integrator is enabled again.
func (s *Store) UpdateIntegrator(ctx context.Context, i *registry.Integrator) error {
	return s.change(ctx, func(tx *gorm.DB) error {
		return s.update(tx, "integrators", &i.Object, map[string]any{
			"name":       i.Name,
			"status":     string(i.Status),
			"generation": raisedWhenDisabled(i.Status),
		})
	})
}

func raisedWhenDisabled(status registry.Status) any {
	return gorm.Expr("CASE WHEN ? = 'disabled' AND status = 'active' THEN generation + 1 ELSE generation END", string(status))
}

// DeleteIntegrator deletes an integrator with all that belongs to it. Its
// tokens die with it: there is no generation left that they could match.
func (s *Store) DeleteIntegrator(ctx context.Context, id string) error {
	return s.change(ctx, func(tx *gorm.DB) error { return remove(tx, "integrators", "id = ?", id) })
}

// RevokeIntegratorTokens kills every token of an integrator issued so far.
func (s *Store) RevokeIntegratorTokens(ctx context.Context, id string) error {
	return s.change(ctx, func(tx *gorm.DB) error {
		result := tx.Exec("UPDATE integrators SET generation = generation + 1 WHERE id = ?", id)
		if result.Error == nil && result.RowsAffected == 0 {
			return registry.ErrNotFound
		}
		return result.Error
	})
}
