package admin

import (
	"context"
	"strings"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/registry"
)

// hint says what to do about a refusal, where more is known than the grant
// knows; empty where nothing is.
func (a *API) hint(ctx context.Context, integratorID string, e *Explanation) (string, error) {
	if e.Refusal == nil || e.Refusal.Reason != grants.IssuerUnknown || e.Issuer == "" {
		return "", nil
	}
	keyURLs, err := a.config.Store.KeyURLs(ctx, integratorID, registry.Page{Limit: registry.MaxKeyURLs})
	if err != nil {
		return "", err
	}
	return issuerHint(e.Issuer, keyURLs), nil
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
