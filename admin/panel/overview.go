package panel

import (
	"fmt"
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
}

// attention is one thing to look at.
type attention struct {
	Kind, Text, Target, Label string
}

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
	integrators, err := read[integrator](v, "/integrators", url.Values{"limit": {"1"}})
	if err != nil {
		return page{}, err
	}
	show.Empty = len(integrators.Items) == 0
	failing, err := read[failingKeyURL](v, "/failing-key-urls", nil)
	if err != nil {
		return page{}, err
	}
	for _, k := range failing.Items {
		show.Attention = append(show.Attention, p.attentionOf(k))
	}
	if share := show.Stats.Share(); share >= 0 && share < 80 && show.Stats.Granted+show.Stats.Refused >= 20 {
		show.Attention = append(show.Attention, attention{"warn", fmt.Sprintf("Only %d of 100 attempts of the last 24 hours were granted.", share), "", ""})
	}
	return page{template: "overview", title: "Overview", data: show}, nil
}

// attentionOf says what it means that keys cannot be fetched.
func (p *Panel) attentionOf(k failingKeyURL) attention {
	found := attention{"warn", fmt.Sprintf("The keys of %s (%s) could not be fetched since %s. Those fetched before are used until %s UTC.",
		k.Issuer, k.IntegratorName, ago(p.config.Now(), k.FailingSince), k.UsableUntil.UTC().Format(time.DateTime)),
		Prefix + "integrators" + path(k.IntegratorID, "key-urls", k.ID), "Look at the key URL"}
	if k.Status == "down" {
		found.Kind = "bad"
		found.Text = "No keys of " + k.Issuer + " (" + k.IntegratorName + ") can be used: its users' tokens are answered “try again”."
	}
	return found
}
