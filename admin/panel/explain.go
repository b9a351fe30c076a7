package panel

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// explainPage is the simulator: what an exchange would come to, and why.
type explainPage struct {
	Form     *form
	Clients  []client
	Answer   *explanation
	Token    string    // of the answer, indented
	Exchange *exchange // a refused one that was picked
	Home     string
	Wizard   bool // the third step of four
	Types    []string
}

func (p *Panel) explainPage(v *visit, f *form) (*explainPage, error) {
	clients, err := all[client](v, v.api("clients"))
	return &explainPage{Form: f, Clients: clients, Home: v.home(), Wizard: f.Values.Get("next") == "client", Types: tokenTypes()}, err
}

func (p *Panel) showExplain(v *visit) (page, error) {
	show, err := p.explainPage(v, &form{Values: v.URL.Query()})
	if err != nil {
		return page{}, err
	}
	if hash := v.URL.Query().Get("exchange"); hash != "" {
		found, err := read[exchange](v, v.api("exchanges"), url.Values{"subject_token_sha256": {hash}, "limit": {"1"}})
		if err != nil {
			return page{}, err
		}
		if len(found.Items) > 0 {
			show.Exchange = &found.Items[0]
			show.Form.Values.Set("client_id", show.Exchange.ClientID)
		}
	}
	return page{template: "explain", title: "Why refused?", data: show}, nil
}

// explain asks what an exchange of a pasted token would come to. The token is in
// no address, no log and no record, and the page that answers does not hold it
// but in the field that it was pasted into.
func (p *Panel) explain(v *visit) (page, error) {
	show, err := p.explainPage(v, &form{Values: v.PostForm})
	if err != nil {
		return page{}, err
	}
	body := map[string]any{"subject_token": strings.TrimSpace(v.PostForm.Get("subject_token"))}
	for _, name := range []string{"client_id", "scope", "subject_token_type"} {
		if value := strings.TrimSpace(v.PostForm.Get(name)); value != "" {
			body[name] = value
		}
	}
	if audiences := lines(v.PostForm.Get("audience")); len(audiences) > 0 {
		body["audience"] = audiences
	}
	show.Answer = &explanation{}
	if _, err := v.ask(request{method: http.MethodPost, path: v.api("exchanges", "explain"), body: body}, show.Answer); err != nil {
		show.Answer = nil
		if err := show.Form.faulty(err); err != nil {
			return page{}, err
		}
	} else {
		show.Answer.tidy()
	}
	if show.Answer != nil && len(show.Answer.Token) > 0 {
		var indented bytes.Buffer
		if err := json.Indent(&indented, show.Answer.Token, "", "  "); err != nil {
			return page{}, err
		}
		show.Token = indented.String()
	}
	return page{template: "explain", title: "Why refused?", status: show.Form.status(), data: show}, nil
}

// tokenTypes are what a subject token can be sent as (RFC 8693 §3).
func tokenTypes() []string {
	return []string{"urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:access_token", "urn:ietf:params:oauth:token-type:id_token"}
}

// tidy leaves out which key URL a step is about where all are about one.
func (e *explanation) tidy() {
	var at []string
	for _, s := range e.Steps {
		if s.KeyURL != "" && !slices.Contains(at, s.KeyURL) {
			at = append(at, s.KeyURL)
		}
	}
	for i := range e.Steps {
		if len(at) == 1 {
			e.Steps[i].KeyURL = ""
		}
	}
}
