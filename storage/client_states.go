package storage

import (
	"context"

	"github.com/cambio-oauth/cambio/registry"
)

// ClientStates gives what is known of clients of one integrator, by client_id.
// They are in the order of their ids, as Clients gives them.
func (s *Store) ClientStates(ctx context.Context, clients []registry.Client) (map[string]registry.ClientState, error) {
	states := map[string]registry.ClientState{}
	if len(clients) == 0 {
		return states, nil
	}
	first, last := clients[0], clients[len(clients)-1]
	const theirs = " JOIN clients c ON c.client_id = x.client_id WHERE c.integrator_id = ? AND c.id >= ? AND c.id <= ?"
	db := s.reader.WithContext(ctx)
	var uses []struct {
		ClientID string
		UsedAt   int64
	}
	err := db.Raw("SELECT x.client_id, x.used_at FROM client_uses x"+theirs, first.IntegratorID, first.ID, last.ID).Scan(&uses).Error
	if err != nil {
		return nil, translate(err)
	}
	for _, use := range uses {
		states[use.ClientID] = registry.ClientState{LastUsed: fromMicros(use.UsedAt)}
	}
	var secrets []secretRow // without their hashes
	err = db.Raw("SELECT x.client_id, x.created_at, x.expires_at FROM client_secrets x"+theirs+" ORDER BY x.created_at", first.IntegratorID, first.ID, last.ID).
		Scan(&secrets).Error
	if err != nil {
		return nil, translate(err)
	}
	for _, secret := range secrets {
		state := states[secret.ClientID]
		state.Secrets = append(state.Secrets, secret.secret())
		states[secret.ClientID] = state
	}
	return states, nil
}
