package remote

import (
	"net/url"
	"strings"
)

// Codes of warnings about where a document is.
const (
	WarnPlainHTTP  = "plain_http"  // whoever is on the way can replace the keys
	WarnSharedKeys = "shared_keys" // the keys sign the tokens of many tenants
)

// warnOfPlace adds what the owner of a key URL should know about the URL.
func (d *Document) warnOfPlace(raw string) {
	u, err := url.Parse(raw)
	if err != nil {
		return
	}
	if u.Scheme == "http" {
		d.Warnings = append(d.Warnings, Warning{Code: WarnPlainHTTP, Detail: "the keys come over http: whoever is on the way can replace them"})
	}
	if sharedKeys(strings.ToLower(u.Hostname()), u.Path) {
		d.Warnings = append(d.Warnings, Warning{Code: WarnSharedKeys,
			Detail: "these keys sign the tokens of every tenant of this provider: only issuer and audience tell yours apart, so set audiences that no other tenant can get"})
	}
}

// sharedKeys knows the key URLs of providers whose keys are no tenant's own.
func sharedKeys(host, path string) bool {
	switch host {
	case "www.googleapis.com", "accounts.google.com", "token.actions.githubusercontent.com", "gitlab.com", "identity.oraclecloud.com":
		return true
	case "login.microsoftonline.com", "login.windows.net", "sts.windows.net":
		tenant, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		return tenant == "common" || tenant == "organizations" || tenant == "consumers" || tenant == "discovery"
	}
	return false
}
