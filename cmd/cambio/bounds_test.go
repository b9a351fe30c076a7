package main

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// interface.md "Limits": what is at a limit passes, what is past it is refused
// with a reason and never cut. Those of key documents are in keys/remote.
func TestLimitsOfASubjectToken(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	permissions := func(n int, rest ...string) object {
		return object{"permissions": append(numbered("p", n-len(rest)), rest...)}
	}
	const ok = grants.Reason("")
	cases := []struct {
		rule   string
		token  string
		reason grants.Reason
	}{
		{"JWT-27: 32 KiB less a byte", acme.idp.tokenOf(32<<10 - 1), ok},
		{"JWT-27: 32 KiB", acme.idp.tokenOf(32 << 10), ok},
		{"JWT-27: 32 KiB and a byte", acme.idp.tokenOf(32<<10 + 1), grants.TooLarge},
		{"JWT-28: nesting of 16 in the payload", acme.idp.token(object{"x": nested(15)}), ok},
		{"JWT-28: nesting of 17 in the payload", acme.idp.token(object{"x": nested(16)}), grants.Malformed},
		{"JWT-28: nesting of 16 in the header", acme.idp.sign(object{"alg": "RS256", "kid": "key-1", "x": nested(15)}, acme.idp.claims(nil)), ok},
		{"JWT-28: nesting of 17 in the header", acme.idp.sign(object{"alg": "RS256", "kid": "key-1", "x": nested(16)}, acme.idp.claims(nil)), grants.Malformed},
		{"JWT-28: nesting of 9,000 in the payload", "e30." + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("[", 9000))) + ".e30", grants.Malformed},
		{"CLM-13: sub of 255 bytes", acme.idp.token(object{"sub": strings.Repeat("s", 255)}), ok},
		{"CLM-13: sub of 256 bytes", acme.idp.token(object{"sub": strings.Repeat("s", 256)}), grants.ClaimInvalid},
		{"CLM-13: sub of 128 letters of two bytes", acme.idp.token(object{"sub": strings.Repeat("é", 128)}), grants.ClaimInvalid},
		{"PRM-12: 500 permissions", acme.idp.token(permissions(500, lockScope)), ok},
		{"PRM-12: 501 permissions", acme.idp.token(permissions(501, lockScope)), grants.PermissionsInvalid},
		{"PRM-12: 501 times the same permission", acme.idp.token(object{"permissions": slices.Repeat([]string{lockScope}, 501)}), grants.PermissionsInvalid},
		{"a permission of 2,100 bytes", acme.idp.token(permissions(2, lockScope, strings.Repeat("p", 2100))), ok},
		{"a permission of 2,101 bytes", acme.idp.token(permissions(2, lockScope, strings.Repeat("p", 2101))), grants.PermissionsInvalid},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			a := acme.exchange(c.token)
			if c.reason == ok {
				a.mustBe(t, 200)
				return
			}
			a.mustRefuse(t, 400, grants.InvalidRequest, c.reason)
		})
	}
}

// tokenOf makes a good token of so many bytes.
func (i *testIDP) tokenOf(size int) string {
	i.t.Helper()
	encoded := base64.RawURLEncoding.EncodedLen
	for padding := range 3 { // of the header: not every length of a payload exists
		header := object{"alg": "RS256", "kid": i.kid, "x": strings.Repeat("x", padding)}
		claims := i.claims(object{"x": ""})
		head, body := jsonLength(i.t, header), jsonLength(i.t, claims)
		rest := size - encoded(head) - encoded(i.key.Size()) - 2
		for fill := rest*3/4 - body - 2; fill < rest; fill++ {
			if encoded(body+fill) == rest {
				claims["x"] = strings.Repeat("x", fill)
				return i.sign(header, claims)
			}
		}
	}
	i.t.Fatalf("no token of %d bytes", size)
	return ""
}

func jsonLength(t testing.TB, value any) int {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return len(data)
}

// interface.md "Limits", of the request.
func TestLimitsOfARequest(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	scopes := func(n int) string { return strings.Join(numbered("s", n), " ") }
	machine, secret := acme.newClient(object{"client_name": "machine", "scope": scopes(70)})
	credentials := func(n int) func() answer {
		return func() answer {
			return s.post(tokenEndpoint, basic(machine, secret), url.Values{"grant_type": {grants.ClientCredentials}, "scope": {scopes(n)}})
		}
	}
	targets := func(audiences, resources int) func() answer {
		members := append(slices.Repeat([]string{"audience", s.url}, audiences), slices.Repeat([]string{"resource", s.url}, resources)...)
		return func() answer { return acme.exchange(acme.idp.token(nil), members...) }
	}
	body := func(path, contentType, text string, size int) func() answer {
		return func() answer {
			return s.do("POST", path, strings.Replace(text, "PADDING", strings.Repeat("x", size-len(text)+len("PADDING")), 1), acme.authenticated(), header("Content-Type", contentType))
		}
	}
	form := exchangeForm(acme.idp.token(nil)).Encode() + "&x=PADDING"
	document := `{"grant":"token_exchange","subjectToken":"` + acme.idp.token(nil) + `","x":"PADDING"}`
	cases := []struct {
		rule   string
		do     func() answer
		status int
		code   grants.Code
	}{
		{"PRO-07: a form of 64 KiB", body(tokenEndpoint, formType, form, 64<<10), 200, ""},
		{"PRO-07: a form of 64 KiB and a byte", body(tokenEndpoint, formType, form, 64<<10+1), 413, grants.InvalidRequest},
		{"PRO-07: JSON of 64 KiB", body(dialectEndpoint, "application/json", document, 64<<10), 200, ""},
		{"PRO-07: JSON of 64 KiB and a byte", body(dialectEndpoint, "application/json", document, 64<<10+1), 413, grants.InvalidRequest},
		{"64 scopes", credentials(64), 200, ""},
		{"65 scopes", credentials(65), 400, grants.InvalidRequest},
		{"65 scopes of an exchange", func() answer { return acme.exchange(acme.idp.token(nil), "scope", scopes(65)) }, 400, grants.InvalidRequest},
		{"16 audiences", targets(16, 0), 200, ""},
		{"16 resources", targets(0, 16), 200, ""},
		{"16 audiences and resources", targets(8, 8), 200, ""},
		{"17 audiences", targets(17, 0), 400, grants.InvalidTarget},
		{"17 resources", targets(0, 17), 400, grants.InvalidTarget},
		{"17 audiences and resources", targets(8, 9), 400, grants.InvalidTarget},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			if c.code == "" {
				c.do().mustBe(t, c.status)
				return
			}
			c.do().mustRefuse(t, c.status, c.code, "")
		})
	}
}

// interface.md "Limits": 8 KiB of granted scope, in an exchange and in client
// credentials. A token is never issued with a part of it.
func TestLimitOfGrantedScope(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	var all []string
	for _, c := range "abcdefgh" {
		suffix := strings.Repeat(string(c), 1000)
		acme.manage("919424508", suffix)
		all = append(all, "lockHolder.identifier:NO.919424508."+suffix)
	}
	exchange := func(n int, members ...string) answer {
		return acme.exchange(acme.idp.token(object{"permissions": all[:n]}), members...)
	}
	if got := exchange(7).mustBe(t, 200).text("scope"); got != strings.Join(all[:7], " ") {
		t.Errorf("a scope of %d bytes, want %d", len(got), len(strings.Join(all[:7], " ")))
	}
	exchange(8).mustRefuse(t, 400, grants.InvalidScope, "")
	exchange(8, "scope", all[7]).mustBe(t, 200)

	exact := strings.Repeat("a", 8<<10-2) + " b"
	fits, secret := acme.newClient(object{"client_name": "fits", "scope": exact})
	over, overSecret := acme.newClient(object{"client_name": "over", "scope": exact + "b"})
	form := url.Values{"grant_type": {grants.ClientCredentials}}
	if got := s.post(tokenEndpoint, basic(fits, secret), form).mustBe(t, 200).text("scope"); got != exact {
		t.Errorf("a scope of %d bytes, want 8192", len(got))
	}
	s.post(tokenEndpoint, basic(over, overSecret), form).mustRefuse(t, 400, grants.InvalidScope, "")
}
