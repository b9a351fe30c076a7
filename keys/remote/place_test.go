package remote

import (
	"slices"
	"testing"

	"github.com/cambio-oauth/cambio/registry"
)

func TestWarningsAboutThePlace(t *testing.T) {
	for url, want := range map[string]string{
		"https://acme.eu.auth0.com/.well-known/jwks.json":                                            "",
		"http://keycloak.internal:8080/certs":                                                        WarnPlainHTTP,
		"https://www.googleapis.com/oauth2/v3/certs":                                                 WarnSharedKeys,
		"https://WWW.GoogleAPIs.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com":   WarnSharedKeys,
		"https://login.microsoftonline.com/common/discovery/v2.0/keys":                               WarnSharedKeys,
		"https://login.microsoftonline.com/6f1f8e4e-8a2a-4a26-9a4e-000000000000/discovery/v2.0/keys": "",
		"https://token.actions.githubusercontent.com/.well-known/jwks":                               WarnSharedKeys,
		"https://www.googleapis.com.evil.example/oauth2/v3/certs":                                    "",
	} {
		document := &Document{}
		document.warnOfPlace(url)
		got := ""
		for _, warning := range document.Warnings {
			got += warning.Code
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
}

func TestWarningsAboutCaches(t *testing.T) {
	for _, c := range []struct{ header, want string }{
		{"", ""}, {"public, max-age=600", ""}, {"max-age=86400", ""}, {"private", ""}, {"max-age", ""}, {"max-age=x", ""}, {"s-maxage=0", ""}, {"max-age=-1", ""},
		{"max-age=0", WarnNotCached}, {"No-Store", WarnNotCached}, {"max-age=600, no-store", WarnNotCached}, {"no-store,max-age=600", WarnNotCached},
		{"public, MAX-AGE=86401", WarnCachedLong}, {`max-age="31536000"`, WarnCachedLong}, {"max-age=99999999999999999999", WarnCachedLong}, {"max-age=4294967296", WarnCachedLong},
		{"s-maxage=31536000", WarnCachedLong}, {"max-age=600, s-maxage=31536000", WarnCachedLong}, {"max-age=31536000, s-maxage=60", ""}, {"private, max-age=31536000", ""},
	} {
		document := &Document{}
		document.warnOfCaches([]string{c.header})
		got := ""
		for _, warning := range document.Warnings {
			got += warning.Code
			if len(warning.Detail) > maxDetailBytes {
				t.Errorf("%d bytes: %s", len(warning.Detail), warning.Detail)
			}
		}
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.header, got, c.want)
		}
	}
}

// A check says what the server's headers mean, and what they do not change.
func TestHeadersOfCachesReachTheOwner(t *testing.T) {
	against(t, hangUp(status200(string(named("a")), "Cache-Control: max-age=0")), func(t *testing.T, h *hostile) {
		document, err := h.Check(t.Context(), query(plainURL, "").Ref, true)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(document.Warnings, func(w registry.KeyWarning) bool { return w.Code == WarnNotCached }) {
			t.Errorf("got %v", document.Warnings)
		}
	})
}
