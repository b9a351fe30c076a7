package storage

import (
	"context"

	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/registry"
)

type resourceServerRow struct {
	Object   object `gorm:"embedded"`
	Name     string
	Audience string
	ClientID string
}

// TableName implements gorm's tabler.
func (resourceServerRow) TableName() string { return "resource_servers" }

func (r resourceServerRow) resourceServer() registry.ResourceServer {
	return registry.ResourceServer{Object: r.Object.value(), Name: r.Name, Audience: r.Audience, ClientID: r.ClientID}
}

// CreateResourceServer stores a new resource server and the client it
// introspects with, whose ClientID and ResourceServerID it sets.
func (s *Store) CreateResourceServer(ctx context.Context, r *registry.ResourceServer, c *registry.Client) error {
	head, err := s.begin(&r.Object)
	if err != nil {
		return err
	}
	r.ClientID, c.ClientID, c.ResourceServerID = r.ID, r.ID, r.ID
	return s.change(ctx, func(tx *gorm.DB) error {
		if err := tx.Create(&resourceServerRow{Object: head, Name: r.Name, Audience: r.Audience, ClientID: r.ClientID}).Error; err != nil {
			return err
		}
		return s.insertClient(tx, c)
	})
}

// ResourceServer reads one resource server.
func (s *Store) ResourceServer(ctx context.Context, id string) (*registry.ResourceServer, error) {
	row, err := take[resourceServerRow](s.reader.WithContext(ctx), "id = ?", id)
	if err != nil {
		return nil, err
	}
	server := row.resourceServer()
	return &server, nil
}

// ResourceServers lists resource servers.
func (s *Store) ResourceServers(ctx context.Context, page registry.Page) ([]registry.ResourceServer, error) {
	return find(s.reader.WithContext(ctx), page, resourceServerRow.resourceServer, "1 = 1")
}

// ResourceServersFor finds the resource server of an audience.
func (s *Store) ResourceServersFor(ctx context.Context, audience string) ([]registry.ResourceServer, error) {
	return findAll(s.reader.WithContext(ctx), resourceServerRow.resourceServer, "audience = ?", audience)
}

// UpdateResourceServer stores a changed resource server.
func (s *Store) UpdateResourceServer(ctx context.Context, r *registry.ResourceServer) error {
	return s.change(ctx, func(tx *gorm.DB) error {
		return s.update(tx, "resource_servers", &r.Object, map[string]any{"name": r.Name, "audience": r.Audience})
	})
}

// DeleteResourceServer deletes a resource server with its client.
func (s *Store) DeleteResourceServer(ctx context.Context, id string) error {
	return s.change(ctx, func(tx *gorm.DB) error { return remove(tx, "resource_servers", "id = ?", id) })
}
