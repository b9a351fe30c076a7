package fositegrant_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/tokenexchange/fositegrant"
)

var now = time.Unix(1_800_000_000, 900_000_000)

// server is a bare fosite with the handler; exchange and issue are replaced by
// what a test wants of them.
type server struct {
	handler  *fositegrant.Handler
	client   fosite.Client // who authenticates; nil: authentication fails
	decision *fositegrant.Decision
	refusal  error
	issueErr error
	got      []fositegrant.Request
	issued   []*fositegrant.Decision
}

func newServer() *server {
	s := &server{
		client:   &fosite.DefaultClient{ID: "app", GrantTypes: fosite.Arguments{grants.TokenExchange}},
		decision: &fositegrant.Decision{Subject: "jane", Issuer: "https://acme.example/", Scopes: []string{"a", "b"}, Audience: []string{"api"}, ExpiresAt: now.Add(10 * time.Minute)},
	}
	s.handler = &fositegrant.Handler{
		Exchange: func(_ context.Context, r fositegrant.Request) (*fositegrant.Decision, error) {
			s.got = append(s.got, r)
			return s.decision, s.refusal
		},
		Issue: func(_ context.Context, d *fositegrant.Decision) (string, time.Time, error) {
			s.issued = append(s.issued, d)
			return "issued", d.ExpiresAt, s.issueErr
		},
		ClientOf: func(c fosite.Client) *fositegrant.Client {
			return &fositegrant.Client{ID: c.GetID(), IntegratorID: "acme"}
		},
		Now: func() time.Time { return now },
	}
	return s
}

// form is a sound request with some parameters set; the empty value takes one
// away.
func form(pairs ...string) url.Values {
	values := url.Values{"grant_type": {grants.TokenExchange}, "subject_token": {"token"}, "subject_token_type": {grants.TokenTypeJWT}}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			values.Del(pairs[i])
			continue
		}
		values.Add(pairs[i], pairs[i+1])
	}
	return values
}

// post sends a request through fosite and answers with fosite's own writers.
func (s *server) post(t *testing.T, values url.Values) (*httptest.ResponseRecorder, fosite.AccessRequester) {
	t.Helper()
	provider := fosite.NewOAuth2Provider(nil, &fosite.Config{
		TokenEndpointHandlers: fosite.TokenEndpointHandlers{s.handler},
		ClientAuthenticationStrategy: func(context.Context, *http.Request, url.Values) (fosite.Client, error) {
			if s.client == nil {
				return nil, fosite.ErrInvalidClient
			}
			return s.client, nil
		},
		SendDebugMessagesToClients: true, // even so nothing of the token may show
	})
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	request, err := provider.NewAccessRequest(t.Context(), r, &fosite.DefaultSession{})
	if err == nil {
		var response fosite.AccessResponder
		if response, err = provider.NewAccessResponse(t.Context(), request); err == nil {
			provider.WriteAccessResponse(t.Context(), w, request, response)
			return w, request
		}
	}
	provider.WriteAccessError(t.Context(), w, request, err)
	return w, request
}

// RFC 8693 §2.2.1.
func TestTheAnswer(t *testing.T) {
	s := newServer()
	w, request := s.post(t, form())
	const want = `{"access_token":"issued","expires_in":600,"issued_token_type":"urn:ietf:params:oauth:token-type:access_token","scope":"a b","token_type":"Bearer"}`
	if w.Code != http.StatusOK || w.Body.String() != want || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	if len(s.issued) != 1 || s.issued[0] != s.decision {
		t.Errorf("issued for %+v", s.issued)
	}
	session := request.GetSession()
	if session.GetSubject() != "https://acme.example/#jane" || session.GetUsername() != "" ||
		!session.GetExpiresAt(fosite.AccessToken).Equal(s.decision.ExpiresAt) || !session.GetExpiresAt(fosite.RefreshToken).IsZero() {
		t.Errorf("session %+v", session)
	}
	if !slices.Equal(request.GetGrantedScopes(), s.decision.Scopes) || !slices.Equal(request.GetGrantedAudience(), s.decision.Audience) {
		t.Errorf("granted %q for %q", request.GetGrantedScopes(), request.GetGrantedAudience())
	}
}

func TestTheRequestIsHandedOverAsItStands(t *testing.T) {
	client := &fositegrant.Client{ID: "app", IntegratorID: "acme"}
	for _, test := range []struct {
		name string
		form url.Values
		want fositegrant.Request
	}{
		{"the least", form(), fositegrant.Request{SubjectToken: "token", SubjectTokenType: grants.TokenTypeJWT, Client: client}},
		{"scope, split", form("scope", " b a  b "), fositegrant.Request{SubjectToken: "token", SubjectTokenType: grants.TokenTypeJWT, Scopes: []string{"b", "a"}, Client: client}},
		{"scope of spaces is left out", form("scope", "  "), fositegrant.Request{SubjectToken: "token", SubjectTokenType: grants.TokenTypeJWT, Client: client}},
		{"audience and resource, each repeated", form("audience", "a b", "audience", "c", "resource", "r", "resource", "s"), fositegrant.Request{
			SubjectToken: "token", SubjectTokenType: grants.TokenTypeJWT, Audiences: []string{"a b", "c"}, Resources: []string{"r", "s"}, Client: client}},
		{"the rest", form("requested_token_type", "t", "actor_token", "at", "actor_token_type", "att"), fositegrant.Request{
			SubjectToken: "token", SubjectTokenType: grants.TokenTypeJWT, RequestedTokenType: "t", ActorToken: "at", ActorTokenType: "att", Client: client}},
		{"no subject token is for the exchange to refuse", form("subject_token", ""), fositegrant.Request{SubjectTokenType: grants.TokenTypeJWT, Client: client}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer()
			if w, _ := s.post(t, test.form); w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if !reflect.DeepEqual(s.got, []fositegrant.Request{test.want}) {
				t.Errorf("got %+v, want %+v", s.got, test.want)
			}
		})
	}
}

// RFC 6749 §4: grant types are compared with regard to case. fosite's
// Arguments.Has is not, and takes several at once.
func TestWhichGrantIsMeant(t *testing.T) {
	for _, grant := range []string{
		"URN:IETF:PARAMS:OAUTH:GRANT-TYPE:TOKEN-EXCHANGE", "urn:ietf:params:oauth:grant-type:Token-Exchange", "token_exchange",
		grants.ClientCredentials, grants.TokenExchange + " " + grants.ClientCredentials, grants.TokenExchange + " " + grants.TokenExchange,
	} {
		t.Run(grant, func(t *testing.T) {
			s, values := newServer(), form()
			values.Set("grant_type", grant)
			if w, _ := s.post(t, values); w.Code != http.StatusBadRequest || s.got != nil || s.issued != nil {
				t.Errorf("got %d %s, exchanged %+v", w.Code, w.Body, s.got)
			}
			request := fosite.NewAccessRequest(&fosite.DefaultSession{})
			request.GrantTypes = strings.Split(grant, " ")
			if s.handler.CanHandleTokenEndpointRequest(t.Context(), request) {
				t.Error("it says that it can")
			}
			for name, err := range map[string]error{
				"handle":   s.handler.HandleTokenEndpointRequest(t.Context(), request),
				"populate": s.handler.PopulateTokenEndpointResponse(t.Context(), request, fosite.NewAccessResponse()),
			} {
				if !errors.Is(err, fosite.ErrUnknownRequest) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// A wrong secret is never "no client": only Clientless opens the door.
func TestWithoutAClient(t *testing.T) {
	says := func(answer bool) func(context.Context) bool { return func(context.Context) bool { return answer } }
	for _, test := range []struct {
		name       string
		clientless func(context.Context) bool
		status     int
	}{
		{"nobody says that it may: 401", nil, http.StatusUnauthorized},
		{"credentials were presented and wrong: 401", says(false), http.StatusUnauthorized},
		{"none were presented", says(true), http.StatusOK},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer()
			s.client, s.handler.Clientless = nil, test.clientless
			s.handler.ClientOf = func(c fosite.Client) *fositegrant.Client {
				t.Errorf("who is %+v?", c)
				return nil
			}
			if can := s.handler.CanSkipClientAuth(t.Context(), nil); can != (test.status == http.StatusOK) {
				t.Errorf("CanSkipClientAuth: %v", can)
			}
			w, _ := s.post(t, form())
			if w.Code != test.status {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if want := test.status == http.StatusOK; len(s.got) == 1 != want || want && s.got[0].Client != nil {
				t.Errorf("exchanged %+v", s.got)
			}
		})
	}
	t.Run("a client that did authenticate is a client, whatever Clientless says", func(t *testing.T) {
		s := newServer()
		s.handler.Clientless = says(true)
		if w, _ := s.post(t, form()); w.Code != http.StatusOK || s.got[0].Client == nil {
			t.Errorf("got %d %s, %+v", w.Code, w.Body, s.got)
		}
	})
}

// XTI-11, dex #4889: RFC 6749 §5.2 unauthorized_client.
func TestAClientWithoutTheGrant(t *testing.T) {
	for name, types := range map[string]fosite.Arguments{
		"none": nil, "another": {grants.ClientCredentials}, "in capitals": {strings.ToUpper(grants.TokenExchange)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer()
			s.client = &client{id: "app", grantTypes: types}
			w, request := s.post(t, form())
			const want = `{"error":"unauthorized_client","error_description":"this client may not use the token exchange grant"}`
			if w.Code != http.StatusBadRequest || w.Body.String() != want || s.got != nil {
				t.Errorf("got %d %s, exchanged %+v", w.Code, w.Body, s.got)
			}
			session := request.GetSession().(*fositegrant.Session)
			if session.Decision.ClientID != "app" || session.Decision.IntegratorID != "acme" || session.GetSubject() != "" {
				t.Errorf("for the record: %+v", session.Decision)
			}
		})
	}
}

// client has exactly the grant types it was given; fosite.DefaultClient makes
// authorization_code of none.
type client struct {
	fosite.Client
	id         string
	grantTypes fosite.Arguments
}

func (c *client) GetID() string                   { return c.id }
func (c *client) GetGrantTypes() fosite.Arguments { return c.grantTypes }
