package remote

import "testing"

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
