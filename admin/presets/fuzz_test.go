package presets

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/registry"
)

// Whatever a token says, a proposal is refused or one that a key URL can be
// made of, and the issuer is the token's own.
func FuzzPropose(f *testing.F) {
	c, err := Load()
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range c.Presets() {
		for _, form := range p.Issuers {
			issuer, _ := expand(form.Template, p.example)
			f.Add("RS256", "at+jwt", `{"iss":"`+issuer+`","sub":"a|b","iat":1,"exp":2,"aud":["x"],"client_id":"y","permissions":["a"],"cid":"z","role":"r","token_use":"id"}`)
		}
	}
	f.Fuzz(func(t *testing.T, algorithm, typ, claims string) {
		token := Token{Algorithm: algorithm, Type: typ}
		if json.Unmarshal([]byte(claims), &token.Claims) != nil {
			return
		}
		issuer, _ := token.text("iss")
		p := c.Propose(token, []string{ourAudience})
		if p.Refused != "" || !registry.ValidAudience(issuer) {
			return
		}
		if err := wouldRegister(p.KeyURL); err != nil && !strings.Contains(issuer, "#") {
			t.Errorf("%v: %+v", err, p)
		}
		if p.KeyURL.Issuer != issuer {
			t.Errorf("issuer %q of %q", p.KeyURL.Issuer, issuer)
		}
	})
}
