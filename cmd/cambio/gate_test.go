package main

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

const formType = "application/x-www-form-urlencoded"

// RFC 6749 §3.2 and what fosite lets through (fosite §2.1, §2.2): the gate in
// front of it refuses before anything else is done.
func TestGate(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	good := exchangeForm(acme.idp.token(nil)).Encode()
	cases := []struct {
		rule        string
		body        string
		contentType string
		path        string
		status      int
		code        grants.Code
	}{
		{"a parameter twice", good + "&subject_token=x", formType, "", 400, grants.InvalidRequest},
		{"grant_type twice", good + "&grant_type=client_credentials", formType, "", 400, grants.InvalidRequest},
		{"scope twice", good + "&scope=a&scope=b", formType, "", 400, grants.InvalidRequest},
		{"65 scopes", good + "&scope=" + manyScopes(65), formType, "", 400, grants.InvalidRequest},
		{"17 audiences", good + strings.Repeat("&audience=x", 17), formType, "", 400, grants.InvalidTarget},
		{"audiences in one value", good + "&audience=a+b", formType, "", 400, grants.InvalidTarget},
		{"an unknown audience", good + "&audience=https://unknown.example", formType, "", 400, grants.InvalidTarget},
		{"an unknown resource", good + "&resource=https://unknown.example", formType, "", 400, grants.InvalidTarget},
		{"more than 64 KiB", good + "&x=" + strings.Repeat("a", 64<<10), formType, "", 413, grants.InvalidRequest},
		{"9 MB of nested brackets as subject token", "grant_type=" + url.QueryEscape(grants.TokenExchange) + "&subject_token=" + strings.Repeat("[", 9<<20), formType, "", 413, grants.InvalidRequest},
		{"9 MB of nested brackets as client assertion", "client_assertion=" + strings.Repeat("[", 9<<20), formType, "", 413, grants.InvalidRequest},
		{"JSON", `{"grant_type":"client_credentials"}`, "application/json", "", 400, grants.InvalidRequest},
		{"no content type", good, "", "", 400, grants.InvalidRequest},
		{"another charset", good, formType + "; charset=utf-16", "", 400, grants.InvalidRequest},
		{"parameters in the URL", good, formType, "?scope=a", 400, grants.InvalidRequest},
		{"a question mark", good, formType, "?", 400, grants.InvalidRequest},
		{"an empty body", "", formType, "", 400, grants.InvalidRequest},
		{"no grant_type", "scope=a", formType, "", 400, grants.InvalidRequest},
		{"an unknown grant", "grant_type=password", formType, "", 400, grants.UnsupportedGrantType},
		{"a grant in other case", "grant_type=Client_Credentials", formType, "", 400, grants.UnsupportedGrantType},
		{"two grants in one value", "grant_type=client_credentials+" + url.QueryEscape(grants.TokenExchange), formType, "", 400, grants.UnsupportedGrantType},
		{"a scope outside the grammar", good + "&scope=" + url.QueryEscape("a\tb"), formType, "", 400, grants.InvalidScope},
		{"a NUL", good + "&client_id=%00", formType, "", 400, grants.InvalidRequest},
		{"text that is not UTF-8", good + "&client_id=%ff", formType, "", 400, grants.InvalidRequest},
		{"a broken escape", good + "&client_id=%zz", formType, "", 400, grants.InvalidRequest},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			options := []option{acme.authenticated()}
			if c.contentType != "" {
				options = append(options, header("Content-Type", c.contentType))
			}
			s.do(http.MethodPost, tokenEndpoint+c.path, c.body, options...).mustRefuse(t, c.status, c.code, "")
		})
	}
	t.Run("multipart", func(t *testing.T) {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		_ = w.WriteField("grant_type", grants.ClientCredentials)
		_ = w.Close()
		s.do(http.MethodPost, tokenEndpoint, body.String(), acme.authenticated(), header("Content-Type", w.FormDataContentType())).
			mustRefuse(t, 400, grants.InvalidRequest, "")
	})
	t.Run("a content encoding", func(t *testing.T) {
		s.do(http.MethodPost, tokenEndpoint, good, acme.authenticated(), header("Content-Type", formType), header("Content-Encoding", "gzip")).
			mustRefuse(t, 400, grants.InvalidRequest, "")
	})
	t.Run("what is good still is", func(t *testing.T) {
		s.do(http.MethodPost, tokenEndpoint, good+"&audience="+s.url+"&resource="+s.url+"&unknown=ignored&scope=+"+lockScope+"++"+lockScope, acme.authenticated(),
			header("Content-Type", "Application/X-WWW-Form-URLencoded;charset=UTF-8")).mustBe(t, http.StatusOK)
	})
}

func manyScopes(n int) string {
	var scopes []string
	for i := range n {
		scopes = append(scopes, fmt.Sprintf("s%d", i))
	}
	return strings.Join(scopes, "+")
}

// RFC 6749 §3.2, RFC 7009 §2.1, RFC 7662 §2.1: POST and nothing else.
func TestMethods(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	for _, path := range []string{tokenEndpoint, introspectEndpoint, revokeEndpoint, dialectEndpoint, dialectEndpoint + "/"} {
		for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "post"} {
			t.Run(method+" "+path, func(t *testing.T) {
				a := s.do(method, path, "").mustBe(t, http.StatusMethodNotAllowed)
				if a.header.Get("Allow") != "POST" {
					t.Errorf("Allow: %q", a.header.Get("Allow"))
				}
			})
		}
	}
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		t.Run("POST "+path, func(t *testing.T) { s.do("POST", path, "").mustBe(t, http.StatusMethodNotAllowed) })
	}
}

// fosite's own errors must not shine through, nor what was sent.
func TestNothingIsEchoed(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	const hostile = "<script>alert(1)</script>"
	forms := []url.Values{
		{"grant_type": {hostile}}, {"grant_type": {grants.ClientCredentials}, "client_id": {hostile}, "client_secret": {hostile}},
		{"grant_type": {grants.TokenExchange}, "subject_token": {hostile}, "subject_token_type": {hostile}},
		{"grant_type": {grants.TokenExchange}, "scope": {hostile}}, {"grant_type": {grants.TokenExchange}, "audience": {hostile}},
	}
	for i, form := range forms {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			a := s.post(tokenEndpoint, anonymous, form)
			if a.status < 400 || strings.Contains(a.body, "alert") || strings.Contains(strings.Join(a.header.Values("WWW-Authenticate"), ""), "alert") {
				t.Errorf("%d %s %v", a.status, a.body, a.header)
			}
		})
	}
}
