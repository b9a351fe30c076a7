package registry_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

// CAU-11 and friends: which secret is one of the client's.
func TestPepperMatches(t *testing.T) {
	pepper, now := registry.Pepper("pepper"), time.Now()
	long := strings.Repeat("a", 100)
	cases := []struct {
		rule    string
		secret  string
		stored  []registry.ClientSecret
		matches bool
	}{
		{"its secret", "s", []registry.ClientSecret{{Hash: pepper.Hash("s")}}, true},
		{"one of two", "s", []registry.ClientSecret{{Hash: pepper.Hash("x")}, {Hash: pepper.Hash("s")}}, true},
		{"one that ends later", "s", []registry.ClientSecret{{Hash: pepper.Hash("s"), ExpiresAt: now.Add(time.Second)}}, true},
		{"one that ends now", "s", []registry.ClientSecret{{Hash: pepper.Hash("s"), ExpiresAt: now}}, false},
		{"another", "x", []registry.ClientSecret{{Hash: pepper.Hash("s")}}, false},
		{"with something behind it", long + "b", []registry.ClientSecret{{Hash: pepper.Hash(long)}}, false},
		{"under another pepper", "s", []registry.ClientSecret{{Hash: registry.Pepper("x").Hash("s")}}, false},
		{"a client without secrets", "s", nil, false},
		{"nothing, of a client without a hash", "", []registry.ClientSecret{{}}, false},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			if got := pepper.Matches(c.secret, c.stored, now); got != c.matches {
				t.Errorf("matches: %v", got)
			}
		})
	}
}

// 256 random bits in characters that every client library sends unchanged.
func TestNewClientSecret(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		secret, err := registry.NewClientSecret()
		if err != nil || !regexp.MustCompile(`^cbs_[A-Za-z0-9_-]{43}$`).MatchString(secret) || seen[secret] {
			t.Fatalf("%q %v", secret, err)
		}
		seen[secret] = true
	}
}

// A snapshot finds exactly what was put in, by whole keys.
func TestSnapshot(t *testing.T) {
	s := registry.NewSnapshot(registry.Contents{
		Integrators: []registry.Integrator{{Object: registry.Object{ID: "i"}}},
		KeyURLs: []registry.KeyURL{
			{IntegratorID: "i", Issuer: "iss", URL: "1", Status: registry.Active, Clientless: true},
			{IntegratorID: "i", Issuer: "iss", URL: "2", Status: registry.Active},
			{IntegratorID: "i", Issuer: "iss", URL: "3", Status: registry.Disabled, Clientless: true},
			{IntegratorID: "j", Issuer: "iss", URL: "4", Status: registry.Active},
		},
		Clients:         []registry.Client{{ClientID: "c"}},
		LockHolders:     []registry.LockHolder{{Object: registry.Object{ID: "h"}, CountryISO: "NO", OrganizationID: "1000"}},
		Links:           []registry.Link{{IntegratorID: "i", LockHolderID: "h"}},
		ResourceServers: []registry.ResourceServer{{Object: registry.Object{ID: "r"}, Audience: "aud"}},
	})
	if s.Integrator("i") == nil || s.Integrator("I") != nil || s.Integrator("") != nil || s.Client("c") == nil || s.Client("") != nil {
		t.Error("integrators or clients")
	}
	if got := s.KeyURLs("i", "iss"); len(got) != 2 || len(s.KeyURLs("i", "iss/")) != 0 || len(s.KeyURLs("", "iss")) != 0 {
		t.Errorf("key URLs: %v", got)
	}
	if got := s.Clientless("iss"); len(got) != 1 || got[0].URL != "1" {
		t.Errorf("clientless: %v", got)
	}
	if id, known := s.LockHolder("NO", "1000", ""); id != "h" || !known || !s.Manages("i", "h") || s.Manages("j", "h") || s.Manages("i", "") {
		t.Error("lock holders or links")
	}
	if _, known := s.LockHolder("NO", "100", "0"); known {
		t.Error("parts must not run together")
	}
	if s.ResourceServer("r") == nil || !s.HasAudience("aud") || s.HasAudience("") {
		t.Error("resource servers")
	}
}

// Every fault is named, not only the first.
func TestFaultsAreListed(t *testing.T) {
	k := registry.KeyURL{Issuer: "https://idp/#x", Format: "xml", Status: "gone"}
	k.Algorithms, k.Audiences = []string{"RS256", "RS256"}, []string{"a", "a"}
	var faults registry.Invalid
	if err := k.Validate(); !errors.As(err, &faults) {
		t.Fatal(err)
	}
	var pointers []string
	for _, fault := range faults {
		pointers = append(pointers, fault.Pointer)
	}
	if got := strings.Join(pointers, " "); got != "/issuer /format /algorithms /audiences /audience_claims /permissions_claim /permissions_format /max_lifetime /status" {
		t.Errorf("faults at %s", got)
	}
}
