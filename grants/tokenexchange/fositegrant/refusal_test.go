package fositegrant_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/tokenexchange/fositegrant"
)

// RFC 8693 §2.2.2. What was wrong with a subject token is not for strangers:
// fosite's writer gives a fixed text, even with debug messages switched on.
func TestRefusalsReachFositesWriter(t *testing.T) {
	cause := errors.New("CAUSE")
	for _, test := range []struct {
		name    string
		refusal *grants.Refusal
		status  int
		body    string
	}{
		{"of the subject token", grants.RefuseToken(grants.SignatureInvalid, "SECRET", "SECRET", "SECRET"), 400,
			`{"error":"invalid_request","error_description":"the subject token was not accepted"}`},
		{"of a disabled integrator", grants.RefuseToken(grants.IntegratorDisabled, "SECRET", "SECRET", "SECRET"), 400,
			`{"error":"invalid_request","error_description":"the subject token was not accepted"}`},
		{"of the request", grants.Refuse(grants.InvalidRequest, "actor_token is not supported"), 400,
			`{"error":"invalid_request","error_description":"actor_token is not supported"}`},
		{"of the scope", grants.Refuse(grants.InvalidScope, "no scope is left"), 400,
			`{"error":"invalid_scope","error_description":"no scope is left"}`},
		{"of the target", grants.Refuse(grants.InvalidTarget, "not registered"), 400,
			`{"error":"invalid_target","error_description":"not registered"}`},
		{"for a failure of ours", grants.Unavailable("", "try again later", cause), 503,
			`{"error":"temporarily_unavailable","error_description":"the request cannot be judged at the moment: try again"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer()
			s.refusal, s.decision = test.refusal, &fositegrant.Decision{ClientID: "app", Issuer: "https://acme.example/"}
			w, request := s.post(t, form())
			if w.Code != test.status || w.Body.String() != test.body {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if s.issued != nil || len(request.GetGrantedScopes()) > 0 || len(request.GetGrantedAudience()) > 0 {
				t.Error("something was granted")
			}
			if session, ok := request.GetSession().(*fositegrant.Session); !ok || session.Decision != s.decision {
				t.Errorf("for the record: %+v", request.GetSession())
			}
		})
	}
}

// A failure of ours must not read as a verdict on the token, and is a 503.
func TestUnavailableWithAReasonIsStillA503(t *testing.T) {
	for _, reason := range []grants.Reason{grants.KeysUnavailable, grants.DatabaseUnavailable} {
		s := newServer()
		s.refusal = grants.Unavailable(reason, "SECRET", errors.New("SECRET"))
		w, _ := s.post(t, form())
		if body := w.Body.String(); w.Code != http.StatusServiceUnavailable || !strings.HasPrefix(body, `{"error":"temporarily_unavailable",`) || strings.Contains(body, "SECRET") {
			t.Errorf("%s: got %d %s", reason, w.Code, body)
		}
	}
}

// Servers with writers of their own find the refusal within fosite's error.
func TestTheRefusalStaysWithinTheError(t *testing.T) {
	s := newServer()
	s.refusal = grants.RefuseToken(grants.TokenExpired, "expired", "later", "earlier")
	request := fosite.NewAccessRequest(&fosite.DefaultSession{})
	request.Form, request.GrantTypes = form(), fosite.Arguments{grants.TokenExchange}
	err := s.handler.HandleTokenEndpointRequest(t.Context(), request)
	var refusal *grants.Refusal
	if !errors.As(err, &refusal) || refusal != s.refusal {
		t.Errorf("got %v", err)
	}
	if errors.Is(err, fosite.ErrUnknownRequest) {
		t.Error("fosite would go on with the next handler")
	}
}

func TestScopesThatAreNoneAreRefusedBeforeTheExchange(t *testing.T) {
	var many []string
	for i := range 65 {
		many = append(many, fmt.Sprint("s", i))
	}
	for value, code := range map[string]string{
		"a\tb": "invalid_scope", `a"`: "invalid_scope", "é": "invalid_scope", strings.Join(many, " "): "invalid_request",
	} {
		s := newServer()
		if w, _ := s.post(t, form("scope", value)); w.Code != 400 || !strings.Contains(w.Body.String(), `"error":"`+code+`"`) || s.got != nil {
			t.Errorf("%q: got %d %s, exchanged %+v", value, w.Code, w.Body, s.got)
		}
	}
}

// What is no refusal is a fault of the server.
func TestFaults(t *testing.T) {
	for name, hurt := range map[string]func(*server){
		"exchange": func(s *server) { s.refusal = errors.New("SECRET") },
		"issue":    func(s *server) { s.issueErr = errors.New("SECRET") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer()
			hurt(s)
			w, _ := s.post(t, form())
			if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "issued") {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
	t.Run("issuing is refused", func(t *testing.T) {
		s := newServer()
		s.issueErr = grants.Unavailable("", "no signing key at the moment", nil)
		if w, _ := s.post(t, form()); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), `"access_token"`) {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	})
	t.Run("the session was replaced", func(t *testing.T) {
		s := newServer()
		request := fosite.NewAccessRequest(&fosite.DefaultSession{})
		request.GrantTypes = fosite.Arguments{grants.TokenExchange}
		response := fosite.NewAccessResponse()
		if err := s.handler.PopulateTokenEndpointResponse(t.Context(), request, response); err == nil || response.AccessToken != "" || s.issued != nil {
			t.Errorf("got %v, %+v", err, response)
		}
	})
}

// expires_in counts whole seconds as exp and iat do; the token never lives
// longer than the answer says.
func TestExpiresIn(t *testing.T) {
	for _, test := range []struct {
		name    string
		now     time.Time
		expires time.Time
		want    int64
	}{
		{"whole seconds", time.Unix(100, 0), time.Unix(700, 0), 600},
		{"the clock is between two seconds", time.Unix(100, 999_000_000), time.Unix(700, 0), 600},
		{"so is the expiry", time.Unix(100, 100_000_000), time.Unix(700, 900_000_000), 600},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer()
			s.decision.ExpiresAt = test.expires
			s.handler.Now = func() time.Time { return test.now }
			request := fosite.NewAccessRequest(&fosite.DefaultSession{})
			request.GrantTypes = fosite.Arguments{grants.TokenExchange}
			request.SetSession(&fositegrant.Session{Decision: s.decision})
			response := fosite.NewAccessResponse()
			if err := s.handler.PopulateTokenEndpointResponse(t.Context(), request, response); err != nil || response.GetExtra("expires_in") != test.want {
				t.Errorf("got %v, %v", response.GetExtra("expires_in"), err)
			}
		})
	}
	t.Run("without a clock of its own", func(t *testing.T) {
		s := newServer()
		s.handler.Now = nil
		s.handler.Issue = func(context.Context, *fositegrant.Decision) (string, time.Time, error) {
			return "issued", time.Now().Add(time.Hour), nil
		}
		// A second may end between the two looks at the clock.
		if w, _ := s.post(t, form()); !strings.Contains(w.Body.String(), `"expires_in":3600`) && !strings.Contains(w.Body.String(), `"expires_in":3599`) {
			t.Errorf("got %s", w.Body)
		}
	})
}

func TestSession(t *testing.T) {
	session := &fositegrant.Session{Decision: &fositegrant.Decision{Issuer: "i", Subject: "s"}}
	session.SetExpiresAt(fosite.AccessToken, now)
	session.SetExpiresAt(fosite.RefreshToken, now.Add(time.Hour))
	clone := session.Clone()
	session.SetExpiresAt(fosite.AccessToken, now.Add(time.Minute))
	if !clone.GetExpiresAt(fosite.AccessToken).Equal(now) || clone.GetSubject() != "i#s" || !clone.GetExpiresAt(fosite.RefreshToken).IsZero() {
		t.Errorf("got %+v", clone)
	}
	if empty := new(fositegrant.Session); empty.GetSubject() != "" || !empty.GetExpiresAt(fosite.AccessToken).IsZero() {
		t.Errorf("got %+v", empty)
	}
}
