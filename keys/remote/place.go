package remote

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// Codes of warnings about where a document is, and how it is served.
const (
	WarnPlainHTTP  = "plain_http"  // whoever is on the way can replace the keys
	WarnSharedKeys = "shared_keys" // the keys sign the tokens of many tenants
	WarnNotCached  = "not_cached"  // verifiers are told to fetch for every token
	WarnCachedLong = "cached_long" // a key that is taken down lives on in caches
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
	if shared, _ := SharedKeys(raw); shared {
		d.Warnings = append(d.Warnings, Warning{Code: WarnSharedKeys,
			Detail: "these keys sign the tokens of every tenant of this provider: only issuer and audience tell yours apart, so set audiences that no other tenant can get"})
	}
}

const oneDay = 24 * 60 * 60 // seconds

// warnOfCaches tells what the server's headers mean to other verifiers, and to
// caches between it and us: Cambio itself goes by its own clock.
func (d *Document) warnOfCaches(cacheControl []string) {
	directives := map[string]string{}
	for _, directive := range strings.Split(strings.ToLower(strings.Join(cacheControl, ",")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		directives[name] = strings.Trim(value, `"`)
	}
	_, noStore := directives["no-store"]
	_, private := directives["private"]
	shared, isShared := ageOf(directives, "s-maxage")
	own, isOwn := ageOf(directives, "max-age")
	if !isShared {
		shared = own
	}
	switch {
	case noStore, isOwn && own == 0:
		d.Warnings = append(d.Warnings, Warning{Code: WarnNotCached,
			Detail: "Cache-Control forbids to keep the keys: Cambio keeps them for ten minutes all the same, other verifiers may fetch for every token"})
	case shared > oneDay && !private:
		d.Warnings = append(d.Warnings, Warning{Code: WarnCachedLong,
			Detail: "Cache-Control allows caches on the way to keep the keys for more than a day: a key that is taken down may be served on"})
	}
}

// ageOf reads a directive in seconds; one that is too large means very long (RFC
// 9111 §1.2.2).
func ageOf(directives map[string]string, name string) (seconds uint64, ok bool) {
	seconds, err := strconv.ParseUint(directives[name], 10, 31)
	return seconds, err == nil || errors.Is(err, strconv.ErrRange)
}

// SharedKeys tells whether the keys at a URL are known to sign the tokens of
// every tenant of a provider, and whether any of them may get a token for
// whatever audience it likes: of a build there, everybody may.
func SharedKeys(raw string) (shared, anyAudience bool) {
	u, err := url.Parse(raw)
	if err != nil {
		return false, false
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	return sharedKeys(host, u.Path), host == "token.actions.githubusercontent.com" || host == "gitlab.com"
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
