package remote

import (
	"errors"
	"strings"
	"testing"
)

func TestDiscoveryDocuments(t *testing.T) {
	const text = "expected keys, found a discovery document; its jwks_uri is the URL of the keys"
	long := "https://a.test/" + strings.Repeat("a", maxJWKSURIBytes)
	for _, c := range []struct{ rule, data, uri string }{
		{"OpenID Connect", `{"issuer":"https://a.test","jwks_uri":"https://a.test/keys","scopes_supported":["openid"]}`, "https://a.test/keys"},
		{"alone", `{"jwks_uri":"x"}`, "x"},
		{"as long as allowed", `{"jwks_uri":"` + long[:maxJWKSURIBytes] + `"}`, long[:maxJWKSURIBytes]},
		{"too long", `{"jwks_uri":"` + long + `"}`, ""},
		{"with a control character", `{"jwks_uri":"https://a.test/\u000akeys"}`, ""},
		{"beyond ASCII", `{"jwks_uri":"https://ä.test/"}`, ""},
		{"empty", `{"jwks_uri":""}`, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			for _, format := range []string{"auto", "jwks", "pem"} {
				_, err := Parse([]byte(c.data), format)
				var discovery *DiscoveryError
				if !errors.As(err, &discovery) || discovery.JWKSURI != c.uri || err.Error() != text {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	for _, data := range []string{
		`{"jwks_uri":"x","keys":[]}`, `{"jwks_uri":"x","keys":null}`, `{"jwks_uri":5}`, `{"jwks_uri":null}`, `{"JWKS_URI":"x"}`,
		`{"jwks_uri":"x","jwks_uri":"y"}`, `{"jwks_uri":"x","d":"AQAB"}`, `[{"jwks_uri":"x"}]`,
	} {
		var discovery *DiscoveryError
		if _, err := Parse([]byte(data), "auto"); errors.As(err, &discovery) {
			t.Errorf("%s is a discovery document", data)
		}
	}
}
