package tokenexchange_test

import (
	"crypto/rsa"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
)

const bobKeys = "https://bob.example/jwks"

// XTI-01: CVE-2026-9094, GHSA-7qjx-gp9h-65qj. Only the client's integrator's
// key URLs count; nobody else's keys are even asked for.
func TestAnotherIntegratorsIssuerIsUnknown(t *testing.T) {
	w := newWorld()
	r := request(soundClaims().signedBy(acmeKey()))
	r.Client = &grants.Client{ID: "bob-app", IntegratorID: "bob"}
	d, err := w.exchange(r)
	refused(t, d, err, grants.InvalidRequest, grants.IssuerUnknown, "no active key URL of this integrator")
	if !slices.Equal(w.looked, []string{"bob"}) || w.asked != nil {
		t.Errorf("policies of %q and keys of %q were asked for", w.looked, w.asked)
	}
	if d.IntegratorID != "bob" || d.ClientID != "bob-app" || d.Issuer != acmeIssuer || d.KeyID != "k1" || d.Subject != "" {
		t.Errorf("for the record: %+v", d)
	}
}

// XTI-01, XTI-02: one issuer registered by two integrators; each is judged by
// its own keys.
func TestKeysOfAnotherIntegratorAreNotUsed(t *testing.T) {
	w := newWorld()
	w.policies = append(w.policies, w.policy("bob", bobKeys))
	w.keys[bobKeys] = &otherKey().PublicKey
	for _, test := range []struct {
		integrator string
		key        *rsa.PrivateKey
		url        string
		ok         bool
	}{
		{"acme", acmeKey(), "https://acme.example/jwks", true}, {"bob", otherKey(), bobKeys, true},
		{"acme", otherKey(), "https://acme.example/jwks", false}, {"bob", acmeKey(), bobKeys, false},
	} {
		w.asked = nil
		r := request(soundClaims().signedBy(test.key))
		r.Client.IntegratorID = test.integrator
		d, err := w.exchange(r)
		if test.ok {
			if d = accepted(t, d, err); d.IntegratorID != test.integrator {
				t.Errorf("accepted for %s", d.IntegratorID)
			}
		} else {
			refused(t, d, err, grants.InvalidRequest, grants.SignatureInvalid, "")
		}
		if !slices.Equal(w.asked, []string{test.url}) {
			t.Errorf("%s: keys of %q were asked for", test.integrator, w.asked)
		}
	}
}

// XTI-06: one integrator, two issuers: each has its own keys.
func TestKeysOfAnotherIssuerAreNotUsed(t *testing.T) {
	w := newWorld()
	second := w.policy("acme", "https://acme.example/second")
	second.Issuer = "https://second.example"
	w.policies = append(w.policies, second)
	w.keys["https://acme.example/second"] = &otherKey().PublicKey
	d, err := w.exchange(request(soundClaims().signedBy(otherKey())))
	refused(t, d, err, grants.InvalidRequest, grants.SignatureInvalid, "")
	d, err = w.exchange(request(soundClaims().with("iss", "https://second.example").signedBy(otherKey())))
	accepted(t, d, err)
}

func TestADisabledIntegratorExchangesNothing(t *testing.T) {
	for _, clientless := range []bool{false, true} {
		w, r := newWorld(), request(soundClaims().signedBy(acmeKey()))
		w.policies[0].IntegratorDisabled = true
		if clientless {
			r.Client, w.policies[0].Keys.URL = nil, "https://acme.example/clientless"
		}
		d, err := w.exchange(r)
		refused(t, d, err, grants.InvalidRequest, grants.IntegratorDisabled, "disabled")
		if w.asked != nil {
			t.Error("keys were asked for")
		}
	}
}

// interface.md §2: "the one key URL whose issuer equals the token's iss, whose
// audience the token names and which has clientless switched on".
func TestClientless(t *testing.T) {
	const acmeURL, bobURL = "https://acme.example/clientless", "https://bob.example/clientless"
	for _, test := range []struct {
		name        string
		urls        map[string]string // integrator: key URL
		bobAudience string
		aud         []string
		integrator  string // empty: refused
		text        string
	}{
		{"one integrator", map[string]string{"acme": acmeURL}, "", []string{"api.unloc.app"}, "acme", ""},
		{"not switched on", map[string]string{"acme": "https://acme.example/jwks"}, "", []string{"api.unloc.app"}, "", "no active key URL"},
		{"two integrators with one audience", map[string]string{"acme": acmeURL, "bob": bobURL}, "api.unloc.app", []string{"api.unloc.app"}, "", "more than one integrator"},
		{"the audience narrows to the first", map[string]string{"acme": acmeURL, "bob": bobURL}, "bob", []string{"api.unloc.app"}, "acme", ""},
		{"the audience narrows to the second", map[string]string{"acme": acmeURL, "bob": bobURL}, "bob", []string{"bob", "x"}, "bob", ""},
		{"the token names both audiences", map[string]string{"acme": acmeURL, "bob": bobURL}, "bob", []string{"bob", "api.unloc.app"}, "", "more than one integrator"},
		{"the token names neither", map[string]string{"acme": acmeURL, "bob": bobURL}, "bob", []string{"x"}, "", "not issued for this server"},
		{"the other has not switched it on", map[string]string{"acme": acmeURL, "bob": bobKeys}, "api.unloc.app", []string{"api.unloc.app"}, "acme", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			w.policies = nil
			for _, integrator := range []string{"acme", "bob"} {
				if url := test.urls[integrator]; url != "" {
					policy := w.policy(integrator, url)
					if integrator == "bob" {
						policy.Audiences = []string{test.bobAudience}
					}
					w.policies, w.keys[url] = append(w.policies, policy), &acmeKey().PublicKey
				}
			}
			r := request(soundClaims().with("aud", test.aud).signedBy(acmeKey()))
			r.Client = nil
			d, err := w.exchange(r)
			if test.integrator == "" {
				reason := grants.IssuerUnknown
				if strings.Contains(test.text, "not issued for") {
					reason = grants.AudienceMismatch
				}
				refused(t, d, err, grants.InvalidRequest, reason, test.text)
				if w.asked != nil || d.IntegratorID != "" || d.ClientID != "" {
					t.Errorf("keys of %q were asked for; for the record %+v", w.asked, d)
				}
				return
			}
			d = accepted(t, d, err)
			if d.IntegratorID != test.integrator || d.ClientID != test.integrator || d.Generations != (grants.Generations{Integrator: 7}) {
				t.Errorf("got %+v", d)
			}
		})
	}
}

// With a client, clientless is beside the point, on or off.
func TestAClientUsesAClientlessKeyURLToo(t *testing.T) {
	w := newWorld()
	w.policies = append(w.policies[:0], w.policy("acme", "https://acme.example/clientless"))
	w.keys["https://acme.example/clientless"] = &acmeKey().PublicKey
	d, err := w.exchange(request(soundClaims().signedBy(acmeKey())))
	if d = accepted(t, d, err); d.ClientID != "acme-app" {
		t.Errorf("got %+v", d)
	}
}

// An integrator that moves to another key URL has two for a while: the first
// that accepts counts, and "try again later" outweighs "invalid".
func TestTwoPoliciesForOneIssuer(t *testing.T) {
	const first, second = "https://acme.example/jwks", "https://acme.example/new"
	down := errors.New("down")
	for _, test := range []struct {
		name      string
		arrange   func(*world)
		code      grants.Code // empty: accepted
		reason    grants.Reason
		wantAsked []string
	}{
		{"the first accepts", func(w *world) { w.keys[second] = &otherKey().PublicKey }, "", "", []string{first}},
		{"the second accepts", func(w *world) { w.keys[first], w.keys[second] = &otherKey().PublicKey, &acmeKey().PublicKey }, "", "", []string{first, second}},
		{"the first is down, the second accepts", func(w *world) {
			w.keysErr[first], w.keys[second] = down, &acmeKey().PublicKey
		}, "", "", []string{first, second}},
		{"the first refuses by its audience, the second accepts", func(w *world) {
			w.policies[0].Audiences, w.keys[second] = []string{"x"}, &acmeKey().PublicKey
		}, "", "", []string{second}},
		{"neither: the first refusal counts", func(w *world) { w.keys[first] = &otherKey().PublicKey },
			grants.InvalidRequest, grants.SignatureInvalid, []string{first, second}},
		{"the first is down, the second refuses", func(w *world) { w.keysErr[first], w.keys[second] = down, &otherKey().PublicKey },
			grants.TemporarilyUnavailable, grants.KeysUnavailable, []string{first, second}},
		{"the first refuses, the second is down", func(w *world) { w.keys[first], w.keysErr[second] = &otherKey().PublicKey, down },
			grants.TemporarilyUnavailable, grants.KeysUnavailable, []string{first, second}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			w.policies = append(w.policies, w.policy("acme", second))
			test.arrange(w)
			d, err := w.exchange(request(soundClaims().signedBy(acmeKey())))
			if test.code == "" {
				accepted(t, d, err)
			} else {
				refused(t, d, err, test.code, test.reason, "")
			}
			if !slices.Equal(w.asked, test.wantAsked) {
				t.Errorf("keys of %q were asked for, want %q", w.asked, test.wantAsked)
			}
		})
	}
}

// The entitlements and rules are those of the policy that accepted.
func TestTheRulesAreThoseOfThePolicyThatAccepted(t *testing.T) {
	w := newWorld()
	w.keys["https://acme.example/jwks"] = &otherKey().PublicKey
	second := w.policy("acme", "https://acme.example/new")
	second.Entitlements, second.Permissions.Claims = lockHolders{foreign: "id"}, []string{"/realm_access/roles"}
	w.policies, w.keys["https://acme.example/new"] = append(w.policies, second), &acmeKey().PublicKey
	d, err := w.exchange(request(soundClaims().with("realm_access", map[string]any{"roles": []string{foreign}}).signedBy(acmeKey())))
	if d = accepted(t, d, err); !slices.Equal(d.Scopes, []string{foreign}) {
		t.Errorf("got %q", d.Scopes)
	}
}
