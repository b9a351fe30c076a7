package storage

import (
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/registry"
)

// errGarbage marks a value that no version of this program wrote.
var errGarbage = errors.New("not what this program writes")

// readable reads all rows of a table in the order of their ids, and gives apart
// the ids of those that cannot be read: one row of garbage must not keep the
// configuration of all others from being known.
func readable[R any](tx *gorm.DB, table string) (rows []R, unreadable []string, err error) {
	if err = tx.Order("id").Find(&rows).Error; err == nil || !errors.Is(err, errGarbage) {
		return rows, nil, err
	}
	var ids []string
	if err := tx.Table(table).Order("id").Pluck("id", &ids).Error; err != nil {
		return nil, nil, err
	}
	return readRange[R](tx, ids)
}

// readRange reads the rows from the first to the last id, by halves where there
// is garbage in them.
func readRange[R any](tx *gorm.DB, ids []string) (rows []R, unreadable []string, err error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	err = tx.Where("id >= ? AND id <= ?", ids[0], ids[len(ids)-1]).Order("id").Find(&rows).Error
	switch {
	case err == nil || !errors.Is(err, errGarbage):
		return rows, nil, err
	case len(ids) == 1:
		return nil, ids, nil
	}
	left, leftBad, err := readRange[R](tx, ids[:len(ids)/2])
	if err != nil {
		return nil, nil, err
	}
	right, rightBad, err := readRange[R](tx, ids[len(ids)/2:])
	return slices.Concat(left, right), slices.Concat(leftBad, rightBad), err
}

// unreadableKeyURLs says whose they are, by the columns that are plain text.
func unreadableKeyURLs(tx *gorm.DB, ids []string) (list []registry.UnreadableKeyURL, err error) {
	for _, id := range ids {
		var row registry.UnreadableKeyURL
		if err := tx.Raw("SELECT integrator_id, issuer FROM key_urls WHERE id = ?", id).Scan(&row).Error; err != nil {
			return nil, fmt.Errorf("read key URL %s: %w", id, err)
		}
		list = append(list, row)
	}
	return list, nil
}

func unreadableClients(tx *gorm.DB, ids []string) (clientIDs []string, err error) {
	for _, id := range ids {
		var clientID string
		if err := tx.Raw("SELECT client_id FROM clients WHERE id = ?", id).Scan(&clientID).Error; err != nil {
			return nil, fmt.Errorf("read client %s: %w", id, err)
		}
		clientIDs = append(clientIDs, clientID)
	}
	return clientIDs, nil
}
