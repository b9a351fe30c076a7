package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// world is a server's configuration, read through the admin API.
type world struct {
	ask *adminClient
	me  *existing // the integrator whose client asks; nil: an operator's
}

// existing is an object that a server has.
type existing struct {
	id  string
	all map[string]any // its writable members
}

// newWorld finds out who asks.
func newWorld(ctx context.Context, ask *adminClient) (*world, error) {
	w := &world{ask: ask}
	said, err := ask.do(ctx, adminRequest{method: http.MethodGet, path: "/integrators/me"})
	if refusal := (*adminRefusal)(nil); errors.As(err, &refusal) && refusal.status == http.StatusNotFound {
		return w, nil // RFC 6749 knows no "who am I", and an operator is no integrator
	}
	if err != nil {
		return nil, err
	}
	w.me, err = readExisting(integratorKind(), said.body)
	return w, err
}

func readExisting(k *kind, body []byte) (*existing, error) {
	value, err := decodeJSON(body)
	members, ok := value.(map[string]any)
	if err != nil || !ok {
		return nil, errors.New("the answer is no object")
	}
	return k.existing(members)
}

func (k *kind) existing(members map[string]any) (*existing, error) {
	id, ok := members[k.id].(string)
	if !ok {
		return nil, errors.New("the answer is no " + k.title)
	}
	return &existing{id, k.whole(members)}, nil
}

// list reads all objects of a kind, in the server's order.
func (w *world) list(ctx context.Context, k *kind, path string) (list []*existing, err error) {
	for cursor := ""; ; {
		query := url.Values{"limit": {"50"}} // 50 of the largest are within maxAnswerBytes
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		said, err := w.ask.do(ctx, adminRequest{method: http.MethodGet, path: path + "?" + query.Encode()})
		if err != nil {
			return nil, fmt.Errorf("list %ss: %w", k.title, err)
		}
		value, err := decodeJSON(said.body)
		page, _ := value.(map[string]any)
		items, ok := page["items"].([]any)
		if err != nil || !ok {
			return nil, fmt.Errorf("list %ss: the answer is no list", k.title)
		}
		for _, item := range items {
			members, _ := item.(map[string]any)
			one, err := k.existing(members)
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
		if cursor, _ = page["next_cursor"].(string); cursor == "" {
			return list, nil
		}
	}
}

// read reads one object as it is now, and its version.
func (w *world) read(ctx context.Context, k *kind, path string) (one *existing, etag string, err error) {
	said, err := w.ask.do(ctx, adminRequest{method: http.MethodGet, path: path})
	if err != nil {
		return nil, "", err
	}
	one, err = readExisting(k, said.body)
	return one, said.header.Get("ETag"), err
}

// integrators are all there are, to whom may see them.
func (w *world) integrators(ctx context.Context) ([]*existing, error) {
	if w.me != nil {
		return []*existing{w.me}, nil
	}
	return w.list(ctx, integratorKind(), integratorKind().path)
}

func below(integratorID, path string) string {
	return "/integrators/" + url.PathEscape(integratorID) + path
}

// referenceTo is how documents name a lock holder.
func referenceTo(all map[string]any) string {
	var parts []string
	for _, name := range lockHolderKind().natural {
		text, _ := all[name].(string)
		parts = append(parts, text)
	}
	return strings.Join(parts, ".")
}
