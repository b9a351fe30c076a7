package storagetest

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// ok ends the test unless err is nil.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// is requires an error to be one of registry's.
func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

// domain tells whether an error says something about an object. A database
// that fails must never look as if it had answered.
func domain(err error) bool {
	return errors.Is(err, registry.ErrNotFound) || errors.Is(err, registry.ErrConflict) || errors.Is(err, registry.ErrStale)
}

var sequence atomic.Int64

// unlike gives a text that no other call gives.
func unlike(prefix string) string { return fmt.Sprint(prefix, "-", sequence.Add(1)) }

// noise gives text that cannot be compressed.
func noise(bytes int) string {
	random := make([]byte, bytes)
	_, _ = rand.Read(random)
	return base64.RawURLEncoding.EncodeToString(random)[:bytes]
}

func newIntegrator() *registry.Integrator {
	return &registry.Integrator{Name: unlike("Müller & Söhne 鍵"), Status: registry.Active}
}

func storeIntegrator(t *testing.T, s *storage.Store) *registry.Integrator {
	t.Helper()
	i := newIntegrator()
	ok(t, s.CreateIntegrator(t.Context(), i))
	return i
}

func newKeyURL(integratorID string) *registry.KeyURL {
	return &registry.KeyURL{
		IntegratorID: integratorID, Issuer: unlike("https://idp.example/"), URL: "https://idp.example/" + unlike("jwks"),
		Format: registry.FormatAuto, Status: registry.Active,
		TokenRules: registry.TokenRules{
			Algorithms: []string{"RS256", "ES256"}, Audiences: []string{"https://auth.example"}, AudienceClaims: []string{"aud"}, RequiredClaims: []registry.RequiredClaim{},
			PermissionsClaims: []string{registry.DefaultPermissions}, PermissionsFormat: registry.FormatArray, MaxLifetime: registry.Seconds(time.Hour),
		},
	}
}

func newClient(integratorID string) *registry.Client {
	return &registry.Client{
		Owner: registry.OwnerIntegrator, IntegratorID: integratorID, Name: unlike("client"), AuthMethod: registry.AuthBasic,
		GrantTypes: []string{"client_credentials"}, Scopes: []string{"a", "b"}, AccessTokenTTL: 90 * time.Second,
		AllowedOrigins: []string{"https://app.example"}, Status: registry.Active,
		Secrets: []registry.ClientSecret{{Hash: []byte(unlike("hash"))}},
	}
}

func newScopeRule(integratorID string) *registry.ScopeRule {
	return &registry.ScopeRule{IntegratorID: integratorID, Permission: unlike("read") + ":*", Scope: unlike("scope") + ".$1"}
}

func newLockHolder() *registry.LockHolder {
	return &registry.LockHolder{
		Name: unlike("holder"), CountryISO: "DK", OrganizationID: unlike("org"), OrganizationIDSuffix: "north",
	}
}

func storeLockHolder(t *testing.T, s *storage.Store) *registry.LockHolder {
	t.Helper()
	h := newLockHolder()
	ok(t, s.CreateLockHolder(t.Context(), h))
	return h
}

func newResourceServer() (*registry.ResourceServer, *registry.Client) {
	return &registry.ResourceServer{Name: unlike("API"), Audience: "https://" + unlike("api")}, &registry.Client{
		Owner: registry.OwnerResourceServer, Name: unlike("API"), AuthMethod: registry.AuthBasic, GrantTypes: []string{},
		AllowedOrigins: []string{}, Status: registry.Active, Secrets: []registry.ClientSecret{{Hash: []byte(unlike("hash"))}},
	}
}

func newOperator() *registry.Client {
	return &registry.Client{
		ClientID: unlike("operator"), Owner: registry.OwnerOperator, Name: "operator", AuthMethod: registry.AuthBasic,
		GrantTypes: []string{"client_credentials"}, Scopes: []string{"admin"}, AllowedOrigins: []string{}, Status: registry.Active,
		Secrets: []registry.ClientSecret{{Hash: []byte("first")}},
	}
}

// snapshotOf reads the configuration anew.
func snapshotOf(t *testing.T, s *storage.Store) *registry.Snapshot {
	t.Helper()
	directory, err := storage.NewDirectory(t.Context(), s)
	ok(t, err)
	snapshot, err := directory.Snapshot()
	ok(t, err)
	return snapshot
}

// managed tells whether replicas see that an integrator manages the lock holder
// of three parts.
func managed(t *testing.T, s *storage.Store, integratorID, country, organization, suffix string) (bool, error) {
	t.Helper()
	directory, err := storage.NewDirectory(t.Context(), s)
	if err != nil {
		return false, err
	}
	snapshot, err := directory.Snapshot()
	if err != nil {
		return false, err
	}
	id, known := snapshot.LockHolder(country, organization, suffix)
	return known && snapshot.Manages(integratorID, id), nil
}
