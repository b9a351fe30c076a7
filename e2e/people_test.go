package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// People sign in at the panel by an identity provider that nobody here wrote,
// as a client with a secret and as one without.
func TestPeopleSignInAtARealProvider(t *testing.T) {
	for _, method := range []string{"client_secret_basic", "client_secret_post", "none"} {
		t.Run(method, func(t *testing.T) {
			const issuer = "http://cambio.test" // the provider has to know where to send people before Cambio has a port
			var idp struct {
				Issuer string
				ID     string `json:"client_id"`
				Secret string `json:"client_secret"`
			}
			startProgram(t, "oidc-provider-login.mjs", &idp, "REDIRECT_URI="+issuer+"/panel/oidc/callback", "METHOD="+method)
			c := serve(t, "CAMBIO_ISSUER="+issuer, "CAMBIO_PANEL_OIDC_ISSUER="+idp.Issuer, "CAMBIO_PANEL_OIDC_CLIENT_ID="+idp.ID,
				"CAMBIO_PANEL_OIDC_CLIENT_SECRET="+idp.Secret, "CAMBIO_PANEL_OPERATORS=groups=cambio-operators", "CAMBIO_PANEL_INTEGRATOR_CLAIM=integrator")
			acme := c.admin("POST", "/integrators", object{"name": "Acme"}, 201)["id"].(string)
			c.admin("POST", "/integrators", object{"name": "Bob Ltd"}, 201)

			operator := newVisitor(t, c)
			operator.logIn(issuer, "operator")
			operator.sees(issuer+"/panel/integrators", http.StatusOK, "operator@example.com", "Acme", "Bob Ltd")
			person := newVisitor(t, c)
			person.logIn(issuer, acme)
			person.sees(issuer+"/panel/integrators/me", http.StatusOK, "oidc:"+acme, "@example.com", "Acme")
			person.sees(issuer+"/panel/integrators", http.StatusNotFound)
			nobody := newVisitor(t, c)
			nobody.logIn(issuer, "joe")
			if !strings.Contains(nobody.page, "The claim integrator has to be the id of an integrator") {
				t.Errorf("joe sees %s", nobody.page)
			}
		})
	}
}

// visitor is a browser without scripts, to which cambio.test is our Cambio.
type visitor struct {
	t      *testing.T
	client *http.Client
	page   string
	status int
}

func newVisitor(t *testing.T, c *cambio) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "cambio.test:80" {
			address = strings.TrimPrefix(c.url, "http://")
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	return &visitor{t: t, client: &http.Client{Jar: jar, Transport: transport}}
}

// logIn walks through the provider's pages: a name, then consent.
func (v *visitor) logIn(issuer, name string) {
	v.t.Helper()
	v.keep(v.client.Get(issuer + "/panel/oidc/start"))
	for _, form := range []url.Values{{"prompt": {"login"}, "login": {name}, "password": {"x"}}, {"prompt": {"consent"}}} {
		action := regexp.MustCompile(`<form[^>]* action="([^"]+)"`).FindStringSubmatch(v.page)
		if action == nil {
			v.t.Fatalf("no form: %s", v.page)
		}
		v.keep(v.client.PostForm(action[1], form))
	}
}

func (v *visitor) sees(address string, status int, words ...string) {
	v.t.Helper()
	v.keep(v.client.Get(address))
	if v.status != status {
		v.t.Errorf("%s: %d, want %d", address, v.status, status)
	}
	for _, word := range words {
		if !strings.Contains(v.page, word) {
			v.t.Errorf("%s does not show %q: %s", address, word, v.page)
		}
	}
}

func (v *visitor) keep(response *http.Response, err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	v.page, v.status = string(body), response.StatusCode
}
