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
	put := placing[V, I]{request: r, name: key, in: in}
	return a.answered(r.Context(), w, func(ctx context.Context) error {
		err := a.config.Store.Alone(ctx, func(inside Store) error {
			put.collection = of(a.within(inside))
			if err := mustBeFirst(ctx, inside); err != nil {
				return err
			}
			return put.run(integratorID)
		})
		if errors.Is(err, errUnchanged) {
			return nil
		}
		return a.service.changed(ctx, err)
	}, func(context.Context, registry.Inside) (reply, error) { return put.answer() })
}

// mustBeFirst looks for the answer to the same request where nobody can give it
// meanwhile: what the other one made would otherwise be found as it is to be.
func mustBeFirst(ctx context.Context, inside Store) error {
	pending := registry.AnswerOf(ctx)
	if pending == nil {
		return nil
	}
	_, err := inside.Answer(ctx, pending.Caller, pending.Key)
	switch {
	case err == nil:
		return registry.ErrAnswered
	case errors.Is(err, registry.ErrNotFound):
		return nil
	}
	return err
}

// placing makes one object be as it is to be.
type placing[V, I any] struct {
	collection[V, I]
	request request
	name    map[string]string
	in      I
	answer  func() (reply, error) // once it is
}

// serveNamed answers the objects that a natural key fits, as a list.
func (c *collection[V, I]) serveNamed(a *API, w http.ResponseWriter, r request, integratorID string) error {
	key, err := readKey(r.URL.RawQuery, c.natural)
	if err != nil {
		return err
	}
	found, err := c.named(r.Context(), integratorID, key)
	if err != nil {
		return err
	}
	answer := struct {
		Items []any `json:"items"`
	}{Items: []any{}}
	for i := range found {
		answer.Items = append(answer.Items, c.view(&found[i]))
	}
	return a.answer(w, http.StatusOK, answer)
}

// run creates, changes or leaves alone.
func (p *placing[V, I]) run(integratorID string) error {
	found, err := p.named(p.request.Context(), integratorID, p.name)
	if err != nil {
		return err
	}
	match, noneMatch := p.request.Header.Get("If-Match"), p.request.Header.Get("If-None-Match")
	switch {
	case len(found) > 1:
		return ambiguousError{len(found)}
	case len(found) == 0 && match != "":
		return errPrecondition // RFC 9110 §13.1.1: there is nothing that it could name
	case len(found) == 0:
		return p.make(integratorID)
	}
	was := &found[0]
	_, object := p.key(was)
	switch {
	case !matches(match, object):
		return errPrecondition
	case noneMatch != "" && matches(noneMatch, object): // RFC 9110 §13.1.2
		return errExists
	}
	return p.replace(was)
}

func (p *placing[V, I]) make(integratorID string) error {
	v := p.fresh(integratorID)
	if err := p.apply(p.in, v); err != nil {
		return err
	}
	ctx, err := p.creating(p.request, integratorID, v)
	if err != nil {
		return err
	}
	p.answer = func() (reply, error) {
		id, object := p.key(v)
		return newReply(http.StatusCreated, p.request.URL.Path+"/"+id, etag(object), p.view(v))
	}
	return p.create(ctx, p.request.caller, v)
}

func (p *placing[V, I]) replace(was *V) error {
	v := new(V)
	*v = *was
	if p.blank != nil {
		p.blank(v)
	}
	if err := p.apply(p.in, v); err != nil {
		return err
	}
	p.answer = func() (reply, error) {
		id, object := p.key(v)
		return reply{Status: http.StatusNoContent, Location: p.request.URL.Path + "/" + id, ETag: etag(object)}, nil
	}
	same, err := equalInputs(p.input(was), p.input(v))
	if err != nil {
		return err
	}
	if same {
		return errUnchanged
	}
	ctx, err := p.updating(p.request, was, v)
	if err != nil {
		return err
	}
	return p.update(ctx, p.request.caller, was, v)
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
