package admin

import (
	"context"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

// objectView is what every object shows.
type objectView struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func viewOf(o registry.Object) objectView {
	return objectView{ID: o.ID, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt}
}

type integratorInput struct {
	Name   string          `json:"name"`
	Status registry.Status `json:"status"`
}

type integratorView struct {
	objectView
	integratorInput
}

func (a *API) integrators() collection[registry.Integrator, integratorInput] {
	store := a.config.Store
	input := func(i *registry.Integrator) integratorInput {
		return integratorInput{Name: i.Name, Status: i.Status}
	}
	return collection[registry.Integrator, integratorInput]{
		path:           "/integrators",
		id:             "integrator",
		operatorWrites: true,
		searchable:     true,
		fresh:          func(string) *registry.Integrator { return &registry.Integrator{Status: registry.Active} },
		input:          input,
		apply: func(in integratorInput, i *registry.Integrator) error {
			i.Name, i.Status = in.Name, in.Status
			return i.Validate()
		},
		view: func(i *registry.Integrator) any { return integratorView{viewOf(i.Object), input(i)} },
		key:  func(i *registry.Integrator) (string, *registry.Object) { return i.ID, &i.Object },
		list: func(ctx context.Context, _ string, page registry.Page) ([]registry.Integrator, error) {
			return store.Integrators(ctx, page)
		},
		get: func(ctx context.Context, _, id string) (*registry.Integrator, error) {
			return store.Integrator(ctx, id)
		},
		create: func(ctx context.Context, _ Caller, i *registry.Integrator) error {
			return a.service.changed(ctx, store.CreateIntegrator(ctx, i))
		},
		update: func(ctx context.Context, _ Caller, _, i *registry.Integrator) error {
			return a.service.changed(ctx, store.UpdateIntegrator(ctx, i))
		},
		remove:  func(ctx context.Context, _, id string) error { return store.DeleteIntegrator(ctx, id) },
		natural: []string{"name"},
		named: func(ctx context.Context, _ string, key map[string]string) ([]registry.Integrator, error) {
			return store.IntegratorsNamed(ctx, key["name"])
		},
	}
}

type resourceServerInput struct {
	Name     string `json:"name"`
	Audience string `json:"audience"`
}

type resourceServerView struct {
	objectView
	resourceServerInput
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"` // in the creating answer only
}

// shownServer is a resource server with the secret of its client, which is
// known while it is made and never again.
type shownServer struct {
	registry.ResourceServer
	secret string
}

func (a *API) resourceServers() collection[shownServer, resourceServerInput] {
	store := a.config.Store
	input := func(r *shownServer) resourceServerInput {
		return resourceServerInput{Name: r.Name, Audience: r.Audience}
	}
	return collection[shownServer, resourceServerInput]{
		path:  "/resource-servers",
		id:    "resource_server",
		fresh: func(string) *shownServer { return &shownServer{} },
		input: input,
		apply: func(in resourceServerInput, r *shownServer) error {
			r.Name, r.Audience = in.Name, in.Audience
			return r.Validate()
		},
		view: func(r *shownServer) any {
			return resourceServerView{viewOf(r.Object), input(r), r.ClientID, r.secret}
		},
		key: func(r *shownServer) (string, *registry.Object) { return r.ID, &r.Object },
		list: func(ctx context.Context, _ string, page registry.Page) ([]shownServer, error) {
			list, err := store.ResourceServers(ctx, page)
			return showServers(list), err
		},
		get: func(ctx context.Context, _, id string) (*shownServer, error) {
			r, err := store.ResourceServer(ctx, id)
			if err != nil {
				return nil, err
			}
			return &shownServer{ResourceServer: *r}, nil
		},
		create: func(ctx context.Context, _ Caller, r *shownServer) error {
			return a.service.createResourceServer(ctx, r)
		},
		update: func(ctx context.Context, _ Caller, _, r *shownServer) error {
			return a.service.changed(ctx, store.UpdateResourceServer(ctx, &r.ResourceServer))
		},
		remove:  func(ctx context.Context, _, id string) error { return store.DeleteResourceServer(ctx, id) },
		natural: []string{"audience"},
		named: func(ctx context.Context, _ string, key map[string]string) ([]shownServer, error) {
			list, err := store.ResourceServersFor(ctx, key["audience"])
			return showServers(list), err
		},
	}
}

func showServers(list []registry.ResourceServer) []shownServer {
	shown := make([]shownServer, len(list))
	for i := range list {
		shown[i].ResourceServer = list[i]
	}
	return shown
}
