package panel

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// entitlementsPage is what an integrator's tokens can be for.
type entitlementsPage struct {
	Holders  []lockHolder
	Rules    []scopeRule
	Form     *form // of a new rule
	Link     *form // of a lock holder to link
	Home     string
	Next     string // of the lock holders
	Operator bool
}

func (p *Panel) entitlements(v *visit) (page, error) {
	return p.entitlementsWith(v, &form{Values: url.Values{}}, &form{Values: url.Values{}})
}

func (p *Panel) entitlementsWith(v *visit, rule, link *form) (page, error) {
	show := entitlementsPage{Form: rule, Link: link, Home: v.home(), Operator: v.operator()}
	holders, err := read[lockHolder](v, v.api("lock-holders"), cursorOf(v))
	if err != nil {
		return page{}, err
	}
	show.Holders, show.Next = holders.Items, nextPage(v, holders.Next)
	show.Rules, err = all[scopeRule](v, v.api("scope-rules"))
	return page{template: "entitlements", title: "Entitlements", status: max(rule.status(), link.status()), data: show}, err
}

// link links a lock holder that is named by what permissions call it.
func (p *Panel) link(v *visit) (page, error) {
	f := &form{Values: v.PostForm}
	named := strings.TrimSpace(v.PostForm.Get("lock_holder"))
	holder, err := findLockHolder(v, named)
	if err != nil {
		return page{}, err
	}
	if holder == nil {
		f.Problem = &problem{Status: http.StatusUnprocessableEntity, Errors: []fieldError{{
			Pointer: "/lock_holder", Detail: "the platform has no such lock holder. Create it under Lock holders first, or look at the last dot, which belongs to the reference.",
		}}}
		return p.entitlementsWith(v, &form{Values: url.Values{}}, f)
	}
	if _, err := v.ask(request{method: http.MethodPut, path: v.api("lock-holders", holder.ID)}, nil); err != nil {
		return page{}, err
	}
	return done(v.home("entitlements"), "linked"), nil
}

// findLockHolder gives the lock holder of a reference, or nil.
func findLockHolder(v *visit, named string) (*lockHolder, error) {
	parts := strings.SplitN(strings.TrimPrefix(named, "lockHolder.identifier:"), ".", 3)
	if len(parts) != 3 {
		return nil, nil
	}
	found, err := read[lockHolder](v, "/lock-holders", url.Values{"country_iso": {parts[0]}, "organization_id": {parts[1]}, "organization_id_suffix": {parts[2]}})
	if err != nil || len(found.Items) == 0 {
		return nil, err
	}
	return &found.Items[0], nil
}

// lossPage shows who would lose what, before it is taken away.
type lossPage struct {
	What, Scope, Kind, ID string
	Home                  string
	Tokens, Live          int // of those that were looked at
	Looked                int
	Since                 time.Time
	Losers                []loser
}

type loser struct {
	Subject, ClientID string
	Scopes            []string
	Last              time.Time
	Live              int
}

const lossPages = 5 // of 200 exchanges

// previewLoss looks at the last exchanges for tokens with what is about to be
// withdrawn.
func (p *Panel) previewLoss(v *visit) (page, error) {
	show := lossPage{Kind: v.PostForm.Get("kind"), ID: v.PostForm.Get("id"), Home: v.home()}
	gone, err := show.describe(v)
	if err != nil {
		return page{}, err
	}
	query := url.Values{"limit": {"200"}, "result": {"granted"}}
	losers := map[[2]string]*loser{}
	for range lossPages {
		exchanges, err := read[exchange](v, v.api("exchanges"), query)
		if err != nil {
			return page{}, err
		}
		for _, e := range exchanges.Items {
			show.count(e, losers, gone, p.config.Now())
		}
		if exchanges.Next == "" {
			break
		}
		query.Set("cursor", exchanges.Next)
	}
	for _, l := range losers {
		show.Losers = append(show.Losers, *l)
	}
	slices.SortFunc(show.Losers, func(a, b loser) int { return b.Last.Compare(a.Last) })
	show.Losers = show.Losers[:min(len(show.Losers), 50)]
	return page{template: "loss", title: "Who would lose what", data: show}, nil
}

// describe names what is to be withdrawn, and tells which scopes go with it.
func (l *lossPage) describe(v *visit) (gone func(scope string) bool, err error) {
	switch l.Kind {
	case "lock-holders":
		var h lockHolder
		_, err = v.get(v.api("lock-holders", l.ID), &h)
		l.What, l.Scope = "the lock holder "+h.Name, h.Reference()
		return func(scope string) bool { return scope == l.Scope }, err
	case "scope-rules":
		var r scopeRule
		_, err = v.get(v.api("scope-rules", l.ID), &r)
		l.What, l.Scope = "the rule for "+r.Permission, r.Scope
		before, after, open := strings.Cut(r.Scope, "$1")
		return func(scope string) bool {
			if !open {
				return scope == r.Scope
			}
			return len(scope) >= len(before)+len(after) && strings.HasPrefix(scope, before) && strings.HasSuffix(scope, after)
		}, err
	}
	return nil, &problem{Status: http.StatusNotFound}
}

func (l *lossPage) count(e exchange, losers map[[2]string]*loser, gone func(string) bool, now time.Time) {
	l.Looked++
	l.Since = e.At
	lost := slices.DeleteFunc(slices.Clone(e.Granted), func(scope string) bool { return !gone(scope) })
	if len(lost) == 0 {
		return
	}
	key := [2]string{e.Subject, e.ClientID}
	one := losers[key]
	if one == nil {
		one = &loser{Subject: e.Subject, ClientID: e.ClientID, Last: e.At}
		losers[key] = one
	}
	for _, scope := range lost {
		if !slices.Contains(one.Scopes, scope) {
			one.Scopes = append(one.Scopes, scope)
		}
	}
	l.Tokens++
	if e.ExpiresAt.After(now) {
		one.Live++
		l.Live++
	}
}

func (p *Panel) withdraw(v *visit) (page, error) {
	kind := v.PostForm.Get("kind")
	if kind != "lock-holders" && kind != "scope-rules" {
		return page{}, &problem{Status: http.StatusNotFound}
	}
	if _, err := v.ask(request{method: http.MethodDelete, path: v.api(kind, v.PostForm.Get("id"))}, nil); err != nil {
		return page{}, err
	}
	return done(v.home("entitlements"), "withdrawn"), nil
}

func (p *Panel) createScopeRule(v *visit) (page, error) {
	f := &form{Values: v.PostForm}
	body := map[string]any{"permission": v.PostForm.Get("permission"), "scope": v.PostForm.Get("scope")}
	_, err := v.ask(request{method: http.MethodPost, path: v.api("scope-rules"), body: body}, nil)
	if err == nil {
		return done(v.home("entitlements"), "created"), nil
	}
	if err := f.faulty(err); err != nil {
		return page{}, err
	}
	return p.entitlementsWith(v, f, &form{Values: url.Values{}})
}
