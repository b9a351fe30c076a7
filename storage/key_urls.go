package storage

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/registry"
)

type keyURLRow struct {
	Object                object `gorm:"embedded"`
	IntegratorID          string
	Issuer                string
	URL                   string
	Format                string
	Algorithms            list
	Audiences             list
	PermissionsClaim      string // the first
	MorePermissionsClaims list
	PermissionsFormat     string
	AudienceClaims        list
	RequiredClaims        requiredClaims
	Condition             string
	AuditedChange         string
	AllowIDToken          bool
	AllowIDJAG            bool `gorm:"column:allow_id_jag"`
	Clientless            bool
	SingleUse             bool
	MaxLifetime           int64
	Status                string
	KeysEpoch             int64
}

// TableName implements gorm's tabler.
func (keyURLRow) TableName() string { return "key_urls" }

func (r keyURLRow) keyURL() registry.KeyURL {
	return registry.KeyURL{
		Object: r.Object.value(), IntegratorID: r.IntegratorID, Issuer: r.Issuer, URL: r.URL, Format: r.Format,
		TokenRules: registry.TokenRules{
			Algorithms: r.Algorithms, Audiences: r.Audiences, AudienceClaims: r.AudienceClaims, RequiredClaims: r.RequiredClaims, Condition: registry.Condition(r.Condition),
			PermissionsClaims: append([]string{r.PermissionsClaim}, r.MorePermissionsClaims...), PermissionsFormat: r.PermissionsFormat,
			AllowIDToken: r.AllowIDToken, AllowIDJAG: r.AllowIDJAG, MaxLifetime: registry.Seconds(time.Duration(r.MaxLifetime) * time.Second),
		},
		Clientless: r.Clientless, SingleUse: r.SingleUse, Audited: audited(r.AuditedChange), Status: registry.Status(r.Status), KeysEpoch: r.KeysEpoch,
	}
}

// audited: no change is an empty text.
func audited(text string) registry.Change {
	if text == "" {
		return nil
	}
	return registry.Change(text)
}

// requiredClaims is one column: JSON text.
type requiredClaims []registry.RequiredClaim

// GormDataType tells gorm that this is one column.
func (requiredClaims) GormDataType() string { return "text" }

// Value implements driver.Valuer.
func (r requiredClaims) Value() (driver.Value, error) {
	if r == nil {
		return "[]", nil
	}
	text, err := json.Marshal([]registry.RequiredClaim(r))
	return string(text), err
}

// Scan implements sql.Scanner.
func (r *requiredClaims) Scan(source any) error {
	return scanJSON(source, (*[]registry.RequiredClaim)(r))
}

// firstClaim: the column of the first is older than there being several.
func firstClaim(claims []string) (first string, more list) {
	if len(claims) == 0 {
		return "", nil
	}
	return claims[0], claims[1:]
}

// CreateKeyURL stores a new key URL. ErrConflict: it exists, there are too many
// for its integrator or issuer, or another integrator has the issuer, or the
// audience of a clientless one.
func (s *Store) CreateKeyURL(ctx context.Context, k *registry.KeyURL, terms registry.KeyURLTerms) error {
	head, err := s.begin(&k.Object)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *gorm.DB) error {
		epoch, err := counter(tx)
		if err != nil {
			return err
		}
		first, more := firstClaim(k.PermissionsClaims)
		row := keyURLRow{
			Object: head, IntegratorID: k.IntegratorID, Issuer: k.Issuer, URL: k.URL, Format: k.Format,
			Algorithms: k.Algorithms, Audiences: k.Audiences,
			PermissionsClaim: first, MorePermissionsClaims: more, PermissionsFormat: k.PermissionsFormat,
			AudienceClaims: k.AudienceClaims, RequiredClaims: k.RequiredClaims, Condition: string(k.Condition), AuditedChange: string(k.Audited),
			AllowIDToken: k.AllowIDToken, AllowIDJAG: k.AllowIDJAG, Clientless: k.Clientless, SingleUse: k.SingleUse,
			MaxLifetime: int64(time.Duration(k.MaxLifetime) / time.Second), Status: string(k.Status), KeysEpoch: epoch,
		}
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		k.KeysEpoch = epoch
		return settle(tx, k, terms)
	})
}

// sameKeys keeps the epoch of keys that are fetched from where they were, and
// begins another for keys from elsewhere: deleted and made again, or changed
// there and back, nothing that was fetched before counts.
func sameKeys(k *registry.KeyURL) any {
	return gorm.Expr("CASE WHEN url = ? AND format = ? THEN keys_epoch ELSE (SELECT seq FROM changes WHERE id = 1) END", k.URL, k.Format)
}

// settle holds a key URL that was just written against all others. Changes
// come one after the other, so what it reads stays true.
func settle(tx *gorm.DB, k *registry.KeyURL, terms registry.KeyURLTerms) error {
	var counts struct{ Own, SameIssuer, Audited, Mixed int64 }
	err := tx.Raw(`SELECT
		(SELECT COUNT(*) FROM key_urls WHERE integrator_id = ?) AS own,
		(SELECT COUNT(*) FROM key_urls WHERE integrator_id = ? AND issuer = ?) AS same_issuer,
		(SELECT COUNT(*) FROM key_urls WHERE integrator_id = ? AND issuer = ? AND audited_change <> '') AS audited,
		(SELECT COUNT(*) FROM key_urls a JOIN key_urls b ON a.issuer = b.issuer AND a.integrator_id <> b.integrator_id
			WHERE a.issuer = ? AND a.integrator_id = ? AND a.clientless = ? AND b.clientless = ?
			AND (a.audience_claims <> ? OR b.audience_claims <> ?)) AS mixed`,
		k.IntegratorID, k.IntegratorID, k.Issuer, k.IntegratorID, k.Issuer,
		k.Issuer, k.IntegratorID, true, true, list{"aud"}, list{"aud"}).Scan(&counts).Error
	if err != nil {
		return err
	}
	foreign := false
	if !terms.SharedIssuer {
		if foreign, err = readsLikeAForeign(tx, k); err != nil {
			return err
		}
	}
	switch {
	case counts.Own > registry.MaxKeyURLs:
		return registry.Conflict(fmt.Sprintf("this integrator has %d key URLs already, which is the most", registry.MaxKeyURLs))
	case counts.SameIssuer > registry.MaxKeyURLsPerIssuer:
		return registry.Conflict(fmt.Sprintf("this integrator has %d key URLs for this issuer already, which is the most", registry.MaxKeyURLsPerIssuer))
	case counts.Audited > 1:
		return registry.Conflict("another key URL of this issuer has a change in audit: one at a time, or nobody could tell which of them did what")
	case counts.Mixed > 0: // a token could be several integrators' by several claims
		return registry.Conflict("another integrator has a clientless key URL for this issuer: then the audience is in aud alone for both")
	case foreign:
		return registry.Conflict("another integrator has registered this issuer, or one that reads the same: only an operator may let two share it")
	}
	return reserve(tx, k.IntegratorID, terms.Audiences)
}

// readsLikeAForeign: a spelling of another integrator's issuer opens none of
// its tokens, but people who read a record or a subject would take it for the
// other.
func readsLikeAForeign(tx *gorm.DB, k *registry.KeyURL) (bool, error) {
	var issuers []string
	err := tx.Raw("SELECT DISTINCT issuer FROM key_urls WHERE integrator_id <> ?", k.IntegratorID).Scan(&issuers).Error
	key := registry.IssuerKey(k.Issuer)
	return slices.ContainsFunc(issuers, func(issuer string) bool { return registry.IssuerKey(issuer) == key }), err
}

// ReserveAudiences makes the reservations of clientless key URLs without their
// own audiences again, for a server whose audiences may be others than before.
func (s *Store) ReserveAudiences(ctx context.Context, fallback []string) error {
	var integrators []string
	err := s.reader.WithContext(ctx).Raw("SELECT DISTINCT integrator_id FROM key_urls WHERE clientless = ? AND audiences = ?", true, list(nil)).Scan(&integrators).Error
	if err != nil || len(integrators) == 0 {
		return translate(err)
	}
	return s.change(ctx, func(tx *gorm.DB) error {
		for _, integratorID := range integrators { // first all away, or they would be in each other's way
			if err := tx.Exec("DELETE FROM clientless_audiences WHERE integrator_id = ?", integratorID).Error; err != nil {
				return err
			}
		}
		for _, integratorID := range integrators {
			if err := reserve(tx, integratorID, fallback); err != nil {
				return err
			}
		}
		return nil
	})
}

// reserve makes issuer and audience of an integrator's clientless key URLs its
// own, also while they are disabled. The primary key refuses what another
// integrator has; key URLs of one integrator may share, for its tokens are the
// same integrator's either way.
func reserve(tx *gorm.DB, integratorID string, fallback []string) error {
	if err := tx.Exec("DELETE FROM clientless_audiences WHERE integrator_id = ?", integratorID).Error; err != nil {
		return err
	}
	var rows []keyURLRow
	err := tx.Where("integrator_id = ? AND clientless = ?", integratorID, true).Find(&rows).Error
	if err != nil {
		return err
	}
	reserved := map[[2]string]bool{}
	for _, row := range rows {
		audiences := []string(row.Audiences)
		if len(audiences) == 0 {
			audiences = fallback
		}
		for _, audience := range audiences {
			pair := [2]string{row.Issuer, audience}
			if reserved[pair] {
				continue
			}
			reserved[pair] = true
			err := tx.Exec("INSERT INTO clientless_audiences (issuer, audience, integrator_id) VALUES (?, ?, ?)", row.Issuer, audience, integratorID).Error
			if errors.Is(err, gorm.ErrDuplicatedKey) {
				return registry.Conflict("another integrator has a clientless key URL for this issuer and an audience of it")
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// KeyURL reads one key URL of an integrator.
func (s *Store) KeyURL(ctx context.Context, integratorID, id string) (*registry.KeyURL, error) {
	row, err := take[keyURLRow](s.reader.WithContext(ctx), "integrator_id = ? AND id = ?", integratorID, id)
	if err != nil {
		return nil, err
	}
	keyURL := row.keyURL()
	return &keyURL, nil
}

// KeyURLs lists the key URLs of an integrator.
func (s *Store) KeyURLs(ctx context.Context, integratorID string, page registry.Page) ([]registry.KeyURL, error) {
	return find(s.reader.WithContext(ctx), page, keyURLRow.keyURL, "integrator_id = ?", integratorID)
}

// KeyURLsAt finds the key URL of an integrator by issuer and URL.
func (s *Store) KeyURLsAt(ctx context.Context, integratorID, issuer, url string) ([]registry.KeyURL, error) {
	return findAll(s.reader.WithContext(ctx), keyURLRow.keyURL, "integrator_id = ? AND issuer = ? AND url = ?", integratorID, issuer, url)
}

// UpdateKeyURL stores a changed key URL; ErrConflict as of CreateKeyURL.
func (s *Store) UpdateKeyURL(ctx context.Context, k *registry.KeyURL, terms registry.KeyURLTerms) error {
	was := *k
	first, more := firstClaim(k.PermissionsClaims)
	err := s.change(ctx, func(tx *gorm.DB) error {
		before, err := take[keyURLRow](tx, "integrator_id = ? AND id = ?", k.IntegratorID, k.ID)
		if err != nil {
			return err
		}
		err = s.update(tx.Where("integrator_id = ?", k.IntegratorID), "key_urls", &k.Object, map[string]any{
			"issuer": k.Issuer, "url": k.URL, "format": k.Format,
			"algorithms": list(k.Algorithms), "audiences": list(k.Audiences),
			"permissions_claim": first, "more_permissions_claims": more, "permissions_format": k.PermissionsFormat,
			"audience_claims": list(k.AudienceClaims), "required_claims": requiredClaims(k.RequiredClaims), "condition": string(k.Condition), "audited_change": string(k.Audited),
			"allow_id_token": k.AllowIDToken, "allow_id_jag": k.AllowIDJAG, "clientless": k.Clientless, "single_use": k.SingleUse,
			"max_lifetime": int64(time.Duration(k.MaxLifetime) / time.Second), "status": string(k.Status), "keys_epoch": sameKeys(k),
		})
		if err != nil {
			return err
		}
		if err := tx.Raw("SELECT keys_epoch FROM key_urls WHERE id = ?", k.ID).Scan(&k.KeysEpoch).Error; err != nil {
			return err
		}
		if err := dropOrphanedKeys(tx, k.IntegratorID); err != nil {
			return err
		}
		if err := s.endIssuer(tx, k.IntegratorID, before.Issuer); err != nil {
			return err
		}
		return settle(tx, k, terms)
	})
	if err != nil {
		k.Object, k.KeysEpoch = was.Object, was.KeysEpoch // nothing was stored
	}
	return err
}

// DeleteKeyURL deletes a key URL of an integrator.
func (s *Store) DeleteKeyURL(ctx context.Context, integratorID, id string, terms registry.KeyURLTerms) error {
	return s.change(ctx, func(tx *gorm.DB) error {
		before, err := take[keyURLRow](tx, "integrator_id = ? AND id = ?", integratorID, id)
		if err != nil {
			return err
		}
		if err := remove(tx, "key_urls", "integrator_id = ? AND id = ?", integratorID, id); err != nil {
			return err
		}
		if err := dropOrphanedKeys(tx, integratorID); err != nil {
			return err
		}
		if err := s.endIssuer(tx, integratorID, before.Issuer); err != nil {
			return err
		}
		return reserve(tx, integratorID, terms.Audiences)
	})
}
