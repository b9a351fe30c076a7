package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"github.com/cambio-oauth/cambio/registry"
)

// collection is one kind of object under one path. V is the object, I its
// writable members as JSON has them.
type collection[V, I any] struct {
	path string // below the prefix; holds {integrator} when the objects are an integrator's
	id   string // name of the path variable of one object

	operatorWrites bool // integrators may only read
	searchable     bool // lists take ?search=

	// fresh is an object with its defaults.
	fresh func(integratorID string) *V
	// input shows the writable members, apply takes them.
	input func(v *V) I
	apply func(in I, v *V) error
	// view is the JSON of an object; key its id and what all objects have.
	view func(v *V) any
	key  func(v *V) (id string, object *registry.Object)

	// natural are the members that name an object to who does not know its id;
	// named finds those of such a name. blank takes away what PUT never builds on.
	natural []string
	named   func(ctx context.Context, integratorID string, key map[string]string) ([]V, error)
	blank   func(v *V)

	list   func(ctx context.Context, integratorID string, page registry.Page) ([]V, error)
	get    func(ctx context.Context, integratorID, id string) (*V, error)
	create func(ctx context.Context, caller Caller, v *V) error
	update func(ctx context.Context, caller Caller, was, v *V) error
	remove func(ctx context.Context, integratorID, id string) error
}

// mount adds the six routes of a collection.
func mount[V, I any](a *API, routes *mux.Router, of func(*API) collection[V, I]) {
	c := of(a)
	bind := func(serve func(*API, http.ResponseWriter, request) error) func(http.ResponseWriter, request) error {
		return func(w http.ResponseWriter, r request) error { return serve(a, w, r) }
	}
	a.route(routes, c.path, methods{http.MethodGet: bind(c.serveList), http.MethodPost: a.once(bind(c.serveCreate)),
		http.MethodPut: a.once(func(w http.ResponseWriter, r request) error { return servePut(a, of, w, r) }),
	})
	a.route(routes, c.path+"/{"+c.id+"}", methods{
		http.MethodGet: bind(c.serveGet), http.MethodPatch: bind(c.serveUpdate), http.MethodDelete: bind(c.serveDelete),
	})
}

// authorize tells whose objects the caller means, and whether it may. What an
// integrator may not see is not found: everything that is not below its own
// path. What it sees and may not change is forbidden.
func (c *collection[V, I]) authorize(a *API, r request, writes bool) (integratorID string, err error) {
	named, ok := mux.Vars(r.Request)["integrator"]
	switch {
	case ok:
		if integratorID, err = a.service.resolve(r.Context(), r.caller, named); err != nil {
			return "", err
		}
	case !r.caller.Operator():
		return "", registry.ErrNotFound
	}
	if writes && c.operatorWrites && !r.caller.Operator() {
		return "", errForbidden
	}
	return integratorID, nil
}

func (c *collection[V, I]) serveList(a *API, w http.ResponseWriter, r request) error {
	integratorID, err := c.authorize(a, r, false)
	if err != nil {
		return err
	}
	if asked := r.URL.Query(); len(c.natural) > 0 && asked.Has(c.natural[0]) {
		return c.serveNamed(a, w, r, integratorID)
	}
	name := c.path + " " + integratorID
	search := ""
	if c.searchable {
		search = r.URL.Query().Get("search")
		name += " " + search // a cursor goes on with the search it was given for
	}
	return serveList(a, w, r, name, func(page registry.Page) ([]V, error) {
		page.Search = search
		return c.list(r.Context(), integratorID, page)
	}, func(v *V) (string, any) {
		_, object := c.key(v)
		return object.ID, c.view(v)
	})
}

// serveList answers one page of any list.
func serveList[V any](a *API, w http.ResponseWriter, r request, name string, read func(registry.Page) ([]V, error), show func(*V) (id string, view any)) error {
	page, err := a.page(r.Request, name)
	if err != nil {
		return err
	}
	limit := page.Limit
	page.Limit++ // one more tells whether there is another page
	values, err := read(page)
	if err != nil {
		return err
	}
	answer := struct {
		Items      []any  `json:"items"`
		NextCursor string `json:"next_cursor,omitempty"`
	}{Items: []any{}}
	for i := range values[:min(limit, len(values))] {
		id, view := show(&values[i])
		answer.Items = append(answer.Items, view)
		if i == limit-1 && len(values) > limit {
			answer.NextCursor = a.cursor(name, id)
		}
	}
	return a.answer(w, http.StatusOK, answer)
}

func (c *collection[V, I]) serveCreate(a *API, w http.ResponseWriter, r request) error {
	integratorID, err := c.authorize(a, r, true)
	if err != nil {
		return err
	}
	members, err := readMembers(w, r.Request)
	if err != nil {
		return err
	}
	v := c.fresh(integratorID)
	in, err := merge(members, c.input(v), c.input(v))
	if err != nil {
		return err
	}
	if err := c.apply(in, v); err != nil {
		return err
	}
	ctx, err := c.creating(r, integratorID, v)
	if err != nil {
		return err
	}
	return a.answered(ctx, w, func(ctx context.Context) error { return c.create(ctx, r.caller, v) }, func(context.Context, registry.Inside) (reply, error) {
		id, object := c.key(v)
		return newReply(http.StatusCreated, r.URL.Path+"/"+id, etag(object), c.view(v))
	})
}

func (c *collection[V, I]) serveGet(a *API, w http.ResponseWriter, r request) error {
	v, err := c.load(a, r, false)
	if err != nil {
		return err
	}
	_, object := c.key(v)
	w.Header().Set("ETag", etag(object))
	return a.answer(w, http.StatusOK, c.view(v))
}

func (c *collection[V, I]) load(a *API, r request, writes bool) (*V, error) {
	integratorID, err := c.authorize(a, r, writes)
	if err != nil {
		return nil, err
	}
	return c.get(r.Context(), integratorID, c.idOf(integratorID, r))
}

// idOf gives the id of the object that a path names. Of an integrator itself
// it is the one that "me" stands for.
func (c *collection[V, I]) idOf(integratorID string, r request) string {
	if c.id == "integrator" {
		return integratorID
	}
	return mux.Vars(r.Request)[c.id]
}

func (c *collection[V, I]) serveUpdate(a *API, w http.ResponseWriter, r request) error {
	was, err := c.load(a, r, true)
	if err != nil {
		return err
	}
	_, object := c.key(was)
	match := r.Header.Get("If-Match")
	if !matches(match, object) {
		return errPrecondition
	}
	members, err := readMembers(w, r.Request)
	if err != nil {
		return err
	}
	in, err := merge(members, c.input(was), c.input(c.fresh("")))
	if err != nil {
		return err
	}
	v := new(V)
	*v = *was
	if err := c.apply(in, v); err != nil {
		return err
	}
	ctx, err := c.updating(r, was, v)
	if err != nil {
		return err
	}
	if err := c.update(ctx, r.caller, was, v); err != nil {
		if match != "" && errors.Is(err, registry.ErrStale) {
			return errPrecondition
		}
		return err
	}
	_, object = c.key(v)
	w.Header().Set("ETag", etag(object))
	return a.answer(w, http.StatusOK, c.view(v))
}

func (c *collection[V, I]) serveDelete(a *API, w http.ResponseWriter, r request) error {
	integratorID, err := c.authorize(a, r, true)
	if err != nil {
		return err
	}
	id := c.idOf(integratorID, r)
	was, err := c.get(r.Context(), integratorID, id)
	if err != nil {
		return err
	}
	if _, object := c.key(was); !matches(r.Header.Get("If-Match"), object) {
		return errPrecondition
	}
	ctx, err := r.audited("delete", kindOf(c.path), c.owner(r, integratorID), id, c.input(was), nil)
	if err != nil {
		return err
	}
	if err := a.service.changed(ctx, c.remove(ctx, integratorID, id)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// creating gives the context in which an object is created.
func (c *collection[V, I]) creating(r request, integratorID string, v *V) (context.Context, error) {
	return r.audited("create", kindOf(c.path), integratorID, "", nil, func() (string, any) {
		id, _ := c.key(v)
		return id, c.input(v)
	})
}

// updating gives the context in which an object is changed.
func (c *collection[V, I]) updating(r request, was, v *V) (context.Context, error) {
	id, _ := c.key(was)
	return r.audited("update", kindOf(c.path), c.owner(r, id), id, c.input(was), func() (string, any) { return "", c.input(v) })
}

// owner gives whose an object is, for the record of changes: an integrator is
// its own.
func (c *collection[V, I]) owner(r request, id string) string {
	named, ok := mux.Vars(r.Request)["integrator"]
	switch {
	case !ok:
		return ""
	case c.id == "integrator":
		return id
	case named == "me":
		return r.caller.IntegratorID
	}
	return named
}

// matches tells whether If-Match (RFC 9110 §13.1.1) names this version; without
// the header every version does.
func matches(header string, o *registry.Object) bool {
	if header == "" || header == "*" {
		return true
	}
	for tag := range strings.SplitSeq(header, ",") {
		if strings.TrimSpace(tag) == etag(o) {
			return true
		}
	}
	return false
}

// etag names one version of an object (RFC 9110 §8.8.3).
func etag(o *registry.Object) string { return fmt.Sprintf(`"%d"`, o.Revision) }
