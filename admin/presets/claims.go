package presets

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cambio-oauth/cambio/registry"
)

// audience proposes what a token's audience must be: this server, if the token
// names it, else the APIs it names.
func (d *draft) audience() {
	rule := d.preset.Audience
	if value, lacks := expand(rule.Template, d.value); rule.Template != "" && lacks == "" {
		d.KeyURL.Audiences = []string{value}
		return
	}
	named := d.token.texts("aud")
	for _, value := range named {
		if slices.Contains(d.ours, value) {
			d.KeyURL.Audiences = []string{value}
			return
		}
	}
	for _, value := range named {
		ignored := slices.ContainsFunc(rule.Ignore, func(p Pattern) bool { return p.Matches(value) })
		if !ignored && registry.ValidAudience(value) && !slices.Contains(d.KeyURL.Audiences, value) && len(d.KeyURL.Audiences) < registry.MaxAudiences {
			d.KeyURL.Audiences = append(d.KeyURL.Audiences, value)
		}
	}
	if value, ok := d.token.text(rule.Claim); ok && len(named) == 0 && registry.ValidAudience(value) {
		d.KeyURL.AudienceClaims, d.KeyURL.Audiences = []string{rule.Claim}, []string{value}
	}
	switch len(d.KeyURL.Audiences) {
	case 0:
		detail := d.preset.Help("audience_mismatch")
		if len(d.ours) > 0 {
			detail += " This server's own audience is " + strings.Join(d.ours, " or ") + "."
		}
		d.missing("audiences", detail)
	case 1:
	default:
		d.warn(WarnAudiences, "The token names several audiences. Keep those that only tokens for this platform have.")
	}
}

// permissions proposes the first source that the token has. One that is there
// and empty counts: this user may do nothing, and another claim must not say
// otherwise.
func (d *draft) permissions() {
	for _, source := range d.preset.Permissions {
		names := d.names(source)
		format, values := "", []string{}
		for _, name := range names {
			found, held := read(d.token.at(name))
			if found == "comma" && source.Format == "space" {
				found = "space" // one value, as it is
			}
			if found == "" || source.Format != "" && found != source.Format || format != "" && found != format {
				d.warn(WarnPermissions, "The claim "+name+" is not of the type that it has at "+d.preset.Name+". "+d.preset.Help("permissions_invalid"))
				format = ""
				break
			}
			format, values = found, append(values, held...)
		}
		permits := slices.ContainsFunc(values, func(value string) bool {
			return !slices.ContainsFunc(source.Ignore, func(p Pattern) bool { return p.Matches(value) })
		})
		if format == "" || len(values) > 0 && !permits {
			continue
		}
		d.readPermissions(names, format)
		if len(values) == 0 {
			d.warn(WarnEmpty, "The claim "+strings.Join(names, ", ")+" is there and empty: nothing would be granted. "+d.preset.Help("no_permissions"))
		}
		return
	}
	for _, source := range d.preset.Permissions {
		if source.Preferred {
			d.readPermissions(registry.ClaimNames{source.Claim}, cmp.Or(source.Format, registry.FormatArray))
		}
	}
	d.missing("permissions_claim", d.preset.Help("no_permissions"))
}

// names gives the claims of a source that the token has.
func (d *draft) names(source PermissionSource) (names registry.ClaimNames) {
	if source.Pattern != nil {
		for name := range d.token.Claims {
			if source.Pattern.Matches(name) && registry.ValidClaimName(name) && len(names) < registry.MaxPermissionsClaims {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	}
	path, lacks := expand(source.Claim, func(string) (string, bool) { // {audience}
		if len(d.KeyURL.Audiences) == 0 {
			return "", false
		}
		return strings.NewReplacer("~", "~0", "/", "~1").Replace(d.KeyURL.Audiences[0]), true
	})
	if lacks != "" || !registry.ValidClaimName(path) || d.token.at(path) == nil {
		return nil
	}
	return registry.ClaimNames{path}
}

func (d *draft) readPermissions(names registry.ClaimNames, format string) {
	if len(names) != 1 || names[0] != registry.DefaultPermissions {
		d.KeyURL.PermissionsClaim = names
	}
	if format != registry.FormatArray {
		d.KeyURL.PermissionsFormat = format
	}
}
