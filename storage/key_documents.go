package storage

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/registry"
)

type keyDocumentRow struct {
	IntegratorID string
	URL          string
	Format       string
	Epoch        int64
	FoundFormat  string
	Keys         string
	Warnings     string
	FetchedAt    int64
	FailingSince int64
	FailedAt     int64
	Failure      string
}

// TableName implements gorm's tabler.
func (keyDocumentRow) TableName() string { return "key_documents" }

func (r keyDocumentRow) document() (registry.KeyDocument, error) {
	d := registry.KeyDocument{
		Source: registry.KeySource{IntegratorID: r.IntegratorID, URL: r.URL, Format: r.Format},
		Epoch:  r.Epoch, FoundFormat: r.FoundFormat, FetchedAt: fromMicros(r.FetchedAt),
		FailingSince: fromMicros(r.FailingSince), FailedAt: fromMicros(r.FailedAt), Failure: r.Failure,
	}
	if err := json.Unmarshal([]byte(r.Keys), &d.Keys); err != nil {
		return d, fmt.Errorf("keys of a key document: %w", err)
	}
	if err := json.Unmarshal([]byte(r.Warnings), &d.Warnings); err != nil {
		return d, fmt.Errorf("warnings of a key document: %w", err)
	}
	return d, nil
}

// ofSource is the condition that names one key source; sourceArgs its values.
const ofSource = "integrator_id = ? AND url = ? AND format = ?"

func sourceArgs(k registry.KeySource, before ...any) []any {
	return append(before, k.IntegratorID, k.URL, k.Format)
}

// wanted is the condition that a key URL, or a client by its jwks_uri, has its
// keys there; wantedArgs its values.
const wanted = "(EXISTS (SELECT 1 FROM key_urls WHERE " + ofSource + ") OR EXISTS (SELECT 1 FROM clients WHERE integrator_id = ? AND jwks_uri = ? AND 'jwks' = ?))"

func wantedArgs(k registry.KeySource, before ...any) []any {
	return sourceArgs(k, sourceArgs(k, before...)...)
}

// KeyDocument reads what is known of the keys of one key source, without when
// they were used. ErrNotFound: nothing is.
func (s *Store) KeyDocument(ctx context.Context, source registry.KeySource) (*registry.KeyDocument, error) {
	row, err := take[keyDocumentRow](s.reader.WithContext(ctx), ofSource, sourceArgs(source)...)
	if err != nil {
		return nil, err
	}
	document, err := row.document()
	return &document, err
}

// KeyDocuments reads what is known of all keys of an integrator, and when each
// was last used.
func (s *Store) KeyDocuments(ctx context.Context, integratorID string) (map[registry.KeySource]registry.KeyDocument, error) {
	db := s.reader.WithContext(ctx)
	var rows []keyDocumentRow
	if err := db.Where("integrator_id = ?", integratorID).Find(&rows).Error; err != nil {
		return nil, translate(err)
	}
	var uses []keyUseRow
	if err := db.Where("integrator_id = ?", integratorID).Find(&uses).Error; err != nil {
		return nil, translate(err)
	}
	used := map[keyUseRow]int64{}
	for _, use := range uses {
		at := use.UsedAt
		use.UsedAt = 0
		used[use] = at
	}
	documents := map[registry.KeySource]registry.KeyDocument{}
	for _, row := range rows {
		document, err := row.document()
		if err != nil {
			return nil, err
		}
		for i, key := range document.Keys {
			document.Keys[i].LastUsed = used[keyUseRow{IntegratorID: row.IntegratorID, URL: row.URL, Format: row.Format, Thumbprint: key.Thumbprint}]
		}
		documents[document.Source] = document
	}
	return documents, nil
}

// SaveKeyDocument stores what a fetch brought, unless a newer epoch or a later
// fetch is there already, or there is no such key URL any more.
func (s *Store) SaveKeyDocument(ctx context.Context, d *registry.KeyDocument) error {
	return translate(s.writer.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return s.saveKeyDocument(tx, d) }))
}

// clockTolerance is how far the clocks of two replicas may differ: what was
// fetched later than that is not from the future but from a wrong clock.
const clockTolerance = time.Minute

func (s *Store) saveKeyDocument(tx *gorm.DB, d *registry.KeyDocument) error {
	keys, err := json.Marshal(append([]registry.PublishedKey{}, d.Keys...))
	if err != nil {
		return fmt.Errorf("encode the keys of a key document: %w", err)
	}
	warnings, err := json.Marshal(append([]registry.KeyWarning{}, d.Warnings...))
	if err != nil {
		return fmt.Errorf("encode the warnings of a key document: %w", err)
	}
	args := sourceArgs(d.Source)
	args = append(args, d.Epoch, d.FoundFormat, string(keys), string(warnings), micros(d.FetchedAt))
	err = tx.Exec(`INSERT INTO key_documents
			(integrator_id, url, format, epoch, found_format, keys, warnings, fetched_at, failing_since, failed_at, failure)
		SELECT ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '' WHERE `+wanted+`
		ON CONFLICT (integrator_id, url, format) DO UPDATE SET epoch = excluded.epoch, found_format = excluded.found_format,
			keys = excluded.keys, warnings = excluded.warnings, fetched_at = excluded.fetched_at,
			failing_since = 0, failed_at = 0, failure = ''
		WHERE excluded.epoch > key_documents.epoch OR excluded.epoch = key_documents.epoch
			AND (excluded.fetched_at >= key_documents.fetched_at OR key_documents.fetched_at > ?)`,
		append(wantedArgs(d.Source, args...), micros(s.now().Add(clockTolerance)))...).Error
	if err != nil {
		return err
	}
	// What is no longer shown was never used: a key URL that publishes other
	// keys all the time leaves nothing behind.
	shown := []string{""}
	for _, key := range d.Keys {
		shown = append(shown, key.Thumbprint)
	}
	return tx.Exec("DELETE FROM key_uses WHERE "+ofSource+" AND thumbprint NOT IN ?", append(sourceArgs(d.Source), shown)...).Error
}

// KeyFetchFailed notes that the keys of a key source cannot be fetched. What
// is known of them stays.
func (s *Store) KeyFetchFailed(ctx context.Context, source registry.KeySource, failure string, at time.Time) error {
	args := append(sourceArgs(source), micros(at), micros(at), failure)
	return translate(s.writer.WithContext(ctx).Exec(`INSERT INTO key_documents
			(integrator_id, url, format, epoch, found_format, keys, warnings, fetched_at, failing_since, failed_at, failure)
		SELECT ?, ?, ?, 0, '', '[]', '[]', 0, ?, ?, ? WHERE `+wanted+`
		ON CONFLICT (integrator_id, url, format) DO UPDATE SET failed_at = excluded.failed_at, failure = excluded.failure,
			failing_since = CASE WHEN key_documents.failing_since = 0 THEN excluded.failing_since ELSE key_documents.failing_since END`,
		wantedArgs(source, args...)...).Error)
}

// KeysEpoch gives the present epoch of a key source, the latest of the key URLs
// that share it.
func (s *Store) KeysEpoch(ctx context.Context, source registry.KeySource) (int64, error) {
	return keysEpoch(s.reader.WithContext(ctx), source)
}

func keysEpoch(tx *gorm.DB, source registry.KeySource) (int64, error) {
	var epoch []int64
	err := tx.Raw("SELECT keys_epoch FROM key_urls WHERE "+ofSource+" ORDER BY keys_epoch DESC LIMIT 1", sourceArgs(source)...).Scan(&epoch).Error
	if err != nil {
		return 0, translate(err)
	}
	if len(epoch) == 0 {
		return 0, registry.ErrNotFound
	}
	return epoch[0], nil
}

// PublishKeyDocument makes a document the only one that counts, on every
// replica: it begins a new epoch, which it gives. ErrStale: the epoch of the
// document, which is that of the moment when its fetch began, is no longer the
// present one, and whoever began another may have seen more.
func (s *Store) PublishKeyDocument(ctx context.Context, d *registry.KeyDocument) (epoch int64, err error) {
	published := *d
	err = s.change(ctx, func(tx *gorm.DB) error {
		present, err := keysEpoch(tx, d.Source)
		if err != nil {
			return err
		}
		if present != d.Epoch {
			return registry.ErrStale
		}
		if published.Epoch, err = counter(tx); err != nil {
			return err
		}
		if err := tx.Exec("UPDATE key_urls SET keys_epoch = ? WHERE "+ofSource, sourceArgs(d.Source, published.Epoch)...).Error; err != nil {
			return err
		}
		return s.saveKeyDocument(tx, &published)
	})
	return published.Epoch, err
}

type keyUseRow struct {
	IntegratorID string
	URL          string
	Format       string
	Thumbprint   string
	UsedAt       int64
}

// TableName implements gorm's tabler.
func (keyUseRow) TableName() string { return "key_uses" }

// KeysUsed stores when keys were last used; the latest moment stays. Rows are
// taken in one order, or two replicas would wait for each other.
func (s *Store) KeysUsed(ctx context.Context, uses []registry.KeyUse) error {
	uses = slices.SortedFunc(slices.Values(uses), func(a, b registry.KeyUse) int {
		return cmp.Or(cmp.Compare(a.Source.IntegratorID, b.Source.IntegratorID), cmp.Compare(a.Source.URL, b.Source.URL),
			cmp.Compare(a.Source.Format, b.Source.Format), cmp.Compare(a.Thumbprint, b.Thumbprint))
	})
	return translate(s.writer.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		for _, use := range uses {
			args := append(sourceArgs(use.Source), use.Thumbprint, micros(use.At))
			err := tx.Exec(`INSERT INTO key_uses (integrator_id, url, format, thumbprint, used_at)
				SELECT ?, ?, ?, ?, ? WHERE `+wanted+`
				ON CONFLICT (integrator_id, url, format, thumbprint) DO UPDATE SET used_at = excluded.used_at
				WHERE excluded.used_at > key_uses.used_at`, wantedArgs(use.Source, args...)...).Error
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

// dropOrphanedKeys forgets the documents that no key URL or client has its keys
// in any more, and when those were used.
func dropOrphanedKeys(tx *gorm.DB, integratorID string) error {
	for _, table := range []string{"key_documents", "key_uses"} {
		err := tx.Exec("DELETE FROM "+table+" WHERE integrator_id = ? AND NOT EXISTS (SELECT 1 FROM key_urls k WHERE k.integrator_id = "+
			table+".integrator_id AND k.url = "+table+".url AND k.format = "+table+".format) AND NOT EXISTS (SELECT 1 FROM clients c WHERE c.integrator_id = "+
			table+".integrator_id AND c.jwks_uri = "+table+".url AND "+table+".format = 'jwks')", integratorID).Error
		if err != nil {
			return err
		}
	}
	return nil
}
