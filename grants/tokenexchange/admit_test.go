package tokenexchange_test

import (
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
)

// Whoever limits exchanges is asked before keys are looked for, with what the
// token claims, and only about tokens of issuers that are known.
func TestAdmit(t *testing.T) {
	full := grants.Refuse(grants.TemporarilyUnavailable, "full")
	var asked []tokenexchange.Claimed
	exchange := func(c claims, answer *grants.Refusal) (*world, *tokenexchange.Decision, error) {
		w, r := newWorld(), request(c.signedBy(acmeKey()))
		asked = nil
		r.Admit = func(claimed tokenexchange.Claimed) *grants.Refusal {
			asked = append(asked, claimed)
			if len(w.asked) > 0 {
				t.Error("keys were looked for first")
			}
			return answer
		}
		d, err := w.exchange(r)
		return w, d, err
	}
	_, d, err := exchange(soundClaims(), nil)
	accepted(t, d, err)
	want := tokenexchange.Claimed{IntegratorID: "acme", Issuer: acmeIssuer, Subject: "auth0|1"}
	if len(asked) != 1 || asked[0] != want {
		t.Errorf("asked about %v, want %v", asked, want)
	}
	w, d, err := exchange(soundClaims(), full)
	refused(t, d, err, grants.TemporarilyUnavailable, "", "full")
	if len(w.asked) > 0 {
		t.Error("keys were looked for all the same")
	}
	_, d, err = exchange(soundClaims().with("sub", 7), nil)
	refused(t, d, err, grants.InvalidRequest, grants.ClaimInvalid, "")
	if len(asked) != 1 || asked[0].Subject != "" {
		t.Errorf("a sub that is no string: asked about %v", asked)
	}
	_, d, err = exchange(soundClaims().with("iss", "https://unknown.example"), full)
	refused(t, d, err, grants.InvalidRequest, grants.IssuerUnknown, "")
	if len(asked) > 0 {
		t.Errorf("asked about %v", asked)
	}
}
