package panel

import (
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// overviewPage is what an operator sees first: what needs attention, then how it
// goes.
type overviewPage struct {
	Attention []attention
	Stats     statistics
	Chart     bars
	Reasons   []count
	Keys      []signingKey
	Empty     bool // there is no integrator yet
	Looked    int  // integrators that were looked at
	More      bool
}

// attention is one thing to look at.
type attention struct {
	Kind, Text, Target, Label string
}

// overviewIntegrators is how many integrators the overview looks at for key URLs
// that fail.
const overviewIntegrators = 50

func (p *Panel) overview(v *visit) (page, error) {
	if !v.operator() {
		return seeOther(Prefix + "integrators/me"), nil
	}
	var show overviewPage
	if _, err := v.get("/exchange-statistics?hours=24", &show.Stats); err != nil {
		return page{}, err
	}
	show.Chart, show.Reasons = chartOf(show.Stats), top(show.Stats.Reasons, 5)
	var keys list[signingKey]
	if _, err := v.get("/signing-keys", &keys); err != nil {
		return page{}, err
	}
	show.Keys = keys.Items
	integrators, err := read[integrator](v, "/integrators", url.Values{"limit": {fmt.Sprint(overviewIntegrators)}})
	if err != nil {
		return page{}, err
	}
	show.Empty, show.Looked, show.More = len(integrators.Items) == 0, len(integrators.Items), integrators.Next != ""
	for _, i := range integrators.Items {
		found, err := p.attentionOf(v, i)
		if err != nil {
			return page{}, err
		}
		show.Attention = append(show.Attention, found...)
	}
	if share := show.Stats.Share(); share >= 0 && share < 80 && show.Stats.Granted+show.Stats.Refused >= 20 {
		show.Attention = append(show.Attention, attention{"warn", fmt.Sprintf("Only %d of 100 attempts of the last 24 hours were granted.", share), "", ""})
	}
	return page{template: "overview", title: "Overview", data: show}, nil
}

// attentionOf tells what is wrong with an integrator's key URLs.
func (p *Panel) attentionOf(v *visit, i integrator) ([]attention, error) {
	keyURLs, err := read[keyURL](v, path("integrators", i.ID, "key-urls"), url.Values{"limit": {"64"}})
	if failure, ok := err.(*problem); ok && failure.Status == http.StatusNotFound {
		return nil, nil // it was deleted a moment ago
	}
	if err != nil {
		return nil, err
	}
	var found []attention
	for _, k := range keyURLs.Items {
		target := Prefix + "integrators/" + url.PathEscape(i.ID) + "/key-urls/" + url.PathEscape(k.ID)
		switch {
		case k.Status != "active":
		case k.Health.Status == "down":
			found = append(found, attention{"bad", "No keys of " + k.Issuer + " (" + i.Name + ") can be used: its users' tokens are answered “try again”.", target, "Look at the key URL"})
		case k.Health.Status == "failing":
			found = append(found, attention{"warn", fmt.Sprintf("The keys of %s (%s) cannot be fetched since %s. Those fetched before are used until %s UTC.",
				k.Issuer, i.Name, ago(p.config.Now(), k.Health.FailingSince), k.Health.UsableUntil.UTC().Format(time.DateTime)), target, "Look at the key URL"})
		}
	}
	return found, nil
}
