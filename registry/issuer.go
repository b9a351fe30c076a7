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
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return strings.ToLower(issuer)
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if port := u.Port(); port != "" && port != "443" && port != "80" {
		host += ":" + port
	}
	query := ""
	if u.RawQuery != "" {
		query = "?" + u.RawQuery
	}
	return strings.ToLower(host + strings.TrimSuffix(path.Clean("/"+u.Path), "/") + query)
}
