package presets

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cambio-oauth/cambio/registry"
)

// draft is a proposal in the making.
type draft struct {
	*match
	Proposal

	token   Token
	generic *Preset
	ours    []string // the aud values that stand for this server
}

// Propose gives the key URL that tokens like this one need. ours are the aud
// values that stand for this server.
func (c *Catalogue) Propose(token Token, ours []string) Proposal {
	issuer, _ := token.text("iss")
	d := &draft{match: c.recognise(token, issuer), token: token, generic: c.generic(), ours: ours}
	d.Preset, d.Guess = d.preset.ID, d.form.Guess != ""
	d.Proposal.Missing, d.Proposal.Warnings = []Missing{}, []Warning{}
	if d.Refused = d.refusal(); d.Refused != "" {
		return d.Proposal
	}
	d.KeyURL.Issuer = issuer
	d.place(issuer)
	d.algorithm()
	d.audience()
	d.requiredClaims()
	d.permissions()
	if d.Guess {
		d.warn(WarnGuess, d.form.Guess)
	}
	if d.Guess || d.preset == d.generic {
		c.warnOfLookAlikes(issuer, &d.Proposal)
	}
	d.notices()
	return d.Proposal
}

// refusal says why no key URL makes the token work.
func (d *draft) refusal() string {
	for _, guard := range slices.Concat(d.preset.Guards, d.generic.Guards) {
		if guard.When.holds(d.token) {
			return guard.Refuse
		}
	}
	switch {
	case !slices.Contains(registry.Algorithms(), d.token.Algorithm):
		return fmt.Sprintf("Nothing verifies the algorithm %.20q here. ", d.token.Algorithm) + d.preset.Help("alg_not_allowed")
	case !slices.Contains([]string{"", "jwt", "at+jwt"}, d.token.Type):
		return d.preset.Help("typ_not_allowed")
	case d.isIDToken() && !d.preset.AllowIDToken:
		return d.preset.Help("wrong_token_kind")
	}
	for _, claim := range []string{"sub", "exp", "iat"} {
		if d.token.at(claim) == nil {
			return "The token has no " + claim + ", which every subject token needs. " + d.preset.Help("claim_missing")
		}
	}
	return ""
}

// isIDToken goes by the marks that refuse a subject token.
func (d *draft) isIDToken() bool {
	for _, claim := range []string{"nonce", "at_hash", "c_hash"} {
		if d.token.at(claim) != nil {
			return true
		}
	}
	use, _ := d.token.text("token_use")
	typ, _ := d.token.text("typ")
	return use == "id" || typ == "ID"
}

// place proposes where the keys are.
func (d *draft) place(issuer string) {
	if d.form.URL != "" {
		d.KeyURL.URL, _ = expand(d.form.URL, d.value)
		return
	}
	if !strings.HasPrefix(issuer, "https://") && !strings.HasPrefix(issuer, "http://") {
		d.missing("url", "The issuer is no URL, so there is no place to discover the keys at. Look for jwks_uri, or JWKS, in the provider's documentation.")
		return
	}
	d.Discovery = strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
}

// value gives what a placeholder stands for: an input, or a claim.
func (d *draft) value(name string) (string, bool) {
	if input, ok := d.inputs[name]; ok {
		return input, true
	}
	text, ok := d.token.text(name)
	return text, ok && registry.ValidAudience(text)
}

func (d *draft) algorithm() {
	if d.token.Algorithm != "RS256" {
		d.KeyURL.Algorithms = []string{d.token.Algorithm}
	}
	if !slices.Contains(d.preset.Algorithms, d.token.Algorithm) {
		d.warn(WarnAlgorithm, d.preset.Name+" signs with "+strings.Join(d.preset.Algorithms, ", ")+", as far as is known here, and this token says "+d.token.Algorithm+".")
	}
	if d.isIDToken() {
		d.KeyURL.AllowIDToken = true
		d.warn(WarnIDToken, d.preset.Help("wrong_token_kind"))
	}
}

func (d *draft) requiredClaims() {
	for _, required := range d.preset.RequiredClaims {
		if !required.When.holds(d.token) {
			continue
		}
		want, lacks := registry.RequiredClaim{Claim: required.Claim, Values: []string{}}, d.token.at(required.Claim) == nil
		for _, template := range required.Values {
			value, missing := expand(template, d.value)
			want.Values, lacks = append(want.Values, value), lacks || missing != ""
		}
		if lacks {
			d.missing("required_claims", "The token has no usable claim "+required.Claim+". "+d.preset.Help("claim_missing"))
			continue
		}
		d.KeyURL.RequiredClaims = append(d.KeyURL.RequiredClaims, want)
	}
}

func (d *draft) notices() {
	issued, dated := d.token.seconds("iat")
	expires, ends := d.token.seconds("exp")
	if dated && ends && expires-issued > registry.DefaultMaxLifetime.Seconds() {
		d.warn(WarnLifetime, d.preset.Help("lifetime_too_long"))
	}
	all := d.preset.Notices
	if d.preset != d.generic {
		all = slices.Concat(all, d.generic.Notices)
	}
	for _, notice := range all {
		if notice.When.holds(d.token) {
			d.warn(notice.Code, notice.Detail)
		}
	}
}

// warnOfLookAlikes tells of an issuer that names a provider and is not written
// as that provider's are.
func (c *Catalogue) warnOfLookAlikes(issuer string, p *Proposal) {
	for _, preset := range c.presets {
		if preset.named(issuer) {
			p.warn(WarnLookAlike, "This issuer names "+preset.Name+" and is not one of its issuers, which read like "+preset.Issuers[0].Template+
				". Trust it only if you know whose it is.")
			return
		}
	}
}
