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
	view := func(i *registry.Integrator) any { return integratorView{viewOf(i.Object), input(i)} }
	return collection[registry.Integrator, integratorInput]{
		path:           "/integrators",
		id:             "integrator",
		operatorWrites: true,
		fresh:          func(string) *registry.Integrator { return &registry.Integrator{Status: registry.Active} },
		input:          input,
		apply: func(in integratorInput, i *registry.Integrator) error {
			i.Name, i.Status = in.Name, in.Status
			return i.Validate()
		},
		view: view,
		key:  func(i *registry.Integrator) (string, *registry.Object) { return i.ID, &i.Object },
		list: func(ctx context.Context, _ string, page registry.Page) ([]registry.Integrator, error) {
			return store.Integrators(ctx, page)
		},
		get: func(ctx context.Context, _, id string) (*registry.Integrator, error) {
			return store.Integrator(ctx, id)
		},
		create: func(ctx context.Context, _ Caller, i *registry.Integrator) (any, error) {
			err := a.service.changed(ctx, store.CreateIntegrator(ctx, i))
			return view(i), err
		},
		update: func(ctx context.Context, _ Caller, _, i *registry.Integrator) error {
			return a.service.changed(ctx, store.UpdateIntegrator(ctx, i))
		},
		remove: func(ctx context.Context, _, id string) error { return store.DeleteIntegrator(ctx, id) },
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

func (a *API) resourceServers() collection[registry.ResourceServer, resourceServerInput] {
	store := a.config.Store
	input := func(r *registry.ResourceServer) resourceServerInput {
		return resourceServerInput{Name: r.Name, Audience: r.Audience}
	}
	view := func(r *registry.ResourceServer) resourceServerView {
		return resourceServerView{viewOf(r.Object), input(r), r.ClientID, ""}
	}
	return collection[registry.ResourceServer, resourceServerInput]{
		path:  "/resource-servers",
		id:    "resource_server",
		fresh: func(string) *registry.ResourceServer { return &registry.ResourceServer{} },
		input: input,
		apply: func(in resourceServerInput, r *registry.ResourceServer) error {
			r.Name, r.Audience = in.Name, in.Audience
			return r.Validate()
		},
		view: func(r *registry.ResourceServer) any { return view(r) },
		key:  func(r *registry.ResourceServer) (string, *registry.Object) { return r.ID, &r.Object },
		list: func(ctx context.Context, _ string, page registry.Page) ([]registry.ResourceServer, error) {
			return store.ResourceServers(ctx, page)
		},
		get: func(ctx context.Context, _, id string) (*registry.ResourceServer, error) {
			return store.ResourceServer(ctx, id)
		},
		create: func(ctx context.Context, _ Caller, r *registry.ResourceServer) (any, error) {
			secret, err := a.service.createResourceServer(ctx, r)
			created := view(r)
			created.ClientSecret = secret
			return created, err
		},
		update: func(ctx context.Context, _ Caller, _, r *registry.ResourceServer) error {
			return a.service.changed(ctx, store.UpdateResourceServer(ctx, r))
		},
		remove: func(ctx context.Context, _, id string) error { return store.DeleteResourceServer(ctx, id) },
	}
}
