package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cambio-oauth/cambio/registry"
)

var (
	errExists = errors.New("the object exists: If-None-Match says that it must not")
	// errUnchanged takes back a change that changes nothing, with all that
	// replicas would have looked for.
	errUnchanged = errors.New("the object is as it is to be")
)

// keyError refuses a query that does not name one object.
type keyError struct{ members []string }

// Error implements error.
func (e keyError) Error() string {
	return "want in the query, each once and nothing else: " + strings.Join(e.members, ", ")
}

// ambiguousError refuses to guess which object is meant.
type ambiguousError struct{ fit int }

// Error implements error.
func (e ambiguousError) Error() string {
	return fmt.Sprintf("%d objects fit this key: name the one that is meant by its id, with PATCH", e.fit)
}

// within is the API as it is while nobody else can change anything.
func (a *API) within(inside Store) *API {
	config := a.config
	config.Store, config.Changed = inside, func(context.Context) {} // told once it is committed
	return &API{config: config, service: &service{config: config}}
}

// placed is an object that is as it was to be.
type placed struct {
	status   int
	location string
	etag     string
	object   any // nil unless it was created
}

// servePut makes an object be as the body says, whether or not it exists: who
// calls knows how it is to be, and neither its id nor how it is. Looking and
// writing are one change, so that two at once never make two.
func servePut[V, I any](a *API, of func(*API) collection[V, I], w http.ResponseWriter, r request) error {
	c := of(a)
	integratorID, err := c.authorize(a, r, true)
	if err != nil {
		return err
	}
	key, err := readKey(r.URL.RawQuery, c.natural)
	if err != nil {
		return err
	}
	members, err := readMembers(w, r.Request)
	if err != nil {
		return err
	}
	if err := addKey(members, key); err != nil {
		return err
	}
	defaults := c.input(c.fresh(integratorID))
	in, err := merge(members, defaults, defaults)
	if err != nil {
		return err
	}
	var done placed
	err = a.config.Store.Alone(r.Context(), func(inside Store) (err error) {
		c := of(a.within(inside))
		done, err = c.put(r, integratorID, key, in)
		return err
	})
	if !errors.Is(err, errUnchanged) {
		if err := a.service.changed(r.Context(), err); err != nil {
			return err
		}
	}
	w.Header().Set("Location", done.location)
	w.Header().Set("ETag", done.etag)
	if done.object != nil {
		return a.answer(w, done.status, done.object)
	}
	w.WriteHeader(done.status)
	return nil
}

// put creates, changes or leaves alone.
func (c *collection[V, I]) put(r request, integratorID string, key map[string]string, in I) (placed, error) {
	found, err := c.named(r.Context(), integratorID, key)
	if err != nil {
		return placed{}, err
	}
	match, noneMatch := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	switch {
	case len(found) > 1:
		return placed{}, ambiguousError{len(found)}
	case len(found) == 0 && match != "":
		return placed{}, errPrecondition // RFC 9110 §13.1.1: there is nothing that it could name
	case len(found) == 0:
		return c.putNew(r, integratorID, in)
	}
	was := &found[0]
	_, object := c.key(was)
	switch {
	case !matches(match, object):
		return placed{}, errPrecondition
	case noneMatch != "" && matches(noneMatch, object): // RFC 9110 §13.1.2
		return placed{}, errExists
	}
	return c.putOver(r, was, in)
}

func (c *collection[V, I]) putNew(r request, integratorID string, in I) (placed, error) {
	v := c.fresh(integratorID)
	if err := c.apply(in, v); err != nil {
		return placed{}, err
	}
	ctx, err := c.creating(r, integratorID, v)
	if err != nil {
		return placed{}, err
	}
	if err := c.create(ctx, r.caller, v); err != nil {
		return placed{}, err
	}
	id, object := c.key(v)
	return placed{http.StatusCreated, r.URL.Path + "/" + id, etag(object), c.view(v)}, nil
}

func (c *collection[V, I]) putOver(r request, was *V, in I) (placed, error) {
	v := new(V)
	*v = *was
	if c.blank != nil {
		c.blank(v)
	}
	if err := c.apply(in, v); err != nil {
		return placed{}, err
	}
	same, err := equalInputs(c.input(was), c.input(v))
	if err != nil {
		return placed{}, err
	}
	id, object := c.key(was)
	if same {
		return placed{http.StatusNoContent, r.URL.Path + "/" + id, etag(object), nil}, errUnchanged
	}
	ctx, err := c.updating(r, was, v)
	if err != nil {
		return placed{}, err
	}
	if err := c.update(ctx, r.caller, was, v); err != nil {
		return placed{}, err
	}
	_, object = c.key(v)
	return placed{http.StatusNoContent, r.URL.Path + "/" + id, etag(object), nil}, nil
}

func equalInputs[I any](a, b I) (bool, error) {
	one, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	two, err := json.Marshal(b)
	return bytes.Equal(one, two), err
}

// readKey reads the members that name an object.
func readKey(query string, members []string) (map[string]string, error) {
	values, err := url.ParseQuery(query)
	if err != nil || len(values) != len(members) {
		return nil, keyError{members}
	}
	key := map[string]string{}
	for _, name := range members {
		given := values[name]
		// PostgreSQL stores no other text, and must not be asked for it.
		if len(given) != 1 || !utf8.ValidString(given[0]) || strings.ContainsRune(given[0], 0) {
			return nil, keyError{members}
		}
		key[name] = given[0]
	}
	return key, nil
}

// addKey adds what the query says to a body, which may say the same.
func addKey(members map[string]json.RawMessage, key map[string]string) error {
	var faults registry.Invalid
	for name, value := range key {
		if raw, there := members[name]; there {
			var said any
			same := json.Unmarshal(raw, &said) == nil && said == value
			faults.Add(same, "/"+name, "invalid", "the query says otherwise: want the same, or leave it out")
		}
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		members[name] = text
	}
	slices.SortFunc(faults, func(a, b registry.FieldError) int { return strings.Compare(a.Pointer, b.Pointer) })
	return faults.Err()
}
