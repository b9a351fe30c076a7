package clientcredentials_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/clientcredentials"
)

const api = "https://locks.example"

var now = time.Unix(1_800_000_000, 900_000_000)

// client is a client as fosite sees it. DefaultClient would make
// authorization_code of no grant type at all.
type client struct {
	fosite.Client
	public     bool
	grantTypes fosite.Arguments
}

func (c client) GetID() string                   { return "app" }
func (c client) IsPublic() bool                  { return c.public }
func (c client) GetGrantTypes() fosite.Arguments { return c.grantTypes }

// world is one client, the targets, and what was issued.
type world struct {
	client    client
	granted   grants.Client
	targetErr error
	issued    []*clientcredentials.Decision
	issueErr  error
}

func (w *world) Known(_ context.Context, target string) (bool, error) {
	return target == api, w.targetErr
}
func (w *world) Default() string { return "https://default.example" }

// newWorld has a sound client of an integrator.
func newWorld(scopes ...string) *world {
	return &world{
		client: client{grantTypes: fosite.Arguments{grants.TokenExchange, grants.ClientCredentials}},
		granted: grants.Client{
			ID: "app", IntegratorID: "acme", Scopes: scopes, Generations: grants.Generations{Integrator: 7, Client: 3},
		},
	}
}

func (w *world) handler() *clientcredentials.Handler {
	return &clientcredentials.Handler{
		Issue: func(_ context.Context, d *clientcredentials.Decision) (string, time.Time, error) {
			w.issued = append(w.issued, d)
			return "issued", d.ExpiresAt, w.issueErr
		},
		ClientOf:    func(fosite.Client) *grants.Client { c := w.granted; return &c },
		Targets:     w,
		MaxLifetime: time.Hour,
		Now:         func() time.Time { return now },
	}
}

func (w *world) request(form url.Values) *fosite.AccessRequest {
	request := fosite.NewAccessRequest(&fosite.DefaultSession{})
	request.Client, request.Form, request.GrantTypes = w.client, form, fosite.Arguments{grants.ClientCredentials}
	return request
}

// decide gives the decision that the handler left in the session.
func (w *world) decide(t *testing.T, form url.Values) (*clientcredentials.Decision, error) {
	t.Helper()
	request := w.request(form)
	err := w.handler().HandleTokenEndpointRequest(t.Context(), request)
	session, ok := request.GetSession().(*clientcredentials.Session)
	if !ok || session.Decision == nil {
		t.Fatalf("session %+v", request.GetSession())
	}
	return session.Decision, err
}

func refused(t *testing.T, err error, code grants.Code, reason grants.Reason, text string) {
	t.Helper()
	var refusal *grants.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v, want %s", err, code)
	}
	if refusal.Code != code || refusal.Reason != reason || !strings.Contains(refusal.Description, text) {
		t.Fatalf("got %v, want %s (%s): …%s…", err, code, reason, text)
	}
}

func scope(value string) url.Values { return url.Values{"scope": {value}} }

// interface.md "Client credentials": granted = requested ∩ the client's scope;
// nothing requested = all of it.
func TestScopes(t *testing.T) {
	for _, test := range []struct {
		name   string
		scopes []string
		form   url.Values
		want   []string
	}{
		{"nothing requested: all of the client's", []string{"b", "a"}, nil, []string{"b", "a"}},
		{"spaces requested are nothing (RFC 6749 §3.2)", []string{"a", "b"}, scope("  "), []string{"a", "b"}},
		{"one requested", []string{"a", "b"}, scope("b"), []string{"b"}},
		{"all requested, repeated", []string{"a", "b"}, scope("b a b"), []string{"b", "a"}},
		{"integrator.admin is an integrator's to hold", []string{"integrator.admin"}, nil, []string{"integrator.admin"}},
		{"nothing requested: all but admin, which the row should not hold", []string{"a", "admin"}, nil, []string{"a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := newWorld(test.scopes...).decide(t, test.form)
			if err != nil || !slices.Equal(d.Scopes, test.want) {
				t.Errorf("got %q, %v", d.Scopes, err)
			}
		})
	}
	t.Run("the operator's client may hold admin", func(t *testing.T) {
		w := newWorld("admin")
		w.granted.IntegratorID = ""
		for _, form := range []url.Values{nil, scope("admin")} {
			if d, err := w.decide(t, form); err != nil || !slices.Equal(d.Scopes, []string{"admin"}) {
				t.Errorf("got %q, %v", d.Scopes, err)
			}
		}
	})
}

func TestScopesThatAreRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		scopes []string
		form   url.Values
		code   grants.Code
		text   string
	}{
		{"a client without scope", nil, nil, grants.InvalidScope, "this client has no scope"},
		{"a client without scope, one requested", nil, scope("a"), grants.InvalidScope, "this client has no scope"},
		{"a client with an empty scope", []string{}, nil, grants.InvalidScope, "this client has no scope"},
		{"an integrator's client with admin alone", []string{"admin"}, nil, grants.InvalidScope, "this client has no scope"},
		{"an integrator's client that asks for its admin", []string{"a", "admin"}, scope("admin"), grants.InvalidScope, "not one of this client's"},
		{"beyond the client's", []string{"a"}, scope("b"), grants.InvalidScope, "not one of this client's"},
		{"partly beyond: never narrowed silently", []string{"a"}, scope("a b"), grants.InvalidScope, "not one of this client's"},
		{"in another case", []string{"a"}, scope("A"), grants.InvalidScope, "not one of this client's"},
		{"below the client's (no hierarchy)", []string{"a"}, scope("a.b"), grants.InvalidScope, "not one of this client's"},
		{"matched by the client's (no wildcards)", []string{"a.*"}, scope("a.b"), grants.InvalidScope, "not one of this client's"},
		{"a tab for a space", []string{"a", "b"}, scope("a\tb"), grants.InvalidScope, "RFC 6749 section 3.3"},
		{"65", []string{"a"}, scope(strings.Join(numbered(65), " ")), grants.InvalidRequest, "more than 64"},
		{"more than 8 KiB of the client's own", []string{strings.Repeat("a", 8<<10), "b"}, nil, grants.InvalidScope, "at most 8192"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := newWorld(test.scopes...).decide(t, test.form)
			refused(t, err, test.code, "", test.text)
		})
	}
}

func numbered(n int) []string {
	var list []string
	for i := range n {
		list = append(list, strings.Repeat("s", i+1))
	}
	return list
}

// RFC 6749 §4.4, §5.2.
func TestClientsThatMayNot(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*world)
		text   string
	}{
		{"a public client", func(w *world) { w.client.public = true }, "without credentials"},
		{"no grant type", func(w *world) { w.client.grantTypes = nil }, "may not use the client credentials grant"},
		{"another grant type (XTI-11)", func(w *world) { w.client.grantTypes = fosite.Arguments{grants.TokenExchange} }, "may not use the client credentials grant"},
		{"the grant type in capitals", func(w *world) { w.client.grantTypes = fosite.Arguments{"CLIENT_CREDENTIALS"} }, "may not use the client credentials grant"},
		{"a client of a disabled integrator (XTI-09)", func(w *world) { w.granted.IntegratorDisabled = true }, "is disabled"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld("a")
			test.change(w)
			d, err := w.decide(t, nil)
			refused(t, err, grants.UnauthorizedClient, "", test.text)
			if len(d.Scopes) > 0 || len(d.Audience) > 0 || !d.ExpiresAt.IsZero() || d.ClientID != "app" || d.IntegratorID != "acme" {
				t.Errorf("for the record: %+v", d)
			}
		})
	}
}

// RFC 8693 §2.1, RFC 8707 §2: one gate for both.
func TestTargets(t *testing.T) {
	for _, test := range []struct {
		name string
		form url.Values
		want []string
	}{
		{"none: the default", nil, []string{"https://default.example"}},
		{"audience", url.Values{"audience": {api}}, []string{api}},
		{"resource", url.Values{"resource": {api}}, []string{api}},
		{"both", url.Values{"audience": {api, ""}, "resource": {api}}, []string{api}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if d, err := newWorld("a").decide(t, test.form); err != nil || !slices.Equal(d.Audience, test.want) {
				t.Errorf("got %q, %v", d.Audience, err)
			}
		})
	}
	for _, parameter := range []string{"audience", "resource"} {
		t.Run("an unknown "+parameter, func(t *testing.T) {
			_, err := newWorld("a").decide(t, url.Values{parameter: {api, "https://other"}})
			refused(t, err, grants.InvalidTarget, "", "not a registered")
		})
		t.Run("17 of "+parameter, func(t *testing.T) {
			_, err := newWorld("a").decide(t, url.Values{parameter: numbered(17)})
			refused(t, err, grants.InvalidTarget, "", "more than 16")
		})
		t.Run("a look-up of "+parameter+" that fails is no verdict", func(t *testing.T) {
			w := newWorld("a")
			w.targetErr = errors.New("down")
			_, err := w.decide(t, url.Values{parameter: {api}})
			refused(t, err, grants.TemporarilyUnavailable, grants.DatabaseUnavailable, "cannot be looked up")
			if !errors.Is(err, w.targetErr) {
				t.Error("the cause is lost")
			}
		})
	}
}

func TestLifetimeAndGenerations(t *testing.T) {
	for _, test := range []struct {
		name       string
		ofTheirOwn time.Duration
		want       time.Duration
	}{
		{"the server's", 0, time.Hour}, {"the client's, when shorter", time.Minute, time.Minute}, {"the server's, when shorter", 2 * time.Hour, time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld("a")
			w.granted.MaxLifetime = test.ofTheirOwn
			d, err := w.decide(t, nil)
			if err != nil || !d.ExpiresAt.Equal(now.Add(test.want)) {
				t.Errorf("until %v, %v", d.ExpiresAt, err)
			}
			if d.Generations != (grants.Generations{Integrator: 7, Client: 3}) || d.ClientID != "app" || d.IntegratorID != "acme" {
				t.Errorf("got %+v", d)
			}
		})
	}
}

// RFC 6749 §5.1, §4.4.3: no refresh token.
func TestTheAnswer(t *testing.T) {
	w := newWorld("a", "b")
	request, response := w.request(scope("b")), fosite.NewAccessResponse()
	if err := w.handler().HandleTokenEndpointRequest(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if err := w.handler().PopulateTokenEndpointResponse(t.Context(), request, response); err != nil {
		t.Fatal(err)
	}
	got := response.ToMap()
	if len(got) != 4 || got["access_token"] != "issued" || got["token_type"] != "Bearer" || got["expires_in"] != int64(3600) || got["scope"] != "b" {
		t.Errorf("got %v", got)
	}
	if len(w.issued) != 1 || !slices.Equal(w.issued[0].Scopes, []string{"b"}) {
		t.Errorf("issued %+v", w.issued)
	}
}

func TestNothingIsAnsweredWithoutAToken(t *testing.T) {
	w := newWorld("a")
	w.issueErr = errors.New("no signing key")
	request, response := w.request(nil), fosite.NewAccessResponse()
	if err := w.handler().HandleTokenEndpointRequest(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if err := w.handler().PopulateTokenEndpointResponse(t.Context(), request, response); !errors.Is(err, w.issueErr) || response.AccessToken != "" {
		t.Errorf("got %v, %+v", err, response)
	}
	request.SetSession(&fosite.DefaultSession{}) // as if another handler had replaced it
	if err := w.handler().PopulateTokenEndpointResponse(t.Context(), request, response); err == nil || len(w.issued) != 1 {
		t.Errorf("got %v, issued %+v", err, w.issued)
	}
}

func TestOtherGrantsAreNotItsBusiness(t *testing.T) {
	w := newWorld("a")
	for _, types := range []fosite.Arguments{
		nil, {grants.TokenExchange}, {"CLIENT_CREDENTIALS"}, {"client_credentials "}, {grants.ClientCredentials, grants.TokenExchange},
	} {
		request := w.request(nil)
		request.GrantTypes = types
		h := w.handler()
		if h.CanHandleTokenEndpointRequest(t.Context(), request) ||
			!errors.Is(h.HandleTokenEndpointRequest(t.Context(), request), fosite.ErrUnknownRequest) ||
			!errors.Is(h.PopulateTokenEndpointResponse(t.Context(), request, fosite.NewAccessResponse()), fosite.ErrUnknownRequest) {
			t.Errorf("%q is taken for client_credentials", types)
		}
	}
	// RFC 6749 §4.4.2: the client MUST authenticate.
	if w.handler().CanSkipClientAuth(t.Context(), w.request(nil)) {
		t.Error("it goes on without a client")
	}
}
