package panel

import (
	"net/url"
	"slices"
)

// exchangesPage is the record of an integrator's attempts.
type exchangesPage struct {
	Exchanges []exchange
	Form      *form
	Next      string
	Home      string
	Live      bool // the first page, which the script keeps up to date
	Stats     statistics
	Chart     bars
	Reasons   []count
	Hours     string
	Filtered  bool
	Names     map[string]string // of clients, by client_id
}

// filters are those of the API.
func filters() []string {
	return []string{"result", "reason", "client_id", "issuer", "subject", "kid", "jti", "subject_token_sha256"}
}

func (p *Panel) exchanges(v *visit) (page, error) {
	given := v.URL.Query()
	show := exchangesPage{Form: &form{Values: given}, Home: v.home(), Hours: given.Get("hours")}
	query := url.Values{"limit": {"25"}}
	for _, name := range filters() {
		if value := given.Get(name); value != "" {
			query.Set(name, value)
			show.Filtered = true
		}
	}
	if cursor := given.Get("cursor"); cursor != "" {
		query.Set("cursor", cursor)
	}
	show.Live = given.Get("cursor") == ""
	found, err := read[exchange](v, v.api("exchanges"), query)
	if err := show.Form.faulty(err); err != nil {
		return page{}, err
	}
	show.Exchanges, show.Next = found.Items, nextPage(v, found.Next)
	if !slices.Contains([]string{"24", "168"}, show.Hours) {
		show.Hours = "24"
	}
	if _, err := v.ask(request{method: "GET", path: v.api("exchange-statistics"), query: url.Values{"hours": {show.Hours}}}, &show.Stats); err != nil {
		return page{}, err
	}
	clients, err := all[client](v, v.api("clients"))
	if err != nil {
		return page{}, err
	}
	show.Names = namesOf(clients)
	show.Chart, show.Reasons = chartOf(show.Stats), top(show.Stats.Reasons, 8)
	return page{template: "exchanges", title: "Exchanges", status: show.Form.status(), data: show}, nil
}

func namesOf(clients []client) map[string]string {
	names := map[string]string{}
	for _, c := range clients {
		names[c.ClientID] = c.Name
	}
	return names
}
