package oidc

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/admin/panel"
)

// What the browser is sent with: code flow, PKCE, state and nonce, the exact
// place to come back to (Core §3.1.2.1, RFC 7636 §4.3).
func TestStart(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	f.begin(p)
	first := f.sent
	for name, want := range map[string]string{
		"response_type": "code", "client_id": testClient, "redirect_uri": testRedirect, "scope": "openid profile", "code_challenge_method": "S256",
	} {
		if first.Get(name) != want {
			t.Errorf("%s is %q", name, first.Get(name))
		}
	}
	f.begin(p)
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(first.Get(name)) != 43 || first.Get(name) == f.sent.Get(name) {
			t.Errorf("%s is not 256 bits of its own: %q, %q", name, first.Get(name), f.sent.Get(name))
		}
	}
	if f.discos != 1 {
		t.Errorf("the provider was asked what it is %d times", f.discos)
	}
	if p.Host() != strings.TrimPrefix(f.issuer, "http://") {
		t.Errorf("host %q", p.Host())
	}
}

// refusal is a way to spoil what was begun, and what is said then.
type refusal struct {
	rule  string
	spoil func(*fake, url.Values)
	says  string
}

// spoiltAnswers are those that the browser brings.
func spoiltAnswers() []refusal {
	answer := func(name string, values ...string) func(*fake, url.Values) {
		return func(_ *fake, a url.Values) { a[name] = values }
	}
	return []refusal{
		{"a state that is wrong", answer("state", "x"), "another sign-in"},
		{"no state", answer("state"), "another sign-in"},
		{"the state of another browser", func(f *fake, a url.Values) { a.Set("state", f.begin(f.provider()).Get("state")) }, "another sign-in"},
		{"the code of another browser, which PKCE tells", func(f *fake, _ url.Values) { f.begin(f.provider()) }, "does not take this code"},
		{"a state that stands twice", func(_ *fake, a url.Values) { a.Add("state", a.Get("state")) }, "twice"},
		{"no code", answer("code"), "no code"},
		{"another code", answer("code", "stolen"), "does not take this code"},
		{"iss of another provider: mix-up", answer("iss", "https://evil.example"), "not an answer of the identity provider that you were sent to"},
		{"an error with iss of another provider", func(_ *fake, a url.Values) { a.Set("iss", "https://evil.example"); a.Set("error", "x") }, "not an answer"},
		{"an empty iss", answer("iss", ""), "not an answer"},
		{"access_denied", answer("error", "access_denied"), "It says: access_denied"},
		{"an error with a description", func(_ *fake, a url.Values) {
			a.Set("error", "access_denied")
			a.Set("error_description", "not\r\nyou\u202e"+strings.Repeat("x", 9000))
		}, "access_denied: not  you" + strings.Repeat("x", 191) + "…"},
	}
}

// claim changes a claim of the ID token; nil takes it away.
func claim(name string, value any) func(*fake, url.Values) {
	return func(f *fake, _ url.Values) {
		f.claims = func(c object) {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
	}
}

// spoiltClaims are ID tokens that are signed well and must not count.
func spoiltClaims() []refusal {
	return []refusal{
		{"another nonce", claim("nonce", "x"), "nonce"},
		{"no nonce", claim("nonce", nil), "nonce"},
		{"another issuer's token", claim("iss", "https://evil.example"), "different provider"},
		{"a token for another client", claim("aud", "another"), "audience"},
		{"a token for several, of which azp is another", func(f *fake, _ url.Values) {
			f.claims = func(c object) { c["aud"], c["azp"] = []string{testClient, "b"}, "b" }
		}, "azp"},
		{"a token for several, without azp", claim("aud", []string{testClient, "b"}), "azp"},
		{"a token of which azp is another", claim("azp", "b"), "azp"},
		{"an expired token", func(f *fake, _ url.Values) {
			f.claims = func(c object) { c["exp"] = f.now.Add(-time.Second).Unix() }
		}, "expired"},
		{"a token that never expires", claim("exp", nil), "expired"},
		{"a token that is not valid yet", func(f *fake, _ url.Values) {
			f.claims = func(c object) { c["nbf"] = f.now.Add(time.Hour).Unix() }
		}, "not before"},
		{"a claim that stands twice, by case", claim("NONCE", "x"), "cannot be believed"},
		{"no sub", claim("sub", nil), "sub"},
		{"a sub that is a number", claim("sub", 7), "sub"},
		{"a sub with a control character", claim("sub", "jane\n"), "sub"},
		{"a sub that turns text around", claim("sub", "jane\u202e"), "sub"},
		{"a sub that is too long", claim("sub", strings.Repeat("x", 251)), "sub"},
	}
}

// spoiltSignatures are ID tokens that the provider did not sign.
func spoiltSignatures() []refusal {
	return []refusal{
		{"alg none", func(f *fake, _ url.Values) {
			f.sign = func(c object) string { return f.input(object{"alg": "none"}, c) + "." }
		}, "cannot be believed"},
		{"HS256 with the client's secret", func(f *fake, _ url.Values) {
			f.sign = func(c object) string { return f.maced([]byte(testSecret), c) }
		}, "cannot be believed"},
		{"HS256 with the public key", func(f *fake, _ url.Values) {
			f.sign = func(c object) string { return f.maced(f.key.N.Bytes(), c) }
		}, "cannot be believed"},
		{"HS256 with a secret among the provider's keys", func(f *fake, _ url.Values) {
			f.sign = func(c object) string { return f.maced([]byte(testSecret), c) }
			f.say = func(path string, w http.ResponseWriter, _ *http.Request) bool {
				if path == "/keys" {
					f.json(w, object{"keys": []object{{"kty": "oct", "kid": "k", "k": b64([]byte(testSecret))}}})
				}
				return path == "/keys"
			}
		}, "cannot be believed"},
		{"a key that is not the provider's", func(f *fake, _ url.Values) {
			other := newFake(f.t)
			f.sign = func(c object) string { return other.signed(object{"alg": "RS256", "kid": "k"}, c) }
		}, "signature"},
		{"a key that the token brings along", func(f *fake, _ url.Values) {
			other := newFake(f.t)
			f.sign = func(c object) string {
				return other.signed(object{"alg": "RS256", "jwk": object{"kty": "RSA", "n": b64(other.key.N.Bytes()), "e": "AQAB"}}, c)
			}
		}, "signature"},
	}
}

// Every answer of a provider that must sign nobody in, and what is said then.
func TestFinishRefuses(t *testing.T) {
	for _, c := range slices.Concat(spoiltAnswers(), spoiltClaims(), spoiltSignatures()) {
		t.Run(c.rule, func(t *testing.T) {
			f := newFake(t)
			p := f.provider()
			answer := f.begin(p)
			kept := f.kept
			c.spoil(f, answer)
			mustRefuse(t, c.says)(p.Finish(t.Context(), kept, answer))
		})
	}
}

// mustRefuse asserts that somebody was refused, with words.
func mustRefuse(t *testing.T, says string) func(*panel.Person, error) {
	return func(person *panel.Person, err error) {
		t.Helper()
		refused := (*panel.Refused)(nil)
		switch {
		case person != nil:
			t.Errorf("signed in: %+v", person)
		case !errors.As(err, &refused):
			t.Errorf("not refused: %v", err)
		case !strings.Contains(refused.Detail, says) || strings.ContainsAny(refused.Detail, "\r\n\u202e"):
			t.Errorf("says %q, want %q", refused.Detail, says)
		}
	}
}

// at serves one path of a provider.
func at(path string, serve http.HandlerFunc) func(*fake) {
	return func(f *fake) {
		f.say = func(asked string, w http.ResponseWriter, r *http.Request) bool {
			if asked == path {
				serve(w, r)
			}
			return asked == path
		}
	}
}

func failing(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "out of order", http.StatusInternalServerError)
}

func vast(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"x":"` + strings.Repeat("x", maxAnswerBytes) + `"}`))
}

// away redirects to another host, which would serve.
func away(t *testing.T) http.HandlerFunc {
	elsewhere := newFake(t)
	return func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.issuer+r.URL.Path, http.StatusTemporaryRedirect)
	}
}

// failure is a way to spoil a provider, and what the log hears.
type failure struct {
	rule  string
	spoil func(*fake)
	says  string
}

func spoiltDiscovery(t *testing.T) []failure {
	const discovery = "/.well-known/openid-configuration"
	document := func(name string, value any) func(*fake) {
		return func(f *fake) { f.changed = func(d object) { d[name] = value } }
	}
	return []failure{
		{"discovery fails", at(discovery, failing), "500"},
		{"discovery is no JSON", at(discovery, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }), "decode"},
		{"discovery of another issuer", document("issuer", "https://evil.example"), "did not match"},
		{"discovery of the issuer with a slash", func(f *fake) { f.changed = func(d object) { d["issuer"] = f.issuer + "/" } }, "did not match"},
		{"an answer of more than 1 MiB", at(discovery, vast), "too large"},
		{"a redirect to another host", at(discovery, away(t)), "another host"},
		{"an authorization endpoint that is a script", document("authorization_endpoint", "javascript:alert(1)"), "neither https nor"},
		{"a token endpoint by http elsewhere", document("token_endpoint", "http://idp.example/token"), "neither https nor"},
		{"no keys", document("jwks_uri", ""), "neither https nor"},
		{"no way to authenticate that we know", document("token_endpoint_auth_methods_supported", []string{"private_key_jwt"}), "client_secret_post"},
	}
}

func spoiltEndpoints(t *testing.T) []failure {
	return []failure{
		{"the token endpoint fails", at("/token", failing), "500"},
		{"the token endpoint knows another secret", at("/token", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"invalid_client","access_token":"hidden"}`))
		}), "invalid_client"},
		{"the token endpoint redirects to another host", at("/token", away(t)), "another host"},
		{"the token endpoint gives no ID token", at("/token", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"access_token":"x","token_type":"Bearer"}`))
		}), "without an ID token"},
		{"the token endpoint's answer has more than 1 MiB", at("/token", vast), "parse"},
		{"the keys cannot be fetched", at("/keys", failing), "500"},
		{"the keys have more than 1 MiB", at("/keys", vast), "too large"},
		{"the database does not answer", func(f *fake) {
			f.claims = func(c object) { c["groups"], c["integrator"] = nil, broken }
		}, "database"},
	}
}

// A provider that cannot be used is nobody's refusal: it may work again.
func TestProviderThatCannotBeUsed(t *testing.T) {
	for _, c := range slices.Concat(spoiltDiscovery(t), spoiltEndpoints(t)) {
		t.Run(c.rule, func(t *testing.T) {
			f := newFake(t)
			c.spoil(f)
			p := f.provider()
			target, kept, err := p.Start(t.Context())
			if err == nil {
				u, _ := url.Parse(target)
				f.sent = u.Query()
				_, err = p.Finish(t.Context(), kept, url.Values{"code": {"the code"}, "state": {f.sent.Get("state")}})
			}
			refused := (*panel.Refused)(nil)
			if err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), c.says) || len(err.Error()) > 1000 || strings.Contains(err.Error(), "hidden") {
				t.Errorf("%v, want an error with %q", err, c.says)
			}
		})
	}
}

// Half a pending sign-in is none: an empty state would equal one that is not
// there.
func TestPendingMustBeWhole(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	for _, kept := range []string{"", "null", "{}", "[]", `{"state":"","nonce":"n","verifier":"v"}`, `{"state":"s","nonce":"","verifier":"v"}`} {
		person, err := p.Finish(t.Context(), []byte(kept), url.Values{"code": {"the code"}, "state": {""}})
		if person != nil || err == nil || f.asked != nil {
			t.Errorf("%q is taken: %v", kept, err)
		}
	}
}

// RFC 9207: a provider that says it names itself has to, and may either way.
func TestIssInTheAnswer(t *testing.T) {
	for _, c := range []struct{ promised, there, signsIn bool }{{false, false, true}, {false, true, true}, {true, true, true}, {true, false, false}} {
		t.Run(fmt.Sprintf("promised %t, there %t", c.promised, c.there), func(t *testing.T) {
			f := newFake(t)
			f.changed = func(d object) { d["authorization_response_iss_parameter_supported"] = c.promised }
			p := f.provider()
			answer := f.begin(p)
			if c.there {
				answer.Set("iss", f.issuer)
			}
			if person, err := p.Finish(t.Context(), f.kept, answer); (err == nil) != c.signsIn {
				t.Errorf("%v, %v", person, err)
			}
		})
	}
}

// How the client authenticates at the token endpoint: as the provider says, at
// the first attempt, or not at all.
func TestClientAuthentication(t *testing.T) {
	for _, c := range []struct {
		rule, secret string
		methods      []string
		basic, post  string
	}{
		{"Basic when nothing is said (Discovery §3)", testSecret, nil, testClient + " " + url.QueryEscape(testSecret), ""},
		{"Basic when both are", testSecret, []string{"client_secret_post", "client_secret_basic"}, testClient + " " + url.QueryEscape(testSecret), ""},
		{"post when only that is", testSecret, []string{"client_secret_post"}, "", testSecret},
		{"a public client", "", []string{"client_secret_basic"}, "", ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			f := newFake(t)
			f.config.ClientSecret = c.secret
			f.changed = func(d object) { d["token_endpoint_auth_methods_supported"] = c.methods }
			p := f.provider()
			if _, err := p.Finish(t.Context(), nil, f.begin(p)); err == nil {
				t.Fatal("signed in without what the browser keeps")
			}
			if _, err := p.Finish(t.Context(), f.kept, url.Values{"code": {"the code"}, "state": {f.sent.Get("state")}}); err != nil {
				t.Fatal(err)
			}
			if f.asked.Get("basic") != c.basic || f.asked.Get("client_secret") != c.post || (c.basic == "") != (f.asked.Get("client_id") == testClient) {
				t.Errorf("asked with %v", f.asked)
			}
		})
	}
}

// A provider that is down is asked again, not by everybody at once, and what is
// known of it is asked again after an hour, for keys may have been taken out.
func TestDiscoveryIsTriedAgain(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	down := true
	f.say = func(_ string, w http.ResponseWriter, _ *http.Request) bool {
		if down {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return down
	}
	start := func(works bool, asked int) {
		t.Helper()
		if _, _, err := p.Start(t.Context()); (err == nil) != works || f.discos != asked {
			t.Errorf("%v after %d questions, want %t after %d", err, f.discos, works, asked)
		}
	}
	start(false, 1)
	start(false, 1)
	down = false
	start(false, 1)
	f.now = f.now.Add(failedFor)
	start(true, 2)
	start(true, 2)
	f.now, down = f.now.Add(foundFor), true
	start(true, 3) // by what was known
	start(true, 3)
	f.now, down = f.now.Add(failedFor), false
	start(true, 4)
}
