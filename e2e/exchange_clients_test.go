package e2e

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// Every library gets the token it asks for, and when there is none, tells its
// caller why. What a caller is told is the library's choice: reason is shown by
// those that hand out the body.
func testExchangeClients(t *testing.T, s *stage) {
	const (
		described = "the signature does not verify with the key found at the key URL"
		reason    = "signature_invalid"
	)
	everything := []string{"credentials", "exchange", "introspection", "revoked"}
	for _, client := range []struct {
		program, method string
		gives           []string
		shows           []string // of a refused subject token
	}{
		{"openid-client.mjs", "default", everything, []string{described, reason}},
		{"openid-client.mjs", "client_secret_basic", everything, []string{described, reason}},
		{"oauth4webapi.mjs", "", everything, []string{described, reason}},
		{"google-auth-library.mjs", "", []string{"exchange"}, []string{described}},
		{"clientcredentials", "", []string{"credentials", "exchange"}, []string{described, reason}},
		{"externalaccount", "", []string{"exchange"}, []string{described, reason}},
		{"zitadel-tokenexchange", "", []string{"exchange"}, []string{described}},
	} {
		t.Run(client.program+" "+client.method, func(t *testing.T) {
			t.Parallel()
			s := s.as(t)
			environ := []string{"ISSUER=" + s.url, "CLIENT_ID=" + s.id, "AUDIENCE=" + api, "SCOPE=" + east, "METHOD=" + client.method}
			got := answers(t, client.program, append(environ, "CLIENT_SECRET="+s.secret), s.subject, alter(t, s.subject))
			s.gave(got[0], s.id, client.gives)
			refusedWith(t, got[1], append(client.shows, "invalid_request")...)

			stranger := answers(t, client.program, append(environ, "CLIENT_SECRET=of-somebody-else"), s.subject)
			refusedWith(t, stranger[0], "invalid_client", "client authentication failed")
		})
	}

	t.Run("openid-client.mjs none", func(t *testing.T) {
		t.Parallel()
		s := s.as(t)
		id, _ := s.client(object{"client_name": "app", "token_endpoint_auth_method": "none"})
		got := answers(t, "openid-client.mjs", []string{"ISSUER=" + s.url, "CLIENT_ID=" + id, "AUDIENCE=" + api, "SCOPE=" + east, "METHOD=none"},
			s.subject, alter(t, s.subject))
		s.gave(got[0], id, []string{"exchange"})
		refusedWith(t, got[1], "invalid_request", "the subject token was not accepted")
	})
}

// Clients that sign, instead of having a secret. Their keys stand with the
// client, or where it says.
func testKeyClients(t *testing.T, s *stage) {
	everything := []string{"credentials", "exchange", "introspection", "revoked"}
	for _, client := range []struct {
		program, algorithm string
		gives              []string
		uri                bool
	}{
		{"openid-client.mjs", "ES256", everything, false},
		{"openid-client.mjs", "RS256", everything, true},
		{"openid-client.mjs", "PS256", everything, false},
		{"openid-client.mjs", "Ed25519", everything, false}, // RFC 9864's name, which it signs with
		{"zitadel-tokenexchange", "ES256", []string{"exchange"}, true},
		{"zitadel-tokenexchange", "RS256", []string{"exchange"}, false},
	} {
		t.Run(client.program+" "+client.algorithm, func(t *testing.T) {
			t.Parallel()
			s := s.as(t)
			key, other := newKey(t, client.algorithm), newKey(t, client.algorithm)
			keys := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}}
			members := object{"client_name": "signs", "token_endpoint_auth_method": "private_key_jwt", "jwks": keys}
			if client.uri {
				document := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(keys) }))
				t.Cleanup(document.Close)
				delete(members, "jwks")
				members["jwks_uri"] = document.URL
			}
			id, secret := s.client(members)
			if secret != "" {
				t.Error("a client with keys was given a secret")
			}
			run := func(key jose.JSONWebKey, subjectToken ...string) []object {
				private, err := json.Marshal(key)
				if err != nil {
					t.Fatal(err)
				}
				return answers(t, client.program, []string{"ISSUER=" + s.url, "CLIENT_ID=" + id, "AUDIENCE=" + api, "SCOPE=" + east,
					"METHOD=private_key_jwt", "PRIVATE_KEY=" + string(private)}, subjectToken...)
			}
			got := run(key, s.subject, alter(t, s.subject))
			s.gave(got[0], id, client.gives)
			refusedWith(t, got[1], "invalid_request", "the signature does not verify with the key found at the key URL")
			refusedWith(t, run(other, s.subject)[0], "invalid_client", "client authentication failed")
		})
	}
}

// newKey is a private key; all of them have one kid, so that it is the
// signature that tells them apart.
func newKey(t *testing.T, algorithm string) jose.JSONWebKey {
	t.Helper()
	var key any
	var err error
	switch algorithm {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "Ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: "client-key", Algorithm: algorithm, Use: "sig"}
}

// gave demands tokens that the resource server finds good, unless the program
// revoked them: then it must have seen that itself.
func (s *stage) gave(answer object, id string, members []string) {
	s.t.Helper()
	if got := slices.Sorted(maps.Keys(answer)); !slices.Equal(got, members) {
		s.t.Fatalf("the program gives %v, want %v: %v", got, members, answer)
	}
	exchange := answer["exchange"].(object)
	active := s.introspect(exchange["access_token"].(string))
	if answer["revoked"] != nil {
		if revoked := answer["revoked"].(object); revoked["active"] != false || active["active"] != false {
			s.t.Errorf("after revocation: %v, %v", revoked, active)
		}
		active = answer["introspection"].(object)
	}
	subject := s.idp.Issuer + "#auth0|5934aafe4e52d93452b1c90"
	if active["active"] != true || active["scope"] != east || active["aud"] != api || active["sub"] != subject || active["client_id"] != id {
		s.t.Errorf("exchanged: %v", active)
	}
	if left := exchange["expires_in"].(float64); left < 500 || left > 600 { // of the subject token
		s.t.Errorf("expires in %v seconds", left)
	}
	if credentials, ok := answer["credentials"].(object); ok {
		active := s.introspect(credentials["access_token"].(string))
		if active["active"] != true || active["scope"] != east || active["sub"] != id {
			s.t.Errorf("client credentials: %v", active)
		}
	}
}
