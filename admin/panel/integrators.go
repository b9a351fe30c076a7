package panel

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// integratorsPage lists integrators.
type integratorsPage struct {
	Rows   []integratorRow
	Next   string
	Search string
}

type integratorRow struct {
	integrator
	Stats statistics
	Chart bars
}

const integratorsOnAPage = "25"

func (p *Panel) listIntegrators(v *visit) (page, error) {
	search := strings.TrimSpace(v.URL.Query().Get("search"))
	query := cursorOf(v)
	query.Set("limit", integratorsOnAPage)
	if search != "" {
		query.Set("search", search)
	}
	integrators, err := read[integrator](v, "/integrators", query)
	if err != nil {
		return page{}, err
	}
	show := integratorsPage{Search: search, Next: nextPage(v, integrators.Next)}
	for _, i := range integrators.Items {
		row := integratorRow{integrator: i}
		if _, err := v.get(path("integrators", i.ID, "exchange-statistics"), &row.Stats); err != nil {
			return page{}, err
		}
		row.Chart = chartOf(row.Stats)
		show.Rows = append(show.Rows, row)
	}
	return page{template: "integrators", title: "Integrators", data: show}, nil
}

// nextPage is the address of what comes after this page of a list; empty at its
// end.
func nextPage(v *visit, cursor string) string {
	if cursor == "" {
		return ""
	}
	query := v.URL.Query()
	query.Set("cursor", cursor)
	query.Del("done")
	return v.URL.Path + "?" + query.Encode()
}

// integratorForm is what can be said of an integrator.
func integratorForm(values url.Values) *form { return &form{Values: values} }

func (p *Panel) newIntegrator(v *visit) (page, error) {
	if !v.operator() {
		return page{}, &problem{Status: http.StatusForbidden}
	}
	return page{template: "integrator_new", title: "New integrator", data: integratorForm(url.Values{})}, nil
}

// createIntegrator is the first step of four: then its provider is connected.
func (p *Panel) createIntegrator(v *visit) (page, error) {
	f := integratorForm(v.PostForm)
	var made integrator
	_, err := v.ask(request{method: http.MethodPost, path: "/integrators", body: map[string]any{"name": v.PostForm.Get("name")}}, &made)
	if err == nil {
		return seeOther(Prefix + "integrators/" + url.PathEscape(made.ID) + "/connect"), nil
	}
	if err := f.faulty(err); err != nil {
		return page{}, err
	}
	return page{template: "integrator_new", title: "New integrator", status: f.status(), data: f}, nil
}

// homePage is what matters of one integrator.
type homePage struct {
	Form     *form
	Stats    statistics
	Chart    bars
	Reasons  []count
	KeyURLs  []keyURL
	Clients  []client
	Refusals []exchange
	Names    map[string]string // of clients, by client_id
	Home     string
	Busy     bool // the record is being read by others
	Ready    bool // there is a key URL, and a way to exchange
}

func (p *Panel) integratorHome(v *visit) (page, error) {
	return p.homeWith(v, integratorForm(url.Values{"name": {v.integrator.Name}, "status": {v.integrator.Status}}))
}

func (p *Panel) homeWith(v *visit, f *form) (page, error) {
	show := homePage{Form: f, Home: v.home()}
	if _, err := v.get(v.api("exchange-statistics"), &show.Stats); err != nil {
		return page{}, err
	}
	show.Chart, show.Reasons = chartOf(show.Stats), top(show.Stats.Reasons, 5)
	var err error
	if show.KeyURLs, err = all[keyURL](v, v.api("key-urls")); err != nil {
		return page{}, err
	}
	if show.Clients, err = all[client](v, v.api("clients")); err != nil {
		return page{}, err
	}
	since := p.config.Now().Add(-24 * time.Hour).UTC().Format(time.RFC3339)
	refusals, err := read[exchange](v, v.api("exchanges"), url.Values{"limit": {"5"}, "result": {"refused"}, "from": {since}})
	if failure := (*problem)(nil); errors.As(err, &failure) && failure.Status == http.StatusTooManyRequests {
		err, show.Busy = nil, true // the rest of the page is worth seeing
	}
	if err != nil {
		return page{}, err
	}
	show.Refusals, show.Names = refusals.Items, namesOf(show.Clients)
	for _, k := range show.KeyURLs {
		show.Ready = show.Ready || k.Clientless || len(show.Clients) > 0
	}
	return page{template: "integrator", title: v.integrator.Name, status: f.status(), data: show}, nil
}

func (p *Panel) updateIntegrator(v *visit) (page, error) {
	f := integratorForm(v.PostForm)
	_, err := v.ask(request{
		method: http.MethodPatch, path: v.api(), ifMatch: v.PostForm.Get("etag"),
		body: map[string]any{"name": v.PostForm.Get("name"), "status": v.PostForm.Get("status")},
	}, nil)
	if err == nil {
		return done(v.home(), "saved"), nil
	}
	if err := f.faulty(err); err != nil {
		return page{}, err
	}
	v.integrator.ETag = v.PostForm.Get("etag") // of what was looked at
	return p.homeWith(v, f)
}

// deleteIntegrator wants the name to be typed: everything goes with it.
func (p *Panel) deleteIntegrator(v *visit) (page, error) {
	if v.PostForm.Get("confirm") != v.integrator.Name {
		return page{}, &problem{Status: http.StatusConflict, Title: "Not deleted", Detail: "To delete it with its key URLs, clients and tokens, type its name exactly as it is written."}
	}
	if _, err := v.ask(request{method: http.MethodDelete, path: v.api()}, nil); err != nil {
		return page{}, err
	}
	return done(Prefix+"integrators", "deleted"), nil
}

func (p *Panel) revokeTokens(v *visit) (page, error) {
	body := map[string]any{}
	if subject := v.PostForm.Get("subject"); subject != "" {
		body["subject"] = subject
	} else if v.PostForm.Get("all") != "true" {
		return page{}, &problem{Status: http.StatusConflict, Title: "Nothing revoked", Detail: "Name a subject, or tick that you mean all tokens of this integrator."}
	}
	if _, err := v.ask(request{method: http.MethodPost, path: v.api("tokens", "revoke"), body: body}, nil); err != nil {
		return page{}, err
	}
	return done(v.home(), "revoked"), nil
}
