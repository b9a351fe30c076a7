package storagetest

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// kind is how the store keeps one kind of object.
type kind[T any] struct {
	fresh  func() *T // valid, and unlike any other
	object func(*T) *registry.Object
	create func(context.Context, *T) error
	get    func(context.Context, *T) (*T, error)
	list   func(context.Context, registry.Page) ([]T, error)
	change func(*T) // whatever can be changed
	update func(context.Context, *T) error
	remove func(context.Context, *T) error
	clash  func(with, this *T) // nil when objects of the kind cannot clash
	shown  func(T) T           // what get and list give of it; nil: all
}

// shared lets key URLs of a test have what issuer they want.
var shared = registry.KeyURLTerms{SharedIssuer: true}

func integrators(s *storage.Store) kind[registry.Integrator] {
	return kind[registry.Integrator]{
		fresh:  newIntegrator,
		object: func(i *registry.Integrator) *registry.Object { return &i.Object },
		create: s.CreateIntegrator,
		get: func(ctx context.Context, i *registry.Integrator) (*registry.Integrator, error) {
			return s.Integrator(ctx, i.ID)
		},
		list:   s.Integrators,
		change: func(i *registry.Integrator) { i.Name = unlike("renamed") },
		update: s.UpdateIntegrator,
		remove: func(ctx context.Context, i *registry.Integrator) error { return s.DeleteIntegrator(ctx, i.ID) },
	}
}

func keyURLs(s *storage.Store, integratorID string) kind[registry.KeyURL] {
	return kind[registry.KeyURL]{
		fresh:  func() *registry.KeyURL { return newKeyURL(integratorID) },
		object: func(k *registry.KeyURL) *registry.Object { return &k.Object },
		create: func(ctx context.Context, k *registry.KeyURL) error { return s.CreateKeyURL(ctx, k, shared) },
		get: func(ctx context.Context, k *registry.KeyURL) (*registry.KeyURL, error) {
			return s.KeyURL(ctx, integratorID, k.ID)
		},
		list: func(ctx context.Context, p registry.Page) ([]registry.KeyURL, error) {
			return s.KeyURLs(ctx, integratorID, p)
		},
		change: func(k *registry.KeyURL) {
			k.Issuer, k.URL, k.Format = unlike("issuer"), "https://keys.example/"+unlike("u"), registry.FormatPEM
			k.Algorithms, k.Audiences, k.PermissionsClaims, k.PermissionsFormat = []string{"EdDSA"}, []string{}, []string{"/a/b", "c"}, "auto"
			k.AllowIDToken, k.Clientless, k.MaxLifetime, k.Status = true, true, registry.Seconds(366*24*time.Hour), registry.Disabled
			k.AudienceClaims, k.RequiredClaims = []string{"aud", "client_id"}, []registry.RequiredClaim{{Claim: "/a/b", Values: []string{"ü", "x"}}, {Claim: "c", Values: []string{}}}
			k.Condition, k.Audited = "claims.tid == \"ü\"", registry.Change(`{"max_lifetime":60,"condition":""}`)
		},
		update: func(ctx context.Context, k *registry.KeyURL) error { return s.UpdateKeyURL(ctx, k, shared) },
		remove: func(ctx context.Context, k *registry.KeyURL) error {
			return s.DeleteKeyURL(ctx, integratorID, k.ID, shared)
		},
		clash: func(with, this *registry.KeyURL) { this.Issuer, this.URL = with.Issuer, with.URL },
	}
}

func clients(s *storage.Store, integratorID string) kind[registry.Client] {
	return kind[registry.Client]{
		fresh:  func() *registry.Client { return newClient(integratorID) },
		object: func(c *registry.Client) *registry.Object { return &c.Object },
		create: func(ctx context.Context, c *registry.Client) error {
			return s.CreateClient(ctx, c, registry.ClientTerms{AnyScope: true})
		},
		get: func(ctx context.Context, c *registry.Client) (*registry.Client, error) {
			return s.Client(ctx, integratorID, c.ClientID)
		},
		list: func(ctx context.Context, p registry.Page) ([]registry.Client, error) {
			return s.Clients(ctx, integratorID, p)
		},
		change: func(c *registry.Client) {
			c.Name, c.AuthMethod, c.GrantTypes = unlike("renamed"), registry.AuthPost, []string{}
			c.AccessTokenTTL, c.AllowedOrigins = 0, []string{} // another scope raises the generation, too
		},
		update: func(ctx context.Context, c *registry.Client) error {
			return s.UpdateClient(ctx, c, registry.ClientTerms{AnyScope: true})
		},
		remove: func(ctx context.Context, c *registry.Client) error {
			return s.DeleteClient(ctx, integratorID, c.ClientID)
		},
		shown: func(c registry.Client) registry.Client {
			c.Secrets = nil
			return c
		},
	}
}

func scopeRules(s *storage.Store, integratorID string) kind[registry.ScopeRule] {
	return kind[registry.ScopeRule]{
		fresh:  func() *registry.ScopeRule { return newScopeRule(integratorID) },
		object: func(r *registry.ScopeRule) *registry.Object { return &r.Object },
		create: s.CreateScopeRule,
		get: func(ctx context.Context, r *registry.ScopeRule) (*registry.ScopeRule, error) {
			return s.ScopeRule(ctx, integratorID, r.ID)
		},
		list: func(ctx context.Context, p registry.Page) ([]registry.ScopeRule, error) {
			return s.ScopeRules(ctx, integratorID, p)
		},
		change: func(r *registry.ScopeRule) { r.Permission, r.Scope = unlike("write"), unlike("scope") },
		update: s.UpdateScopeRule,
		remove: func(ctx context.Context, r *registry.ScopeRule) error {
			return s.DeleteScopeRule(ctx, integratorID, r.ID)
		},
		clash: func(with, this *registry.ScopeRule) { this.Permission = with.Permission },
	}
}

func lockHolders(s *storage.Store) kind[registry.LockHolder] {
	return kind[registry.LockHolder]{
		fresh:  newLockHolder,
		object: func(h *registry.LockHolder) *registry.Object { return &h.Object },
		create: s.CreateLockHolder,
		get: func(ctx context.Context, h *registry.LockHolder) (*registry.LockHolder, error) {
			return s.LockHolder(ctx, h.ID)
		},
		list: s.LockHolders,
		change: func(h *registry.LockHolder) {
			h.Name, h.CountryISO, h.OrganizationID, h.OrganizationIDSuffix = unlike("renamed"), "SE", unlike("org"), ""
		},
		update: s.UpdateLockHolder,
		remove: func(ctx context.Context, h *registry.LockHolder) error { return s.DeleteLockHolder(ctx, h.ID) },
		clash: func(with, this *registry.LockHolder) {
			this.CountryISO, this.OrganizationID, this.OrganizationIDSuffix = with.CountryISO, with.OrganizationID, with.OrganizationIDSuffix
		},
	}
}

func resourceServers(s *storage.Store) kind[registry.ResourceServer] {
	return kind[registry.ResourceServer]{
		fresh: func() *registry.ResourceServer {
			server, _ := newResourceServer()
			return server
		},
		object: func(r *registry.ResourceServer) *registry.Object { return &r.Object },
		create: func(ctx context.Context, r *registry.ResourceServer) error {
			_, client := newResourceServer()
			return s.CreateResourceServer(ctx, r, client)
		},
		get: func(ctx context.Context, r *registry.ResourceServer) (*registry.ResourceServer, error) {
			return s.ResourceServer(ctx, r.ID)
		},
		list:   s.ResourceServers,
		change: func(r *registry.ResourceServer) { r.Name, r.Audience = unlike("renamed"), unlike("urn:api") },
		update: s.UpdateResourceServer,
		remove: func(ctx context.Context, r *registry.ResourceServer) error { return s.DeleteResourceServer(ctx, r.ID) },
		clash:  func(with, this *registry.ResourceServer) { this.Audience = with.Audience },
	}
}

func testIntegrators(t *testing.T, s *storage.Store) { testKind(t, integrators(s)) }

func testScopeRules(t *testing.T, s *storage.Store) {
	testKind(t, scopeRules(s, storeIntegrator(t, s).ID))
}

func testKeyURLs(t *testing.T, s *storage.Store) {
	testKind(t, keyURLs(s, storeIntegrator(t, s).ID))
	t.Run("the same issuer and URL may stand at another integrator", func(t *testing.T) {
		k := newKeyURL(storeIntegrator(t, s).ID)
		ok(t, s.CreateKeyURL(t.Context(), k, shared))
		k.IntegratorID = storeIntegrator(t, s).ID
		ok(t, s.CreateKeyURL(t.Context(), k, shared))
	})
	t.Run("a key URL of nobody is not found", func(t *testing.T) {
		for _, id := range []string{"", "nobody"} {
			is(t, s.CreateKeyURL(t.Context(), newKeyURL(id), shared), registry.ErrNotFound)
		}
	})
}

func testLockHolders(t *testing.T, s *storage.Store) { testKind(t, lockHolders(s)) }

func testResourceServers(t *testing.T, s *storage.Store) {
	testKind(t, resourceServers(s))
	t.Run("a resource server comes with its client", func(t *testing.T) {
		server, client := newResourceServer()
		ok(t, s.CreateResourceServer(t.Context(), server, client))
		if server.ClientID == "" || client.ClientID != server.ClientID || client.ResourceServerID != server.ID {
			t.Errorf("client_id %q and %q, resource server %q and %q", client.ClientID, server.ClientID, client.ResourceServerID, server.ID)
		}
		if got := snapshotOf(t, s).Client(server.ClientID); !reflect.DeepEqual(got, client) {
			t.Errorf("got %+v, want %+v", got, client)
		}
	})
	t.Run("without its client there is no resource server", func(t *testing.T) {
		server, client := newResourceServer()
		client.Owner = "nobody"
		if err := s.CreateResourceServer(t.Context(), server, client); err == nil || domain(err) {
			t.Fatalf("got %v, want the database's refusal", err)
		}
		_, err := s.ResourceServer(t.Context(), server.ID)
		is(t, err, registry.ErrNotFound)
	})
}

func testClients(t *testing.T, s *storage.Store) {
	integratorID := storeIntegrator(t, s).ID
	k := clients(s, integratorID)
	testKind(t, k)
	t.Run("no scope and an empty scope are two things", func(t *testing.T) { testScopes(t, s, integratorID) })
	t.Run("a client without a name of its own is named by its id", func(t *testing.T) {
		c := newClient(integratorID)
		ok(t, s.CreateClient(t.Context(), c, registry.ClientTerms{AnyScope: true}))
		if c.ClientID != c.ID {
			t.Errorf("client_id %q, id %q", c.ClientID, c.ID)
		}
	})
	t.Run("a client_id exists once", func(t *testing.T) {
		c := newClient(integratorID)
		c.ClientID = unlike("taken")
		ok(t, s.CreateClient(t.Context(), c, registry.ClientTerms{AnyScope: true}))
		other := newClient(storeIntegrator(t, s).ID)
		other.ClientID = c.ClientID
		is(t, s.CreateClient(t.Context(), other, registry.ClientTerms{AnyScope: true}), registry.ErrConflict)
		if got := snapshotOf(t, s).Client(c.ClientID); !reflect.DeepEqual(got, c) {
			t.Errorf("got %+v, want %+v", got, c)
		}
	})
	t.Run("a client belongs to whom its owner says and to nobody else", func(t *testing.T) {
		for name, c := range map[string]*registry.Client{
			"an integrator's without one": {Owner: registry.OwnerIntegrator},
			"an operator's with one":      {Owner: registry.OwnerOperator, IntegratorID: integratorID},
			"a stranger's":                {Owner: "stranger"},
			"a resource server's without": {Owner: registry.OwnerResourceServer},
		} {
			c.Status = registry.Active
			if err := s.CreateClient(t.Context(), c, registry.ClientTerms{AnyScope: true}); err == nil || domain(err) {
				t.Errorf("%s: got %v, want the database's refusal", name, err)
			}
		}
	})
	t.Run("secrets keep their end", func(t *testing.T) {
		c := newClient(integratorID)
		end := time.Now().Add(time.Hour).Truncate(time.Microsecond).UTC()
		c.Secrets = []registry.ClientSecret{{Hash: []byte{0, 1, 255}, ExpiresAt: end}}
		ok(t, s.CreateClient(t.Context(), c, registry.ClientTerms{AnyScope: true}))
		if got := snapshotOf(t, s).Client(c.ClientID).Secrets; !reflect.DeepEqual(got, c.Secrets) {
			t.Errorf("got %v, want %v", got, c.Secrets)
		}
	})
}

func testScopes(t *testing.T, s *storage.Store, integratorID string) {
	k := clients(s, integratorID)
	for _, scopes := range [][]string{nil, {}, {"a"}, nil} {
		created := newClient(integratorID)
		created.Scopes = scopes
		ok(t, s.CreateClient(t.Context(), created, registry.ClientTerms{AnyScope: true}))
		updated := newClient(integratorID)
		ok(t, s.CreateClient(t.Context(), updated, registry.ClientTerms{AnyScope: true}))
		updated.Scopes = scopes
		ok(t, s.UpdateClient(t.Context(), updated, registry.ClientTerms{AnyScope: true}))
		for _, c := range []*registry.Client{created, updated, snapshotOf(t, s).Client(created.ClientID)} {
			got, err := k.get(t.Context(), c)
			ok(t, err)
			if !reflect.DeepEqual(got.Scopes, scopes) {
				t.Errorf("got %#v, want %#v", got.Scopes, scopes)
			}
		}
	}
}
