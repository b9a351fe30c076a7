package panel

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

type clientsPage struct {
	Clients []client
	Home    string
}

func (p *Panel) clients(v *visit) (page, error) {
	clients, err := all[client](v, v.api("clients"))
	return page{template: "clients", title: "Clients", data: clientsPage{clients, v.home()}}, err
}

// clientForm is what can be said of a client.
type clientForm struct {
	Form         *form
	New          bool
	Client       client
	Action, Back string
	Once         string // so that sending the form again makes no second client or secret
	Operator     bool
}

func (p *Panel) newClient(v *visit) (page, error) {
	f := &form{Values: url.Values{
		"token_endpoint_auth_method": {"client_secret_basic"}, "status": {"active"},
		"grant_types": {"urn:ietf:params:oauth:grant-type:token-exchange"},
	}}
	return newClientPage(v, f), nil
}

func newClientPage(v *visit, f *form) page {
	data := clientForm{Form: f, New: true, Action: v.home("clients", "new"), Back: v.home("clients"), Once: rand.Text(), Operator: v.operator()}
	return page{template: "client_edit", title: "New client", status: f.status(), data: data}
}

// clientBody is what a form says, as the API wants it.
func clientBody(f url.Values) map[string]any {
	body := map[string]any{
		"client_name": f.Get("client_name"), "grant_types": append([]string{}, f["grant_types"]...), "allowed_origins": lines(f.Get("allowed_origins")),
		"status": f.Get("status"), "scope": nil, "jwks": nil, "jwks_uri": nil, "access_token_ttl": nil, "token_endpoint_auth_method": f.Get("token_endpoint_auth_method"),
	}
	if scope := strings.Join(strings.Fields(f.Get("scope")), " "); scope != "" {
		body["scope"] = scope
	}
	keyed := f.Get("token_endpoint_auth_method") == "private_key_jwt" // no other method has keys
	if uri := strings.TrimSpace(f.Get("jwks_uri")); uri != "" && keyed {
		body["jwks_uri"] = uri
	}
	if text := strings.TrimSpace(f.Get("jwks")); text != "" && keyed {
		body["jwks"] = text // which the API refuses by its name
		if json.Valid([]byte(text)) {
			body["jwks"] = json.RawMessage(text)
		}
	}
	if text := f.Get("access_token_ttl"); text != "" {
		body["access_token_ttl"] = text
		if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
			body["access_token_ttl"] = seconds
		}
	}
	return body
}

func (c client) values() url.Values {
	values := url.Values{
		"client_name": {c.Name}, "token_endpoint_auth_method": {c.Method}, "grant_types": c.GrantTypes,
		"allowed_origins": {strings.Join(c.Origins, "\n")}, "status": {c.Status},
	}
	if c.Scope != nil {
		values.Set("scope", *c.Scope)
	}
	if c.JWKSURI != nil {
		values.Set("jwks_uri", *c.JWKSURI)
	}
	if len(c.JWKS) > 0 && string(c.JWKS) != "null" {
		values.Set("jwks", string(c.JWKS))
	}
	if c.TTL != nil {
		values.Set("access_token_ttl", strconv.FormatInt(*c.TTL, 10))
	}
	return values
}

// createClient shows the secret in its answer, and nowhere else.
func (p *Panel) createClient(v *visit) (page, error) {
	f := &form{Values: v.PostForm}
	var made client
	reply, err := v.ask(request{method: http.MethodPost, path: v.api("clients"), body: clientBody(v.PostForm), once: v.PostForm.Get("once")}, &made)
	if err != nil {
		if err := f.faulty(err); err != nil {
			return page{}, err
		}
		return newClientPage(v, f), nil
	}
	if reply.replayed {
		return page{}, shownBefore()
	}
	return p.secretOf(v, made, "The client is there. Its secret is shown this once: what is stored is a hash of it."), nil
}

func shownBefore() *problem {
	return &problem{
		Status: http.StatusConflict, Title: "Shown before",
		Detail: "This form was sent before, and the secret was in the answer. Nothing was made a second time. If the answer was lost, give the client another secret; a resource server has to be deleted and made again.",
	}
}

// secretOf shows a client with its secret and how to use it. Nothing here can
// fail: the secret would be lost.
func (p *Panel) secretOf(v *visit, c client, lead string) page {
	show := secretPage{Lead: lead, ClientID: c.ClientID, Secret: c.Secret, Continue: v.home("clients", c.ClientID), Label: "Done"}
	if c.Secret == "" {
		show.Lead = "The client is there. It has no secret: " + map[string]string{"none": "anybody can say its client_id.", "private_key_jwt": "it proves itself by its key."}[c.Method]
	}
	if slices.ContainsFunc(c.GrantTypes, func(grant string) bool { return strings.HasSuffix(grant, "token-exchange") }) {
		show.Snippets = snippets(p.config.Issuer, c)
	}
	return page{template: "secret", title: c.Name, data: show}
}

func (v *visit) loadClient() (client, error) {
	var c client
	reply, err := v.get(v.api("clients", v.PathValue("client")), &c)
	c.ETag = reply.etag
	return c, err
}

func (p *Panel) client(v *visit) (page, error) {
	c, err := v.loadClient()
	if err != nil {
		return page{}, err
	}
	return clientPage(v, c, &form{Values: c.values()}), nil
}

func clientPage(v *visit, c client, f *form) page {
	at := v.home("clients", c.ClientID)
	data := clientForm{Form: f, Client: c, Action: at, Back: v.home("clients"), Once: rand.Text(), Operator: v.operator()}
	return page{template: "client_edit", title: c.Name, status: f.status(), data: data}
}

func (p *Panel) updateClient(v *visit) (page, error) {
	c, err := v.loadClient()
	if err != nil {
		return page{}, err
	}
	body, err := changed(clientBody(v.PostForm), clientBody(c.values()))
	if err != nil {
		return page{}, err
	}
	_, err = v.ask(request{method: http.MethodPatch, path: v.api("clients", c.ClientID), ifMatch: v.PostForm.Get("etag"), body: body}, nil)
	if err == nil {
		return done(v.home("clients", c.ClientID), "saved"), nil
	}
	f := &form{Values: v.PostForm}
	if err := f.faulty(err); err != nil {
		return page{}, err
	}
	c.ETag = v.PostForm.Get("etag") // of what was looked at: saving again must not undo another's change
	return clientPage(v, c, f), nil
}

// overlaps are how long a secret that is replaced may go on working.
func overlaps() map[string]time.Duration {
	return map[string]time.Duration{"now": 0, "1h": time.Hour, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour}
}

func (p *Panel) addSecret(v *visit) (page, error) {
	overlap, known := overlaps()[v.PostForm.Get("overlap")]
	if !known {
		return page{}, &problem{Status: http.StatusBadRequest, Title: "No secret was made", Detail: "Choose how long the old secret goes on working."}
	}
	var c client
	reply, err := v.ask(request{
		method: http.MethodPost, path: v.api("clients", v.PathValue("client"), "secret"), once: v.PostForm.Get("once"),
		query: url.Values{"overlap": {strconv.Itoa(int(overlap.Seconds()))}},
	}, &c)
	if err != nil {
		return page{}, err
	}
	if reply.replayed {
		return page{}, shownBefore()
	}
	lead := "This is the new secret, shown this once. The old one has ended."
	if overlap > 0 {
		lead = "This is the new secret, shown this once. The old one goes on working for " + span(overlap) + ": replace it everywhere until then."
	}
	return p.secretOf(v, c, lead), nil
}

func (p *Panel) deleteClient(v *visit) (page, error) {
	_, err := v.ask(request{method: http.MethodDelete, path: v.api("clients", v.PathValue("client")), ifMatch: v.PostForm.Get("etag")}, nil)
	return done(v.home("clients"), "deleted"), err
}
