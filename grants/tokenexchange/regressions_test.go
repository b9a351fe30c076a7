package tokenexchange_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
)

// The client's word counts as well as the policy's.
func TestAClientOfADisabledIntegrator(t *testing.T) {
	r := request(soundClaims().signedBy(acmeKey()))
	r.Client.IntegratorDisabled = true
	d, err := newWorld().exchange(r)
	refused(t, d, err, grants.InvalidRequest, grants.IntegratorDisabled, "disabled")
}

// generous gives whoever asks the policies of everybody.
type generous struct{ *world }

func (g generous) ForIntegrator(ctx context.Context, _, issuer string) ([]tokenexchange.Policy, error) {
	return g.world.matching(issuer, func(tokenexchange.Policy) bool { return true })
}

// The rule that kills most of the threat model does not rest on the port: a
// policy of another integrator is not used, whoever hands it over.
func TestAPolicyOfAnotherIntegratorIsUsed(t *testing.T) {
	w := newWorld()
	r := request(soundClaims().signedBy(acmeKey()))
	r.Client = &grants.Client{ID: "bob-app", IntegratorID: "bob"}
	d, err := w.exchangeWith(generous{w}, r)
	refused(t, d, err, grants.InvalidRequest, grants.IssuerUnknown, "")
}

// However many key URLs an integrator has for one issuer, one request asks few:
// each may cost a fetch.
func TestOneTokenAsksAnyNumberOfKeyURLs(t *testing.T) {
	w := newWorld()
	for i := range 1000 {
		url := fmt.Sprintf("https://acme.example/%d", i)
		w.policies, w.keys[url] = append(w.policies, w.policy("acme", url)), &acmeKey().PublicKey
	}
	_, _ = w.exchange(request(soundClaims().signedBy(otherKey())))
	if len(w.asked) > 8 {
		t.Errorf("%d key URLs were asked for one token", len(w.asked))
	}
}

// The client's scope took the rest: the text must not blame the dropped ones.
func TestTheTextHidesWhatTheClientsScopeTook(t *testing.T) {
	r := request(soundClaims().with("permissions", []string{east, "x"}).signedBy(acmeKey()))
	r.Client.Scopes = []string{north}
	if _, err := newWorld().exchange(r); !strings.Contains(err.Error(), "client's scope") {
		t.Error(err)
	}
}
