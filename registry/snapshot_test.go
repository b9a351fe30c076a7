package registry_test

import (
	"testing"

	"github.com/cambio-oauth/cambio/registry"
)

func object(id string) registry.Object { return registry.Object{ID: id} }

func TestSnapshotLookups(t *testing.T) {
	s := registry.NewSnapshot(registry.Contents{
		Integrators: []registry.Integrator{
			{Object: object("i1"), Name: "one", Status: registry.Active},
			{Object: object("i2"), Name: "two", Status: registry.Disabled},
		},
		KeyURLs: []registry.KeyURL{
			{Object: object("k1"), IntegratorID: "i1", Issuer: "a", Status: registry.Active},
			{Object: object("k2"), IntegratorID: "i1", Issuer: "a", Status: registry.Active, Clientless: true},
			{Object: object("k3"), IntegratorID: "i1", Issuer: "a", Status: registry.Disabled, Clientless: true},
			{Object: object("k4"), IntegratorID: "i2", Issuer: "a", Status: registry.Active, Clientless: true},
			{Object: object("k5"), IntegratorID: "i2", Issuer: "b", Status: registry.Active},
		},
		Clients: []registry.Client{
			{Object: object("c1"), ClientID: "one", Status: registry.Active},
			{Object: object("c2"), ClientID: "two", Status: registry.Disabled},
		},
		LockHolders: []registry.LockHolder{
			{Object: object("h1"), CountryISO: "DK", OrganizationID: "abc", OrganizationIDSuffix: "d"},
			{Object: object("h2"), CountryISO: "DK", OrganizationID: "ab", OrganizationIDSuffix: "cd"},
			{Object: object("h3"), CountryISO: "DK", OrganizationID: "abc"},
		},
		Links:           []registry.Link{{IntegratorID: "i1", LockHolderID: "h1"}},
		ResourceServers: []registry.ResourceServer{{Object: object("r1"), Audience: "https://api.example"}},
	})

	t.Run("integrators by id, disabled ones too: who refuses them says why", func(t *testing.T) {
		for id, want := range map[string]string{"i1": "one", "i2": "two"} {
			if got := s.Integrator(id); got == nil || got.Name != want {
				t.Errorf("%s: %v", id, got)
			}
		}
		for _, id := range []string{"", "I1", "one", "k1"} {
			if got := s.Integrator(id); got != nil {
				t.Errorf("%q: %v", id, got)
			}
		}
	})
	t.Run("clients by client_id, not by id", func(t *testing.T) {
		for clientID, want := range map[string]string{"one": "c1", "two": "c2", "c1": "", "": "", "ONE": ""} {
			got := s.Client(clientID)
			if (got == nil) != (want == "") || got != nil && got.ID != want {
				t.Errorf("%q: %v, want %q", clientID, got, want)
			}
		}
	})
	ids := func(list []*registry.KeyURL) (text string) {
		for _, k := range list {
			text += k.ID + " "
		}
		return text
	}
	t.Run("key URLs by integrator and issuer, active ones only", func(t *testing.T) {
		for key, want := range map[[2]string]string{
			{"i1", "a"}: "k1 k2 ", {"i2", "a"}: "k4 ", {"i2", "b"}: "k5 ", {"i1", "b"}: "", {"", "a"}: "", {"i1", ""}: "", {"i1", "A"}: "",
		} {
			if got := ids(s.KeyURLs(key[0], key[1])); got != want {
				t.Errorf("%v: %q, want %q", key, got, want)
			}
		}
	})
	t.Run("clientless ones by issuer, of all integrators", func(t *testing.T) {
		for issuer, want := range map[string]string{"a": "k2 k4 ", "b": "", "": ""} {
			if got := ids(s.Clientless(issuer)); got != want {
				t.Errorf("%q: %q, want %q", issuer, got, want)
			}
		}
	})
	t.Run("lock holders by three parts that do not run together", func(t *testing.T) {
		for parts, want := range map[[3]string]string{
			{"DK", "abc", "d"}: "h1", {"DK", "ab", "cd"}: "h2", {"DK", "abc", ""}: "h3",
			{"DK", "abcd", ""}: "", {"DKa", "bc", "d"}: "", {"dk", "abc", "d"}: "", {}: "",
		} {
			if got, known := s.LockHolder(parts[0], parts[1], parts[2]); got != want || known != (want != "") {
				t.Errorf("%v: %q, %v", parts, got, known)
			}
		}
	})
	t.Run("an integrator manages what it is linked to", func(t *testing.T) {
		for pair, want := range map[[2]string]bool{{"i1", "h1"}: true, {"i1", "h2"}: false, {"i2", "h1"}: false, {"h1", "i1"}: false, {}: false} {
			if got := s.Manages(pair[0], pair[1]); got != want {
				t.Errorf("%v: %v", pair, got)
			}
		}
	})
	t.Run("resource servers by id, audiences exactly", func(t *testing.T) {
		if s.ResourceServer("r1") == nil || s.ResourceServer("") != nil {
			t.Error("by id")
		}
		for audience, want := range map[string]bool{"https://api.example": true, "https://api.example/": false, "": false, "r1": false} {
			if got := s.HasAudience(audience); got != want {
				t.Errorf("%q: %v", audience, got)
			}
		}
	})
	t.Run("an empty one knows nothing", func(t *testing.T) {
		empty := registry.NewSnapshot(registry.Contents{})
		if _, known := empty.LockHolder("", "", ""); known || empty.Integrator("") != nil || empty.Client("") != nil || empty.HasAudience("") ||
			empty.Manages("", "") || len(empty.Clientless("")) > 0 || len(empty.KeyURLs("", "")) > 0 || empty.ResourceServer("") != nil {
			t.Error("it knows something")
		}
	})
}
