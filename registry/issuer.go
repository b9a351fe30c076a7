package registry

import (
	"net/url"
	"path"
	"strings"
)

// IssuerKey gives one text for all issuers that people take for the same: they
// differ in scheme, case, default port, a final dot or slash, dot segments, or
// escapes of what needs none. Tokens are never judged by it: their iss is
// compared byte by byte (RFC 8725 §3.8).
func IssuerKey(issuer string) string {
	text := issuer
	for _, scheme := range []string{"https:", "http:"} {
		if len(text) >= len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
			text = text[len(scheme):]
			break
		}
	}
	if plain, err := url.PathUnescape(text); err == nil {
		text = plain
	}
	text = "https://" + strings.TrimLeft(text, "/")
	u, err := url.Parse(text)
	if err != nil {
		return strings.ToLower(issuer)
	}
	host := strings.TrimRight(strings.ToLower(u.Hostname()), ".")
	if port := strings.TrimLeft(u.Port(), "0"); port != "" && port != "443" && port != "80" {
		host += ":" + port
	}
	query := ""
	if u.RawQuery != "" {
		query = "?" + u.RawQuery
	}
	return strings.ToLower(host + strings.TrimSuffix(path.Clean("/"+u.Path), "/") + query)
}
