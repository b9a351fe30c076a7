package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"

	"github.com/cambio-oauth/cambio/registry"
)

// compare plans what makes the objects of one collection be as the document
// says.
func (p *plan) compare(ctx context.Context, k *kind, o *owner, wanted []*declared, there []*existing) error {
	byKey := map[string][]*existing{}
	for _, one := range there {
		key := k.key(one.all).Encode()
		byKey[key] = append(byKey[key], one)
	}
	kept := map[string]bool{}
	for _, d := range wanted {
		key := k.key(d.all).Encode()
		switch found := byKey[key]; {
		case len(found) > 1:
			return &documentError{p.file, d.line, k.label(o.label(), d.all), fmt.Sprintf("the server has %d of this name: rename the others first, by their ids", len(found))}
		case len(found) == 0:
			p.create(k, o, d)
		default:
			kept[found[0].id] = true
			if err := p.change(ctx, k, o, d, found[0]); err != nil {
				return err
			}
		}
	}
	for _, one := range there {
		if !p.prune || kept[one.id] {
			continue
		}
		if err := p.remove(ctx, k, o, one); err != nil {
			return err
		}
	}
	return nil
}

func (o *owner) label() string {
	if o == nil {
		return ""
	}
	return o.name
}

// path is of a collection; an integrator that is yet to be made has none before.
func (o *owner) path(k *kind) string {
	if o == nil {
		return k.path
	}
	return below(o.id, k.path)
}

func (p *plan) create(k *kind, o *owner, d *declared) {
	method := d.all["token_endpoint_auth_method"]
	p.steps[k.section] = append(p.steps[k.section], &step{
		sign: "create", label: k.label(o.label(), d.all),
		secret: k.section == "resource_servers" || method == registry.AuthBasic || method == registry.AuthPost,
		do: func(ctx context.Context, a *application) error {
			said, err := a.put(ctx, k, o, d, "If-None-Match", "*")
			if err != nil {
				return err
			}
			return a.created(k, o, d, said)
		},
	})
}

// change plans the change of an object that is not as the document says, as it
// is at this moment: the list may be older.
func (p *plan) change(ctx context.Context, k *kind, o *owner, d *declared, was *existing) error {
	if len(memberChanges(k, was.all, d.all)) == 0 {
		p.unchanged++
		return nil
	}
	path := o.path(k) + "/" + url.PathEscape(was.id)
	now, etag, err := p.world.read(ctx, k, path)
	if err != nil {
		return err
	}
	p.steps[k.section] = append(p.steps[k.section], &step{
		sign: "change", label: k.label(o.label(), d.all), details: memberChanges(k, now.all, d.all),
		do: func(ctx context.Context, a *application) (err error) {
			if k.section == "clients" && o.touched { // by this run, which is no change of somebody else
				if _, etag, err = p.world.read(ctx, k, path); err != nil {
					return err
				}
			}
			if _, err = a.put(ctx, k, o, d, "If-Match", etag); err == nil && k.section == "scope_rules" {
				o.touched = true
			}
			return err
		},
	})
	return nil
}

// remove plans a deletion, but never of who is asking.
func (p *plan) remove(ctx context.Context, k *kind, o *owner, one *existing) error {
	label := k.label(o.label(), one.all)
	if p.world.me != nil && one.id == p.world.me.id || k.section == "clients" && one.id == p.world.ask.id {
		p.notes = append(p.notes, "! kept "+label+", which signed in")
		return nil
	}
	path := o.path(k) + "/" + url.PathEscape(one.id)
	_, etag, err := p.world.read(ctx, k, path)
	if err != nil {
		return err
	}
	p.deletes[k.section] = append(p.deletes[k.section], &step{sign: "delete", label: label, do: func(ctx context.Context, a *application) error {
		_, err := p.world.ask.do(ctx, adminRequest{method: http.MethodDelete, path: path, header: map[string]string{"If-Match": etag}})
		if err == nil {
			a.touch(k.section, o)
		}
		return err
	}})
	return nil
}

// memberChanges tells which members would become what.
func memberChanges(k *kind, from, to map[string]any) (list []string) {
	for _, m := range k.members {
		if !reflect.DeepEqual(from[m.name], to[m.name]) {
			list = append(list, m.name+" "+shownJSON(from[m.name])+" → "+shownJSON(to[m.name]))
		}
	}
	return list
}
