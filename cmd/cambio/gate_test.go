package main

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

const formType = "application/x-www-form-urlencoded"

// refused is a form that the gate turns away.
type refused struct {
	rule   string
	body   string
	status int
	code   grants.Code
}

// mustRefuseForms sends forms of a client that authenticates, and counts what
// it got.
func (p *party) mustRefuseForms(t *testing.T, cases []refused) {
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			p.s.do(http.MethodPost, tokenEndpoint, c.body, p.authenticated(), header("Content-Type", formType)).mustRefuse(t, c.status, c.code, "")
		})
	}
	p.mustHaveBeenGranted(0)
}

// RFC 6749 §3.2, security.md §2.8 and what fosite lets through (fosite.md §2.1,
// §2.2): the gate in front of it refuses before anything else is done.
func TestGate(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	good := exchangeForm(acme.idp.token(nil)).Encode()
	acme.mustRefuseForms(t, []refused{
		{"a parameter twice", good + "&subject_token=x", 400, grants.InvalidRequest},
		{"grant_type twice", good + "&grant_type=client_credentials", 400, grants.InvalidRequest},
		{"scope twice", good + "&scope=a&scope=b", 400, grants.InvalidRequest},
		{"subject_token_type twice, the same", good + "&subject_token_type=" + url.QueryEscape(grants.TokenTypeJWT), 400, grants.InvalidRequest},
		{"a parameter that nobody knows twice (RFC 6749 §3.2)", good + "&x=1&x=2", 400, grants.InvalidRequest},
		{"a parameter twice, once without a value", good + "&scope=&scope=" + lockScope, 400, grants.InvalidRequest},
		{"audiences in one value", good + "&audience=a+b", 400, grants.InvalidTarget},
		{"PRO-07: 9 MB of nested brackets as subject token", "grant_type=" + url.QueryEscape(grants.TokenExchange) + "&subject_token=" + strings.Repeat("[", 9<<20), 413, grants.InvalidRequest},
		{"PRO-07: 9 MB of nested brackets as client assertion", "client_assertion=" + strings.Repeat("[", 9<<20), 413, grants.InvalidRequest},
		{"an empty body", "", 400, grants.InvalidRequest},
		{"a scope outside the grammar", good + "&scope=" + url.QueryEscape("a\tb"), 400, grants.InvalidScope},
		{"a NUL", good + "&client_id=%00", 400, grants.InvalidRequest},
		{"text that is not UTF-8", good + "&client_id=%ff", 400, grants.InvalidRequest},
		{"a name that is not UTF-8", good + "&%ff=x", 400, grants.InvalidRequest},
		{"a broken escape", good + "&client_id=%zz", 400, grants.InvalidRequest},
		{"a semicolon between parameters", good + ";scope=a", 400, grants.InvalidRequest},
	})
	s.do(http.MethodPost, tokenEndpoint, good+"&audience="+s.url+"&resource="+s.url+"&unknown=ignored&scope=+"+lockScope+"++"+lockScope, acme.authenticated(),
		header("Content-Type", formType)).mustBe(t, http.StatusOK)
}

// PRO-09, PRO-24, RFC 6749 §5.2: a grant is one that exists, byte by byte, and
// client credentials have no user.
func TestGrantTypes(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	s.admin("PATCH", "/integrators/"+acme.id+"/clients/"+acme.clientID, object{"scope": "read"}).mustBe(t, 200)
	acme.mustRefuseForms(t, []refused{
		{"PRO-09: no grant_type", "scope=a", 400, grants.InvalidRequest},
		{"PRO-09: an empty grant_type", "grant_type=", 400, grants.InvalidRequest},
		{"PRO-09: an unknown grant", "grant_type=x", 400, grants.UnsupportedGrantType},
		{"PRO-09: password", "grant_type=password&username=a&password=b", 400, grants.UnsupportedGrantType},
		{"PRO-09: authorization_code", "grant_type=authorization_code&code=x", 400, grants.UnsupportedGrantType},
		{"PRO-09: refresh_token", "grant_type=refresh_token&refresh_token=x", 400, grants.UnsupportedGrantType},
		{"PRO-09: implicit", "grant_type=implicit", 400, grants.UnsupportedGrantType},
		{"PRO-09: device_code", "grant_type=" + url.QueryEscape("urn:ietf:params:oauth:grant-type:device_code"), 400, grants.UnsupportedGrantType},
		{"PRO-09: saml2-bearer", "grant_type=" + url.QueryEscape("urn:ietf:params:oauth:grant-type:saml2-bearer"), 400, grants.UnsupportedGrantType},
		{"PRO-09: a grant in other case", "grant_type=Client_Credentials", 400, grants.UnsupportedGrantType},
		{"PRO-09: the URN in capitals", "grant_type=" + url.QueryEscape(strings.ToUpper(grants.TokenExchange)), 400, grants.UnsupportedGrantType},
		{"PRO-09: a space behind the grant", "grant_type=client_credentials+", 400, grants.UnsupportedGrantType},
		{"PRO-09: two grants in one value", "grant_type=client_credentials+" + url.QueryEscape(grants.TokenExchange), 400, grants.UnsupportedGrantType},
		{"PRO-24: client credentials with a subject token", "grant_type=client_credentials&subject_token=x&subject_token_type=" + url.QueryEscape(grants.TokenTypeJWT), 400, grants.InvalidRequest},
		{"PRO-24: client credentials with an assertion", "grant_type=client_credentials&assertion=x", 400, grants.InvalidRequest},
		{"PRO-24: client credentials with an actor token", "grant_type=client_credentials&actor_token=x", 400, grants.InvalidRequest},
	})
	s.post(tokenEndpoint, acme.authenticated(), url.Values{"grant_type": {grants.ClientCredentials}, "subject_token": {""}}).mustBe(t, 200)
}

// PRO-03: one content type, in one header, in UTF-8. fosite takes multipart.
func TestContentTypes(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	good := exchangeForm(acme.idp.token(nil)).Encode()
	var multi bytes.Buffer
	w := multipart.NewWriter(&multi)
	_ = w.WriteField("grant_type", grants.ClientCredentials)
	_ = w.Close()
	for _, c := range []struct{ rule, body, contentType string }{
		{"multipart", multi.String(), w.FormDataContentType()},
		{"JSON", `{"grant_type":"client_credentials"}`, "application/json"},
		{"a form that says it is JSON", good, "application/json"},
		{"no content type", good, ""},
		{"text/plain", good, "text/plain"},
		{"XML", "<grant_type>client_credentials</grant_type>", "application/xml"},
		{"multipart without a boundary", good, "multipart/form-data"},
		{"another charset", good, formType + "; charset=utf-16"},
		{"two charsets", good, formType + "; charset=utf-8; charset=utf-16"},
		{"two types in one header", good, formType + ", text/plain"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			options := []option{acme.authenticated()}
			if c.contentType != "" {
				options = append(options, header("Content-Type", c.contentType))
			}
			s.do(http.MethodPost, tokenEndpoint, c.body, options...).mustBeOfAWrongType(t)
		})
	}
	t.Run("two headers", func(t *testing.T) {
		s.do(http.MethodPost, tokenEndpoint, good, acme.authenticated(), header("Content-Type", formType), header("Content-Type", formType)).mustBeOfAWrongType(t)
	})
	t.Run("a content encoding", func(t *testing.T) {
		s.do(http.MethodPost, tokenEndpoint, good, acme.authenticated(), header("Content-Type", formType), header("Content-Encoding", "gzip")).
			mustRefuse(t, 400, grants.InvalidRequest, "")
	})
	acme.mustHaveBeenGranted(0)
	for _, contentType := range []string{formType, "Application/X-WWW-Form-URLencoded;charset=UTF-8", formType + `; charset="utf-8"`} {
		t.Run("what is good still is: "+contentType, func(t *testing.T) {
			s.do(http.MethodPost, tokenEndpoint, good, acme.authenticated(), header("Content-Type", contentType)).mustBe(t, http.StatusOK)
		})
	}
}

// mustBeOfAWrongType: refused for its type, and for nothing else.
func (a answer) mustBeOfAWrongType(t *testing.T) {
	t.Helper()
	a.mustRefuse(t, 400, grants.InvalidRequest, "")
	if !strings.Contains(a.text("error_description"), "the Content-Type must be") {
		t.Errorf("refused for something else: %s", a.body)
	}
}

// mustHaveBeenGranted counts the tokens that the party got, on record.
func (p *party) mustHaveBeenGranted(want int) {
	p.s.t.Helper()
	records, err := p.s.p.store.Exchanges(p.s.t.Context(), p.id, everything(), page(200))
	if err != nil {
		p.s.t.Fatal(err)
	}
	got := 0
	for _, record := range records {
		if record.Result == registry.ResultGranted {
			got++
		}
	}
	if got != want {
		p.s.t.Errorf("%d tokens were issued, want %d", got, want)
	}
}

// PRO-06, RFC 6749 §2.3.1: a URL ends up in logs, so nothing of a request may
// be in it. RFC 6750 §2.3 has access_token there, which fosite would take.
func TestParametersInTheURL(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	token := acme.idp.token(nil)
	whole := exchangeForm(token, "client_id", acme.clientID, "client_secret", acme.secret, "scope", lockScope)
	for name := range whole {
		t.Run(name, func(t *testing.T) {
			body := exchangeForm(token, "client_id", acme.clientID, "client_secret", acme.secret, "scope", lockScope)
			body.Del(name)
			for _, path := range []string{tokenEndpoint, dialectEndpoint} {
				s.post(path+"?"+url.Values{name: whole[name]}.Encode(), anonymous, body).mustRefuse(t, 400, grants.InvalidRequest, "")
			}
		})
	}
	t.Run("a question mark alone", func(t *testing.T) {
		s.post(tokenEndpoint+"?", anonymous, whole).mustRefuse(t, 400, grants.InvalidRequest, "")
	})
	for _, path := range []string{introspectEndpoint, revokeEndpoint} {
		for _, name := range []string{"token", "access_token", "client_secret"} {
			t.Run(path+" "+name, func(t *testing.T) {
				s.post(path+"?"+name+"="+s.token, acme.authenticated(), url.Values{"token": {s.token}}).mustRefuse(t, 400, grants.InvalidRequest, "")
			})
		}
	}
	acme.mustHaveBeenGranted(0)
	s.mustBeActive(s.token, true)
	s.mustNotLog(token, acme.secret, s.token)
}

// PRO-02. RFC 6749 §3.2, RFC 7009 §2.1, RFC 7662 §2.1: POST and nothing else,
// whatever a header says. OPTIONS is a preflight where browsers may come
// (interface.md §6), which is a difference from PRO-02.
func TestMethods(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	form := exchangeForm(acme.idp.token(nil)).Encode()
	for _, path := range []string{tokenEndpoint, introspectEndpoint, revokeEndpoint, dialectEndpoint, dialectEndpoint + "/"} {
		for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "post", "POST2"} {
			t.Run(method+" "+path, func(t *testing.T) {
				a := s.do(method, path, form, acme.authenticated(), header("Content-Type", formType), header("X-HTTP-Method-Override", "POST")).
					mustBe(t, http.StatusMethodNotAllowed)
				if a.header.Get("Allow") != "POST" || a.json["access_token"] != nil {
					t.Errorf("Allow: %q %s", a.header.Get("Allow"), a.body)
				}
				if method != "HEAD" && a.text("error") != string(grants.InvalidRequest) {
					t.Errorf("%s", a.body)
				}
			})
		}
	}
	acme.mustHaveBeenGranted(0)
	t.Run("a method in a header is ignored", func(t *testing.T) {
		s.do("POST", tokenEndpoint, form, acme.authenticated(), header("Content-Type", formType), header("X-HTTP-Method-Override", "DELETE")).mustBe(t, 200)
	})
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		t.Run("POST "+path, func(t *testing.T) {
			if a := s.do("POST", path, "").mustBe(t, http.StatusMethodNotAllowed); a.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow: %q", a.header.Get("Allow"))
			}
		})
		t.Run("HEAD "+path, func(t *testing.T) { s.do("HEAD", path, "").mustBe(t, http.StatusOK) })
	}
}
