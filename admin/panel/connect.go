package panel

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// connectPage is the second step for a new integrator, and how an old one gets
// another provider: choose it, or show a token of it; then look what is there.
type connectPage struct {
	Presets []preset
	Chosen  *preset
	Form    *form
	Fields  []field
	Home    string

	Issuer, URL string
	Check       *check
	Proposal    *proposal
	Suggested   *form // what would be registered
	Fault       string
}

func (p *Panel) connectPage(v *visit) (*connectPage, error) {
	presets, err := read[preset](v, "/provider-presets", nil)
	return &connectPage{Presets: presets.Items, Form: &form{Values: url.Values{}}, Home: v.home()}, err
}

func (p *Panel) chooseProvider(v *visit) (page, error) {
	show, err := p.connectPage(v)
	if err != nil {
		return page{}, err
	}
	show.choose(v.URL.Query())
	return show.page(), nil
}

func (c *connectPage) page() page {
	answer := page{template: "connect", title: "Connect an identity provider", data: c}
	if c.Fault != "" {
		answer.status = http.StatusUnprocessableEntity
	}
	return answer
}

// choose takes the provider that was picked, with a field for each thing that
// tells its customers apart.
func (c *connectPage) choose(values url.Values) {
	i := slices.IndexFunc(c.Presets, func(known preset) bool { return known.ID == values.Get("preset") })
	if i < 0 {
		return
	}
	c.Chosen, c.Form.Values = &c.Presets[i], values
	for _, input := range c.Chosen.Inputs {
		c.Fields = append(c.Fields, newField(c.Form, "text", input.Name, input.Label, "Such as "+input.Example))
	}
}

// checkProvider fills in the provider's issuer and key URL, and fetches the
// keys: nothing is saved.
func (p *Panel) checkProvider(v *visit) (page, error) {
	show, err := p.connectPage(v)
	if err != nil {
		return page{}, err
	}
	show.choose(v.PostForm)
	show.Issuer, show.URL = v.PostForm.Get("issuer"), v.PostForm.Get("url")
	if show.Chosen != nil && show.Issuer == "" {
		show.Issuer, show.URL, show.Fault = show.Chosen.fill(v.PostForm)
	}
	if show.Fault != "" {
		return show.page(), nil
	}
	body := map[string]any{"url": show.URL}
	if show.Issuer != "" {
		body["issuer"] = show.Issuer
	}
	show.Check = &check{}
	_, err = v.ask(request{method: http.MethodPost, path: v.api("key-urls", "check"), body: body}, show.Check)
	if err != nil {
		show.Check = nil
		return show.unchecked(err)
	}
	suggested := url.Values{"issuer": {show.Issuer}, "url": {show.URL}}
	if show.Chosen != nil && len(show.Chosen.Algorithms) > 0 {
		suggested["algorithms"] = show.Chosen.Algorithms[:1]
	}
	show.Suggested = &form{Values: withDefaults(suggested)}
	return show.page(), nil
}

// unchecked says why nothing could be fetched, where that is for the person to
// mend.
func (c *connectPage) unchecked(err error) (page, error) {
	f := &form{}
	if err := f.faulty(err); err != nil {
		return page{}, err
	}
	c.Fault = f.Problem.Detail
	for _, fault := range f.Problem.Errors {
		c.Fault = strings.TrimPrefix(fault.Pointer, "/") + ": " + fault.Detail
	}
	return c.page(), nil
}

// fill writes what was typed into the first form of the provider's issuers that
// it is enough for.
func (p preset) fill(values url.Values) (issuer, keys, fault string) {
	for _, form := range p.Templates {
		issuer, keys = form.Issuer, form.URL
		fault = ""
		for _, input := range p.Inputs {
			slot, value := "{"+input.Name+"}", strings.TrimSpace(values.Get(input.Name))
			if !strings.Contains(issuer+keys, slot) {
				continue
			}
			if fault == "" {
				fault = input.reject(value)
			}
			issuer, keys = strings.ReplaceAll(issuer, slot, value), strings.ReplaceAll(keys, slot, value)
		}
		if fault == "" && keys == "" {
			keys = strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration" // which names them
		}
		if fault == "" {
			return issuer, keys, ""
		}
	}
	if fault == "" {
		fault = "This provider has no form to fill in: paste a token of it instead."
	}
	return "", "", fault
}

func (i presetInput) reject(value string) string {
	pattern, err := regexp.Compile("^(?:" + i.Pattern + ")$")
	switch {
	case value == "":
		return i.Label + ": fill it in, such as " + i.Example
	case err == nil && !pattern.MatchString(value):
		return i.Label + ": this does not look like one. It should be like " + i.Example
	}
	return ""
}

// readToken proposes a key URL by a token that was pasted.
func (p *Panel) readToken(v *visit) (page, error) {
	show, err := p.connectPage(v)
	if err != nil {
		return page{}, err
	}
	token := strings.TrimSpace(v.PostForm.Get("subject_token"))
	show.Proposal = &proposal{}
	_, err = v.ask(request{method: http.MethodPost, path: v.api("key-urls", "from-token"), body: map[string]any{"subject_token": token}}, show.Proposal)
	if err != nil {
		show.Proposal = nil
		return show.unchecked(err)
	}
	show.Check = show.Proposal.Keys
	if len(show.Proposal.KeyURL) > 0 && string(show.Proposal.KeyURL) != "null" {
		var k keyURL
		if err := json.Unmarshal(show.Proposal.KeyURL, &k); err != nil {
			return page{}, err
		}
		show.Issuer, show.URL = k.Issuer, k.URL
		show.Suggested = &form{Values: withDefaults(k.values())}
	}
	return show.page(), nil
}
