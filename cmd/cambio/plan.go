package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// plan is what has to be done to a server for it to be as a document says.
type plan struct {
	world     *world
	file      string
	prune     bool
	owners    []*owner
	holders   map[string]string // id by reference; empty: will be made
	steps     map[string][]*step
	deletes   map[string][]*step
	unchanged int
	notes     []string
}

// owner is an integrator of the document.
type owner struct {
	name    string
	id      string // empty until it is made
	clients []*declared
	touched bool // scopes of its clients may have been taken away
}

// step is one change of one object.
type step struct {
	sign    string // create, change or delete
	label   string
	details []string
	secret  bool // what is made has one
	do      func(ctx context.Context, a *application) error
}

func (s *step) String() string {
	sign := map[string]string{"create": "+", "change": "~", "delete": "-"}[s.sign]
	text := sign + " " + s.sign + " " + s.label
	if len(s.details) > 0 {
		text += ": " + strings.Join(s.details, ", ")
	}
	return text
}

// order is that in which things can be made; they are deleted the other way
// round.
func order() []string {
	return []string{"lock_holders", "resource_servers", "integrators", "links", "scope_rules", "clients", "key_urls"}
}

// all gives the steps in the order in which they are done. What goes goes last:
// a key URL that replaces another one is there before the tokens of its issuer
// would end.
func (p *plan) all() (all []*step) {
	for _, section := range order() {
		all = append(all, p.steps[section]...)
	}
	for _, section := range slices.Backward(order()) {
		all = append(all, p.deletes[section]...)
	}
	return all
}

// newPlan compares a document with a server. It changes nothing.
func newPlan(ctx context.Context, w *world, file string, d *document, prune bool) (*plan, error) {
	p := &plan{world: w, file: file, prune: prune, holders: map[string]string{}, steps: map[string][]*step{}, deletes: map[string][]*step{}}
	if w.me != nil && (d.sections["lock_holders"] || d.sections["resource_servers"]) {
		return nil, errors.New("lock_holders and resource_servers are the operator's: sign in as the operator, or leave them out")
	}
	if err := p.lockHolders(ctx, d); err != nil {
		return nil, err
	}
	if d.sections["resource_servers"] {
		there, err := w.list(ctx, resourceServerKind(), resourceServerKind().path)
		if err != nil {
			return nil, err
		}
		if err := p.compare(ctx, resourceServerKind(), nil, d.resourceServers, there); err != nil {
			return nil, err
		}
	}
	if d.sections["integrators"] {
		if err := p.integrators(ctx, d); err != nil {
			return nil, err
		}
	}
	return p, p.mayDo()
}

// mayDo: an integrator's client changes its clients and key URLs, and would be
// told so in the middle of everything else.
func (p *plan) mayDo() error {
	if p.world.me == nil {
		return nil
	}
	for _, section := range order()[:5] {
		for _, s := range slices.Concat(p.steps[section], p.deletes[section]) {
			return fmt.Errorf("%s: this is the operator's, and an integrator's client signed in", s)
		}
	}
	return nil
}

// lockHolders compares them, where the document names any.
func (p *plan) lockHolders(ctx context.Context, d *document) error {
	k := lockHolderKind()
	named := d.sections["lock_holders"] || slices.ContainsFunc(d.integrators, func(i *declared) bool { return len(i.links) > 0 })
	if !named {
		return nil
	}
	path := k.path
	if p.world.me != nil {
		path = below("me", "/lock-holders")
	}
	there, err := p.world.list(ctx, k, path)
	if err != nil {
		return err
	}
	for _, one := range there {
		p.holders[referenceTo(one.all)] = one.id
	}
	if !d.sections["lock_holders"] {
		return nil
	}
	if err := p.compare(ctx, k, nil, d.lockHolders, there); err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, one := range d.lockHolders {
		wanted[referenceTo(one.all)] = true
	}
	for text := range p.holders {
		if p.prune && !wanted[text] {
			delete(p.holders, text)
		}
	}
	for text := range wanted {
		if _, there := p.holders[text]; !there {
			p.holders[text] = "" // until it is made
		}
	}
	return nil
}

func (p *plan) integrators(ctx context.Context, d *document) error {
	there, err := p.world.integrators(ctx)
	if err != nil {
		return err
	}
	k := integratorKind()
	ids := map[string]string{}
	for _, one := range there {
		ids[k.key(one.all).Encode()] = one.id
	}
	var owners []*owner
	for _, one := range d.integrators {
		name, _ := one.all["name"].(string)
		owners = append(owners, &owner{name: name, id: ids[k.key(one.all).Encode()], clients: one.children["clients"]})
	}
	p.owners = owners
	if err := p.compare(ctx, k, nil, d.integrators, there); err != nil {
		return err
	}
	for i, one := range d.integrators {
		if err := p.ofIntegrator(ctx, owners[i], one); err != nil {
			return err
		}
	}
	return nil
}

// ofIntegrator compares what belongs to an integrator.
func (p *plan) ofIntegrator(ctx context.Context, o *owner, d *declared) error {
	if d.sections["lock_holders"] {
		if err := p.links(ctx, o, d.links); err != nil {
			return err
		}
	}
	for _, k := range []*kind{scopeRuleKind(), clientKind(), keyURLKind()} {
		if !d.sections[k.section] {
			continue
		}
		var there []*existing
		if o.id != "" {
			var err error
			if there, err = p.world.list(ctx, k, below(o.id, k.path)); err != nil {
				return err
			}
		}
		if k.section == "scope_rules" {
			p.noteOrder(o, d.children[k.section], there)
		}
		if err := p.compare(ctx, k, o, d.children[k.section], there); err != nil {
			return err
		}
	}
	return nil
}

// noteOrder: rules are tried in the order in which they were made, which no
// change changes.
func (p *plan) noteOrder(o *owner, wanted []*declared, there []*existing) {
	key := func(all map[string]any) string { return scopeRuleKind().key(all).Encode() }
	var file, old, made []string
	for _, d := range wanted {
		file = append(file, key(d.all))
	}
	for _, one := range there {
		if slices.Contains(file, key(one.all)) {
			old = append(old, key(one.all))
		}
	}
	for _, text := range file {
		if !slices.Contains(old, text) {
			made = append(made, text)
		}
	}
	if !slices.Equal(file, append(old, made...)) {
		p.notes = append(p.notes, "! the scope rules of "+quoted(o.name)+" are tried in the order in which they were made, which is not that of the file")
	}
}

// links compares which lock holders an integrator manages.
func (p *plan) links(ctx context.Context, o *owner, wanted []reference) error {
	var there []*existing
	if o.id != "" {
		var err error
		if there, err = p.world.list(ctx, lockHolderKind(), below(o.id, "/lock-holders")); err != nil {
			return err
		}
	}
	linked := map[string]bool{}
	for _, one := range there {
		text := referenceTo(one.all)
		linked[text] = true
		if p.prune && !slices.ContainsFunc(wanted, func(r reference) bool { return r.text == text }) {
			p.deletes["links"] = append(p.deletes["links"], p.link("delete", o, text, one.id))
		}
	}
	for _, r := range wanted {
		switch _, known := p.holders[r.text]; {
		case linked[r.text] && known:
			p.unchanged++
		case !known:
			return &documentError{p.file, r.line, o.name, "there is no lock holder " + r.text + " in the file's lock_holders, nor on the server"}
		default:
			p.steps["links"] = append(p.steps["links"], p.link("create", o, r.text, ""))
		}
	}
	return nil
}

func (p *plan) link(sign string, o *owner, text, id string) *step {
	return &step{sign: sign, label: "link " + quoted(o.name) + " " + printable(text), do: func(ctx context.Context, a *application) error {
		if sign == "create" {
			_, err := p.world.ask.patiently(ctx, adminRequest{method: http.MethodPut, path: below(o.id, "/lock-holders/"+url.PathEscape(p.holders[text]))})
			return err
		}
		a.touch("links", o)
		_, err := p.world.ask.do(ctx, adminRequest{method: http.MethodDelete, path: below(o.id, "/lock-holders/"+url.PathEscape(id))})
		return err
	}}
}
