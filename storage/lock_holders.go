package storage

import (
	"context"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/cambio-oauth/cambio/grants/permissions"
	"github.com/cambio-oauth/cambio/registry"
)

type lockHolderRow struct {
	Object               object `gorm:"embedded"`
	Name                 string
	CountryISO           string
	OrganizationID       string
	OrganizationIDSuffix string
}

// TableName implements gorm's tabler.
func (lockHolderRow) TableName() string { return "lock_holders" }

type linkRow struct {
	IntegratorID string
	LockHolderID string
	CreatedAt    int64 `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's tabler.
func (linkRow) TableName() string { return "lock_holder_links" }

func (r lockHolderRow) lockHolder() registry.LockHolder {
	return registry.LockHolder{
		Object: r.Object.value(), Name: r.Name, CountryISO: r.CountryISO,
		OrganizationID: r.OrganizationID, OrganizationIDSuffix: r.OrganizationIDSuffix,
	}
}

// CreateLockHolder stores a new lock holder.
func (s *Store) CreateLockHolder(ctx context.Context, h *registry.LockHolder) error {
	head, err := s.begin(&h.Object)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *gorm.DB) error {
		return tx.Create(&lockHolderRow{
			Object: head, Name: h.Name, CountryISO: h.CountryISO,
			OrganizationID: h.OrganizationID, OrganizationIDSuffix: h.OrganizationIDSuffix,
		}).Error
	})
}

// LockHolder reads one lock holder.
func (s *Store) LockHolder(ctx context.Context, id string) (*registry.LockHolder, error) {
	row, err := take[lockHolderRow](s.reader.WithContext(ctx), "id = ?", id)
	if err != nil {
		return nil, err
	}
	holder := row.lockHolder()
	return &holder, nil
}

// LockHolders lists lock holders.
func (s *Store) LockHolders(ctx context.Context, page registry.Page) ([]registry.LockHolder, error) {
	return find(s.reader.WithContext(ctx), page, lockHolderRow.lockHolder,
		"(LOWER(name) LIKE LOWER(?) ESCAPE '!' OR LOWER(organization_id) LIKE LOWER(?) ESCAPE '!')", holding(page.Search), holding(page.Search))
}

// LockHoldersOf finds the lock holder that country, organisation and suffix name.
func (s *Store) LockHoldersOf(ctx context.Context, countryISO, organizationID, suffix string) ([]registry.LockHolder, error) {
	return findAll(s.reader.WithContext(ctx), lockHolderRow.lockHolder,
		"country_iso = ? AND organization_id = ? AND organization_id_suffix = ?", countryISO, organizationID, suffix)
}

// UpdateLockHolder stores a changed lock holder. Clients lose its old scope.
func (s *Store) UpdateLockHolder(ctx context.Context, h *registry.LockHolder) error {
	return s.change(ctx, func(tx *gorm.DB) error {
		was, err := take[lockHolderRow](tx, "id = ?", h.ID)
		if err != nil {
			return err
		}
		if was.scope() != lockHolderScope(*h) {
			if err := s.withdraw(tx, "1 = 1", was.scope()); err != nil {
				return err
			}
		}
		return s.update(tx, "lock_holders", &h.Object, map[string]any{
			"name": h.Name, "country_iso": h.CountryISO,
			"organization_id": h.OrganizationID, "organization_id_suffix": h.OrganizationIDSuffix,
		})
	})
}

// DeleteLockHolder deletes a lock holder and its links. Clients lose its scope.
func (s *Store) DeleteLockHolder(ctx context.Context, id string) error {
	return s.change(ctx, func(tx *gorm.DB) error {
		was, err := take[lockHolderRow](tx, "id = ?", id)
		if err != nil {
			return err
		}
		if err := s.withdraw(tx, "1 = 1", was.scope()); err != nil {
			return err
		}
		return remove(tx, "lock_holders", "id = ?", id)
	})
}

func lockHolderScope(h registry.LockHolder) string {
	return permissions.Identifier{CountryISO: h.CountryISO, OrganizationID: h.OrganizationID, OrganizationIDSuffix: h.OrganizationIDSuffix}.String()
}

func (r lockHolderRow) scope() string { return lockHolderScope(r.lockHolder()) }

// withdraw takes a scope from the clients that a condition names: client
// credentials would otherwise go on granting what the integrator has lost. A
// client whose last scope it was may do nothing, which is not "no limit".
func (s *Store) withdraw(tx *gorm.DB, condition string, scope string, args ...any) error {
	var rows []clientRow
	if err := tx.Where("owner = 'integrator' AND scopes LIKE ?", "%"+scope+"%").Where(condition, args...).Find(&rows).Error; err != nil {
		return err
	}
	for _, row := range rows {
		kept := slices.DeleteFunc(slices.Clone([]string(row.Scopes)), func(s string) bool { return s == scope })
		if len(kept) == len(row.Scopes) {
			continue
		}
		if err := s.keepScopes(tx, row.Object.ID, kept); err != nil {
			return err
		}
	}
	return nil
}

// keepScopes leaves a client with some of its scopes, and ends its tokens.
func (s *Store) keepScopes(tx *gorm.DB, id string, kept []string) error {
	return tx.Exec("UPDATE clients SET scopes = ?, generation = generation + 1, revision = revision + 1, updated_at = ? WHERE id = ?",
		list(kept), micros(s.now()), id).Error
}

// LinkedLockHolder reads a lock holder that an integrator manages.
func (s *Store) LinkedLockHolder(ctx context.Context, integratorID, id string) (*registry.LockHolder, error) {
	row, err := take[lockHolderRow](s.reader.WithContext(ctx), "id = ? AND "+managedBy, id, integratorID)
	if err != nil {
		return nil, err
	}
	holder := row.lockHolder()
	return &holder, nil
}

// LinkedLockHolders lists the lock holders that an integrator manages.
func (s *Store) LinkedLockHolders(ctx context.Context, integratorID string, page registry.Page) ([]registry.LockHolder, error) {
	return find(s.reader.WithContext(ctx), page, lockHolderRow.lockHolder, managedBy, integratorID)
}

const managedBy = "id IN (SELECT lock_holder_id FROM lock_holder_links WHERE integrator_id = ?)"

// Link lets an integrator manage a lock holder; doing so twice is no error.
func (s *Store) Link(ctx context.Context, link registry.Link) error {
	return s.change(ctx, func(tx *gorm.DB) error {
		row := linkRow{IntegratorID: link.IntegratorID, LockHolderID: link.LockHolderID, CreatedAt: micros(s.now())}
		return tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error
	})
}

// Unlink takes a lock holder from an integrator, and its scope from the
// integrator's clients.
func (s *Store) Unlink(ctx context.Context, link registry.Link) error {
	return s.change(ctx, func(tx *gorm.DB) error {
		was, err := take[lockHolderRow](tx, "id = ?", link.LockHolderID)
		if err != nil {
			return err
		}
		if err := s.withdraw(tx, "integrator_id = ?", was.scope(), link.IntegratorID); err != nil {
			return err
		}
		return remove(tx, "lock_holder_links", "integrator_id = ? AND lock_holder_id = ?", link.IntegratorID, link.LockHolderID)
	})
}

// manages tells whether an integrator manages the lock holder that a scope
// names, if it names one.
func manages(tx *gorm.DB, integratorID, scope string) (bool, error) {
	identifier, err := permissions.ParseIdentifier(scope)
	if err != nil {
		return false, nil
	}
	var n int64
	err = tx.Model(&lockHolderRow{}).
		Where("country_iso = ? AND organization_id = ? AND organization_id_suffix = ?", identifier.CountryISO, identifier.OrganizationID, identifier.OrganizationIDSuffix).
		Where(managedBy, integratorID).Count(&n).Error
	return n > 0, err
}
