package presets

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/registry"
)

const small = `
id: small
name: Small
docs: https://small.example/docs
verified_at: 2026-11-23
inputs: [{name: domain, label: Domain, pattern: '[a-z]+\.small\.example', example: acme.small.example}]
issuers: [{template: 'https://{domain}/', url: 'https://{domain}/keys'}]
algorithms: [RS256]
permissions: [{claim: permissions, preferred: true}]
guards: [{when: {alg: 'HS.*'}, refuse: no}]
`

// A file that is misspelt in any way stops the loading, rather than leaving out
// a rule.
func TestFilesAreReadStrictly(t *testing.T) {
	if _, err := parse([]byte(small)); err != nil {
		t.Fatal(err)
	}
	for rule, change := range map[string][2]string{
		"unknown member":             {"guards:", "gaurds:"},
		"unknown condition":          {"{alg:", "{algorithm:"},
		"a member twice":             {"name: Small", "name: Small\nname: Again"},
		"bad pattern":                {"HS.*", "HS(.*"},
		"bad pattern of an input":    {`[a-z]+\.`, `[a-z+\.`},
		"example of another shape":   {"example: acme", "example: ACME"},
		"input without label":        {"label: Domain", "label: ''"},
		"issuer of no input":         {"'https://{domain}/'", "'https://{host}/'"},
		"URL of no input":            {"https://{domain}/keys", "https://{host}/keys"},
		"algorithm nobody takes":     {"[RS256]", "[HS256]"},
		"format nobody reads":        {"preferred: true", "preferred: true, format: xml"},
		"no preferred source":        {"preferred: true", "preferred: false"},
		"guard without text":         {", refuse: no", ""},
		"not a date":                 {"2026-11-23", "lately"},
		"conditions without a guess": {"/keys'}", "/keys', when: {alg: RS256}}"},
		"a second document":          {"guards:", "---\nguards:"},
	} {
		t.Run(rule, func(t *testing.T) {
			data := bytes.Replace([]byte(small), []byte(change[0]), []byte(change[1]), 1)
			if bytes.Equal(data, []byte(small)) {
				t.Fatal("nothing was changed")
			}
			if _, err := parse(data); err == nil {
				t.Error("loaded")
			}
		})
	}
}

func TestTheFiles(t *testing.T) {
	c := load(t)
	ids := []string{}
	for _, p := range c.Presets() {
		ids = append(ids, p.ID)
		for _, reason := range []string{"audience_mismatch", "claim_missing", "permissions_invalid", "issuer_unknown", "wrong_token_kind", "alg_not_allowed",
			"lifetime_too_long", "key_not_found", "no_permissions", "opaque", "typ_not_allowed"} {
			text := p.Help(reason)
			if text == "" || strings.Count(text, "\n") > 2 {
				t.Errorf("%s says %q about %s: want one to three lines", p.ID, text, reason)
			}
		}
		if p.Help("nonsense") != "" {
			t.Error("help for what nobody knows")
		}
		for _, source := range p.Permissions { // what users write themselves
			if strings.Contains(source.Claim, "user_metadata") || strings.Contains(source.Claim, "unsafe") {
				t.Errorf("%s reads permissions that users write: %s", p.ID, source.Claim)
			}
		}
		for _, form := range p.Issuers {
			issuer, _ := expand(form.Template, p.example)
			if _, ok := form.pattern.groups(issuer); !ok {
				t.Errorf("%s: %s is not of its own form", p.ID, issuer)
			}
			if err := wouldRegister(KeyURL{Issuer: issuer, Algorithms: p.Algorithms}); err != nil {
				t.Errorf("%s: %v", p.ID, err)
			}
		}
	}
	want := []string{"auth0", "clerk", "cognito", "entra-v1", "entra-v2", "firebase", "github-actions", "keycloak", "okta", "supabase", "zitadel", "generic"}
	if !slices.Equal(ids, want) {
		t.Errorf("got %v", ids)
	}
}

func TestForIssuer(t *testing.T) {
	c := load(t)
	for issuer, want := range map[string]string{
		"https://acme.eu.auth0.com/":                                                  "auth0",
		"https://acme.auth0.com/":                                                     "auth0",
		"https://acme.eu.auth0.com":                                                   "",
		"http://acme.eu.auth0.com/":                                                   "",
		"https://acme.auth0.com.evil.example/":                                        "",
		"https://evil.example/https://acme.auth0.com/":                                "",
		"https://evilauth0.com/":                                                      "",
		"https://user@acme.auth0.com/":                                                "",
		"https://acme.auth0.com/\nx":                                                  "",
		"https://acme.okta.com/oauth2/default":                                        "okta",
		"https://acme.okta.com":                                                       "okta",
		"https://acme.okta.com.evil.example/oauth2/default":                           "",
		"https://acme-okta.com/oauth2/default":                                        "",
		"https://cognito-idp.eu-north-1.amazonaws.com/eu-north-1_Ab":                  "cognito",
		"https://cognito-idp.eu-north-1.amazonaws.com.evil.example/a_b":               "",
		"https://sso.acme.example/realms/acme":                                        "keycloak",
		"https://sso.acme.example/realms/acme/":                                       "",
		"https://abcdefghijklmnopqrst.supabase.co/auth/v1":                            "supabase",
		"https://securetoken.google.com/acme-access":                                  "firebase",
		"https://securetoken.google.com/acme-access/x":                                "",
		"https://token.actions.githubusercontent.com":                                 "github-actions",
		"https://merry-otter-12.clerk.accounts.dev":                                   "clerk",
		"https://acme-k3x9ab.us1.zitadel.cloud":                                       "zitadel",
		"https://sts.windows.net/aaaabbbb-0000-cccc-1111-dddd2222eeee/":               "entra-v1",
		"https://sts.windows.net/common/":                                             "",
		"https://login.microsoftonline.com/common/v2.0":                               "",
		"https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0": "entra-v2",
		"https://id.acme.example/":                                                    "", // a custom domain of anybody
		"":                                                                            "",
	} {
		got := ""
		if p := c.ForIssuer(issuer); p != nil {
			got = p.ID
		}
		if got != want {
			t.Errorf("%q: taken for %q, want %q", issuer, got, want)
		}
	}
}

// What a stranger's token holds goes into a proposal only within the bounds of
// a key URL.
func TestProposalsAreBounded(t *testing.T) {
	c := load(t)
	token := readGolden(t, "generic")[0].token()
	many := []string{}
	for i := range 40 {
		many = append(many, fmt.Sprintf(`"a%d"`, i))
	}
	token.Claims["aud"] = []byte("[" + strings.Join(many, ",") + `,"a b","` + strings.Repeat("x", 600) + `"]`)
	if p := c.Propose(token, nil); len(p.KeyURL.Audiences) != registry.MaxAudiences || slices.ContainsFunc(p.KeyURL.Audiences, func(a string) bool { return !registry.ValidAudience(a) }) {
		t.Errorf("got %v", p.KeyURL.Audiences)
	}
	for _, odd := range []string{`null`, `{}`, `[null]`, `1`, `""`, `[]`, `[[]]`} {
		for claim := range token.Claims {
			changed := readGolden(t, "generic")[0].token()
			changed.Claims[claim] = []byte(odd)
			c.Propose(changed, []string{""}) // must not panic
		}
	}
}
