package presets

import "strings"

// match is a provider that a token seems to be of.
type match struct {
	preset *Preset
	form   IssuerForm
	inputs map[string]string
}

// ForIssuer gives the preset of an issuer, nil when no provider is known that
// has such issuers.
func (c *Catalogue) ForIssuer(issuer string) *Preset {
	certain := func(form IssuerForm) bool { return form.Guess == "" }
	plausible := func(form IssuerForm) bool { return form.When == nil }
	if m := c.find(issuer, certain); m != nil {
		return m.preset
	}
	if m := c.find(issuer, plausible); m != nil {
		return m.preset
	}
	return nil
}

// recognise gives the provider of a token: by the issuer, else by what the
// claims look like, else the generic one.
func (c *Catalogue) recognise(t Token, issuer string) *match {
	if m := c.find(issuer, func(form IssuerForm) bool { return form.Guess == "" }); m != nil {
		return m
	}
	if m := c.find(issuer, func(form IssuerForm) bool { return form.When.holds(t) }); m != nil {
		return m
	}
	return &match{preset: c.generic()}
}

// find gives the first provider that has such issuers, in a form that counts.
// A guess never counts for an issuer that names the provider's own domain.
func (c *Catalogue) find(issuer string, counts func(IssuerForm) bool) *match {
	for i := range c.presets {
		p := &c.presets[i]
		for _, form := range p.Issuers {
			if !counts(form) || form.Guess != "" && p.named(issuer) {
				continue
			}
			if inputs, ok := form.pattern.groups(issuer); ok {
				return &match{p, form, inputs}
			}
		}
	}
	return nil
}

// named tells whether a text holds a domain of the provider, in whatever way.
func (p *Preset) named(text string) bool {
	text = strings.ToLower(text)
	for _, domain := range p.Domains {
		if strings.Contains(text, domain) {
			return true
		}
	}
	return false
}
