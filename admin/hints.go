package admin

import (
	"context"
	"errors"
	"strings"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/registry"
)

// addHints says what to do about a refusal, where more is known than the grant
// knows: which issuers there are, what a token that is none might be, and what
// has to be set in the console of a provider that is known.
func (a *API) addHints(ctx context.Context, q Question, e *Explanation, view *explanationView) error {
	if e.Refusal == nil {
		return nil
	}
	var hints []string
	switch {
	case e.Refusal.Reason == grants.IssuerUnknown:
		keyURLs, err := a.config.Store.KeyURLs(ctx, q.IntegratorID, registry.Page{Limit: registry.MaxKeyURLs})
		if err != nil {
			return err
		}
		hints = append(hints, issuerHint(e.Issuer, keyURLs))
	case e.Issuer == "" && e.Refusal.Reason == grants.Malformed:
		var faults registry.Invalid
		if _, err := a.readToken(q.SubjectToken); errors.As(err, &faults) {
			hints = append(hints, faults[0].Detail)
		}
	}
	if preset := a.config.Presets.ForIssuer(e.Issuer); preset != nil {
		if help := preset.Help(helpFor(e)); help != "" {
			hints = append(hints, preset.Name+": "+help)
		}
	}
	view.Hint = strings.Join(hints, "\n")
	for i := range view.Steps {
		if view.Steps[i].Result == string(grants.Failed) {
			view.Steps[i].Hint = view.Hint
		}
	}
	return nil
}

// helpFor names a refusal as the presets do.
func helpFor(e *Explanation) string {
	if e.Refusal.Code == grants.InvalidScope && len(e.Dropped) == 0 {
		return "no_permissions"
	}
	return string(e.Refusal.Reason)
}

// issuerHint compares an issuer that was not found with those that there are. A
// slash too many is what goes wrong most, and is never made good in silence (RFC
// 8725 §3.8).
func issuerHint(issuer string, keyURLs []registry.KeyURL) string {
	var registered []string
	for _, k := range keyURLs {
		switch {
		case k.Issuer == issuer && k.Status == registry.Disabled:
			return "key URL " + k.ID + " has this issuer and is disabled: set its status to active"
		case registry.IssuerKey(k.Issuer) == registry.IssuerKey(issuer):
			return "key URL " + k.ID + " has the issuer " + k.Issuer + ", which only looks like it: issuers are compared byte by byte, so set it to exactly " + grants.Shown(issuer)
		}
		registered = append(registered, k.Issuer)
	}
	if len(registered) == 0 {
		return "this integrator has no key URL yet: register one for this issuer"
	}
	return "this integrator has key URLs for " + grants.Shown(strings.Join(registered, ", ")) + ": register one for this issuer, or send a token of one of those"
}
