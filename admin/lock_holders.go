package admin

import (
	"context"
	"net/http"

	"github.com/gorilla/mux"

	"github.com/cambio-oauth/cambio/registry"
)

type lockHolderInput struct {
	Name                 string `json:"name"`
	CountryISO           string `json:"country_iso"`
	OrganizationID       string `json:"organization_id"`
	OrganizationIDSuffix string `json:"organization_id_suffix"`
}

type lockHolderView struct {
	objectView
	lockHolderInput
}

func lockHolderMembers(h *registry.LockHolder) lockHolderInput {
	return lockHolderInput{
		Name: h.Name, CountryISO: h.CountryISO,
		OrganizationID: h.OrganizationID, OrganizationIDSuffix: h.OrganizationIDSuffix,
	}
}

func viewLockHolder(h *registry.LockHolder) any {
	return lockHolderView{viewOf(h.Object), lockHolderMembers(h)}
}

func (a *API) lockHolders() collection[registry.LockHolder, lockHolderInput] {
	store := a.config.Store
	return collection[registry.LockHolder, lockHolderInput]{
		path:  "/lock-holders",
		id:    "lock_holder",
		fresh: func(string) *registry.LockHolder { return &registry.LockHolder{} },
		input: lockHolderMembers,
		apply: func(in lockHolderInput, h *registry.LockHolder) error {
			h.Name, h.CountryISO = in.Name, in.CountryISO
			h.OrganizationID, h.OrganizationIDSuffix = in.OrganizationID, in.OrganizationIDSuffix
			return checkLockHolder(h)
		},
		view: viewLockHolder,
		key:  func(h *registry.LockHolder) (string, *registry.Object) { return h.ID, &h.Object },
		list: func(ctx context.Context, _ string, page registry.Page) ([]registry.LockHolder, error) {
			return store.LockHolders(ctx, page)
		},
		get: func(ctx context.Context, _, id string) (*registry.LockHolder, error) {
			return store.LockHolder(ctx, id)
		},
		create: func(ctx context.Context, _ Caller, h *registry.LockHolder) error {
			return a.service.changed(ctx, store.CreateLockHolder(ctx, h))
		},
		update: func(ctx context.Context, _ Caller, _, h *registry.LockHolder) error {
			return a.service.changed(ctx, store.UpdateLockHolder(ctx, h))
		},
		remove:     func(ctx context.Context, _, id string) error { return store.DeleteLockHolder(ctx, id) },
		searchable: true,
		natural:    []string{"country_iso", "organization_id", "organization_id_suffix"},
		named: func(ctx context.Context, _ string, key map[string]string) ([]registry.LockHolder, error) {
			return store.LockHoldersOf(ctx, key["country_iso"], key["organization_id"], key["organization_id_suffix"])
		},
	}
}

// mountLinks adds which lock holders an integrator manages. The integrator
// sees them; linking is the operator's.
func (a *API) mountLinks(routes *mux.Router) {
	const path = "/integrators/{integrator}/lock-holders"
	a.route(routes, path, methods{http.MethodGet: a.listLinks})
	a.route(routes, path+"/{lock_holder}", methods{
		http.MethodGet: a.getLink, http.MethodPut: a.changeLink("link", a.config.Store.Link), http.MethodDelete: a.changeLink("unlink", a.config.Store.Unlink),
	})
}

func (a *API) listLinks(w http.ResponseWriter, r request) error {
	link, err := a.link(r)
	if err != nil {
		return err
	}
	return serveList(a, w, r, "links "+link.IntegratorID, func(page registry.Page) ([]registry.LockHolder, error) {
		return a.config.Store.LinkedLockHolders(r.Context(), link.IntegratorID, page)
	}, func(h *registry.LockHolder) (string, any) { return h.ID, viewLockHolder(h) })
}

func (a *API) getLink(w http.ResponseWriter, r request) error {
	link, err := a.link(r)
	if err != nil {
		return err
	}
	holder, err := a.config.Store.LinkedLockHolder(r.Context(), link.IntegratorID, link.LockHolderID)
	if err != nil {
		return err
	}
	return a.answer(w, http.StatusOK, viewLockHolder(holder))
}

func (a *API) changeLink(action string, change func(context.Context, registry.Link) error) func(http.ResponseWriter, request) error {
	return func(w http.ResponseWriter, r request) error {
		link, err := a.link(r)
		if err != nil {
			return err
		}
		if !r.caller.Operator() {
			return errForbidden
		}
		ctx, err := r.audited(action, "lock-holders", link.IntegratorID, link.LockHolderID, nil, nil)
		if err != nil {
			return err
		}
		if err := a.service.changed(ctx, change(ctx, link)); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

func (a *API) link(r request) (registry.Link, error) {
	variables := mux.Vars(r.Request)
	integratorID, err := a.service.resolve(r.Context(), r.caller, variables["integrator"])
	return registry.Link{IntegratorID: integratorID, LockHolderID: variables["lock_holder"]}, err
}
