package panel

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

type keyURLsPage struct {
	KeyURLs []keyURL
	Home    string
}

func (p *Panel) keyURLs(v *visit) (page, error) {
	keyURLs, err := all[keyURL](v, v.api("key-urls"))
	return page{template: "keyurls", title: "Key URLs", data: keyURLsPage{keyURLs, v.home()}}, err
}

type keyURLPage struct {
	keyURL
	Home, At string
	Timeline lanes
	History  []auditRow
}

func (v *visit) loadKeyURL() (keyURL, error) {
	var k keyURL
	reply, err := v.get(v.api("key-urls", v.PathValue("key_url")), &k)
	k.ETag = reply.etag
	return k, err
}

func (p *Panel) keyURL(v *visit) (page, error) {
	k, err := v.loadKeyURL()
	if err != nil {
		return page{}, err
	}
	show := keyURLPage{keyURL: k, Home: v.home(), At: v.home("key-urls", k.ID)}
	history, err := read[auditEvent](v, "/audit-events", url.Values{"integrator": {v.integrator.ID}, "object_id": {k.ID}, "limit": {"10"}})
	if err != nil {
		return page{}, err
	}
	for _, e := range history.Items {
		show.History = append(show.History, auditRow{e, changesOf(e)})
	}
	var lives []life
	for _, key := range k.Health.Keys {
		one := life{Name: key.KeyID, Class: key.Status, From: key.FirstSeen}
		if one.Name == "" {
			one.Name = key.Thumbprint
		}
		if key.Status == "removed" {
			one.To = key.LastSeen
		}
		lives = append(lives, one)
	}
	show.Timeline = timeline("When each key was published", p.config.Now(), lives)
	return page{template: "keyurl", title: k.Issuer, data: show}, nil
}

// keyURLForm is what can be said of a key URL.
type keyURLForm struct {
	Form         *form
	New          bool
	Action, Back string
	ETag         string
}

// withDefaults adds what a new key URL has.
func withDefaults(values url.Values) url.Values {
	for name, value := range map[string]string{
		"format": "auto", "algorithms": "RS256", "audience_claims": "aud", "permissions_claim": "permissions", "permissions_format": "array",
		"max_lifetime": "86400", "status": "active",
	} {
		if values.Get(name) == "" {
			values.Set(name, value)
		}
	}
	return values
}

// values are a key URL as its form has it.
func (k keyURL) values() url.Values {
	values := url.Values{
		"issuer": {k.Issuer}, "url": {k.URL}, "format": {k.Format}, "algorithms": k.Algorithms, "audiences": {strings.Join(k.Audiences, "\n")},
		"audience_claims": {strings.Join(k.AudClaims, "\n")}, "condition": {k.Condition}, "permissions_claim": {strings.Join(k.Permissions, "\n")},
		"permissions_format": {k.PermFormat}, "allow_id_token": {strconv.FormatBool(k.AllowID)}, "allow_id_jag": {strconv.FormatBool(k.AllowIDJAG)},
		"clientless": {strconv.FormatBool(k.Clientless)}, "single_use": {strconv.FormatBool(k.SingleUse)}, "status": {k.Status},
	}
	if k.MaxLifetime > 0 {
		values.Set("max_lifetime", fmt.Sprint(k.MaxLifetime))
	}
	var required []string
	for _, claim := range k.Required {
		required = append(required, claim.lines()...)
	}
	values.Set("required_claims", strings.Join(required, "\n"))
	return values
}

// keyURLBody is what a form says, as the API wants it.
func keyURLBody(f url.Values) map[string]any {
	flag := func(name string) bool { return f.Get(name) == "true" }
	body := map[string]any{
		"issuer": f.Get("issuer"), "url": strings.TrimSpace(f.Get("url")), "format": f.Get("format"), "algorithms": append([]string{}, f["algorithms"]...),
		"audiences": lines(f.Get("audiences")), "permissions_claim": lines(f.Get("permissions_claim")), "permissions_format": f.Get("permissions_format"),
		"allow_id_token": flag("allow_id_token"), "allow_id_jag": flag("allow_id_jag"), "clientless": flag("clientless"), "single_use": flag("single_use"),
		"status": f.Get("status"), "condition": nil, "audience_claims": nil, "max_lifetime": nil, // null: the default
	}
	if claims := lines(f.Get("audience_claims")); len(claims) > 0 {
		body["audience_claims"] = claims
	}
	if condition := strings.TrimSpace(f.Get("condition")); condition != "" {
		body["condition"] = condition
	}
	body["required_claims"] = requiredClaims(lines(f.Get("required_claims")))
	if text := f.Get("max_lifetime"); text != "" {
		body["max_lifetime"] = text // which the API refuses by its name
		if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
			body["max_lifetime"] = seconds
		}
	}
	return body
}

func (p *Panel) newKeyURL(v *visit) (page, error) {
	return newKeyURLPage(v, &form{Values: withDefaults(url.Values{})}), nil
}

func newKeyURLPage(v *visit, f *form) page {
	data := keyURLForm{Form: f, New: true, Action: v.home("key-urls", "new"), Back: v.home("key-urls")}
	return page{template: "keyurl_edit", title: "New key URL", status: f.status(), data: data}
}

func (p *Panel) createKeyURL(v *visit) (page, error) {
	f := &form{Values: v.PostForm}
	var made keyURL
	_, err := v.ask(request{method: http.MethodPost, path: v.api("key-urls"), body: keyURLBody(v.PostForm)}, &made)
	if err == nil {
		return seeOther(v.home("explain") + "?" + url.Values{"done": {"created"}, "next": {"client"}}.Encode()), nil
	}
	if err := f.faulty(err); err != nil {
		return page{}, err
	}
	return newKeyURLPage(v, f), nil
}

func (p *Panel) editKeyURL(v *visit) (page, error) {
	k, err := v.loadKeyURL()
	return editKeyURLPage(v, &form{Values: k.values()}, k.ETag), err
}

func editKeyURLPage(v *visit, f *form, etag string) page {
	at := v.home("key-urls", v.PathValue("key_url"))
	data := keyURLForm{Form: f, Action: at + "/edit", Back: at, ETag: etag}
	return page{template: "keyurl_edit", title: "Edit a key URL", status: f.status(), data: data}
}

func (p *Panel) updateKeyURL(v *visit) (page, error) {
	k, err := v.loadKeyURL()
	if err != nil {
		return page{}, err
	}
	body, err := changed(keyURLBody(v.PostForm), keyURLBody(k.values()))
	if err != nil {
		return page{}, err
	}
	_, err = v.ask(request{method: http.MethodPatch, path: v.api("key-urls", k.ID), ifMatch: v.PostForm.Get("etag"), body: body}, nil)
	if err == nil {
		return done(v.home("key-urls", k.ID), "saved"), nil
	}
	f := &form{Values: v.PostForm}
	if err := f.faulty(err); err != nil {
		return page{}, err
	}
	return editKeyURLPage(v, f, v.PostForm.Get("etag")), nil
}

func (p *Panel) refreshKeyURL(v *visit) (page, error) {
	id := v.PathValue("key_url")
	if _, err := v.ask(request{method: http.MethodPost, path: v.api("key-urls", id, "refresh")}, nil); err != nil {
		return page{}, err
	}
	return done(v.home("key-urls", id), "refreshed"), nil
}

func (p *Panel) deleteKeyURL(v *visit) (page, error) {
	_, err := v.ask(request{method: http.MethodDelete, path: v.api("key-urls", v.PathValue("key_url")), ifMatch: v.PostForm.Get("etag")}, nil)
	return done(v.home("key-urls"), "deleted"), err
}
