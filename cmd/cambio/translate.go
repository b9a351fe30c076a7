package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cambio-oauth/cambio/admin"
	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/grants/clientassertion"
	"github.com/cambio-oauth/cambio/grants/condition"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
	"github.com/cambio-oauth/cambio/handlers"
	"github.com/cambio-oauth/cambio/keys/remote"
	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// directory speaks the registry's words to the grants and the doors.
type directory struct {
	*storage.Directory
	pepper           registry.Pepper
	previous         []registry.Pepper // of the secret key of before
	rehashing        sync.Map          // oldHash by client_id
	store            *storage.Store
	subjectAudiences []string
	defaultAudience  string
	issuer           string
	now              func() time.Time
	keys             assertion.Keys // of clients with a jwks_uri
	conditions       *condition.Compiler
	made             atomic.Pointer[ready]
}

var (
	_ handlers.Clients       = (*directory)(nil)
	_ tokenexchange.Policies = (*directory)(nil)
	_ tokenexchange.Targets  = (*directory)(nil)
	_ tokenexchange.Replays  = (*storage.Store)(nil)
	_ remote.Memory          = (*storage.Store)(nil)
	_ admin.Keys             = adminKeys{}
)

// find looks something up; what is missing is looked for once more in a
// configuration that is certainly current. However many names are unknown, one
// query at a time asks whether anything has changed.
func find[T any](ctx context.Context, d *directory, look func(*registry.Snapshot) (T, bool)) (T, error) {
	snapshot, err := d.Snapshot()
	if err == nil {
		if found, ok := look(snapshot); ok {
			return found, nil
		}
	}
	var none T
	if snapshot, err = d.Confirmed(ctx); err != nil {
		return none, err
	}
	found, _ := look(snapshot)
	return found, nil
}

// Find implements handlers.Clients.
func (d *directory) Find(ctx context.Context, clientID string, proves func(*handlers.Client) bool) (*handlers.Client, bool, error) {
	type result struct {
		client *handlers.Client
		proven bool
	}
	found, err := find(ctx, d, func(s *registry.Snapshot) (result, bool) {
		var client *handlers.Client
		if c := s.Client(clientID); c != nil && c.Status == registry.Active {
			client = d.client(s, c)
		}
		proven := proves(client)
		return result{client, proven}, proven
	})
	if s, stale := d.Snapshot(); err == nil && stale == nil && s.UnreadableClient(clientID) {
		err = unreadable("client " + clientID)
	}
	return found.client, found.proven, err
}

func (d *directory) client(s *registry.Snapshot, c *registry.Client) *handlers.Client {
	client := &handlers.Client{
		Client: grants.Client{
			ID: c.ClientID, IntegratorID: c.IntegratorID, Public: c.Public(), GrantTypes: c.GrantTypes, Scopes: c.Scopes,
			MaxLifetime: c.AccessTokenTTL, Generations: grants.Generations{Client: c.Generation},
		},
		AllowedOrigins: c.AllowedOrigins,
		Operator:       c.Owner == registry.OwnerOperator,
		Registration:   c,
	}
	if c.Owner == registry.OwnerIntegrator {
		integrator := s.Integrator(c.IntegratorID)
		client.IntegratorDisabled = integrator == nil || integrator.Status != registry.Active
		if integrator != nil {
			client.Generations.Integrator = integrator.Generation
		}
	}
	if c.AuthMethod == registry.AuthKey {
		client.Keys = d.clientKeys(s, c)
	}
	if server := s.ResourceServer(c.ResourceServerID); server != nil {
		client.Audience = server.Audience
	}
	return client
}

// clientKeys gives the keys that a client registered, or those behind its URL.
// Parsed once for each snapshot.
func (d *directory) clientKeys(s *registry.Snapshot, c *registry.Client) *clientassertion.Keys {
	if c.JWKSURI != "" {
		return &clientassertion.Keys{Source: d.keys, Ref: assertion.KeyRef(c.KeySource()), Epoch: s.KeysEpoch(c.KeySource())}
	}
	ref := assertion.KeyRef{IntegratorID: c.IntegratorID, URL: "the client's jwks"}
	made := d.readyFor(s)
	if source, ok := made.keys.Load(c.ClientID); ok {
		return &clientassertion.Keys{Source: source.(assertion.Keys), Ref: ref}
	}
	document, err := remote.Parse([]byte(c.JWKS), remote.FormatJWKS)
	if err != nil { // it was checked when it was stored
		document = &remote.Document{}
	}
	source := remote.Static(document)
	made.keys.Store(c.ClientID, source)
	return &clientassertion.Keys{Source: source, Ref: ref}
}

// assertions remembers which client assertions were used, among the subject
// tokens: no integrator has such an id.
type assertions struct{ store *storage.Store }

// Consume implements clientassertion.Replays.
func (a assertions) Consume(ctx context.Context, clientID, tokenID string, expiresAt time.Time) (bool, error) {
	return a.store.Consume(ctx, "client assertion", clientID, tokenID, expiresAt)
}

// Matches implements handlers.Clients. A method that this version does not know
// is none by which a secret counts.
func (d *directory) Matches(client *handlers.Client, secret string) bool {
	if client == nil {
		return d.pepper.Matches(secret, nil, d.now()) // as long as for one that exists
	}
	registered := client.Registration.(*registry.Client)
	if registered.AuthMethod != registry.AuthBasic && registered.AuthMethod != registry.AuthPost {
		return d.pepper.Matches(secret, nil, d.now())
	}
	return d.pepper.Matches(secret, registered.Secrets, d.now()) || d.matchesPrevious(registered, secret, d.now())
}

// adminStore is the store as the admin API knows it.
type adminStore struct{ *storage.Store }

// Alone implements admin.Store.
func (s adminStore) Alone(ctx context.Context, do func(inside admin.Store) error) error {
	return s.Store.Alone(ctx, func(inside *storage.Store) error { return do(adminStore{inside}) })
}

// adminKeys speaks of keys in the registry's words.
type adminKeys struct{ *remote.Source }

// SharedKeys implements admin.Keys.
func (k adminKeys) SharedKeys(url string) (shared, anyAudience bool) { return remote.SharedKeys(url) }

// CheckKeys implements admin.Keys.
func (k adminKeys) CheckKeys(jwks []byte) error {
	document, err := remote.Parse(jwks, remote.FormatJWKS)
	if err != nil {
		return err
	}
	usable := false
	for _, warning := range document.Warnings {
		if warning.Code == remote.WarnSymmetricKey {
			return errors.New(warning.Detail)
		}
	}
	for _, key := range document.Keys {
		usable = usable || key.Problem == ""
	}
	if !usable {
		return errors.New("expected a key that can verify signatures: RSA of 2048 to 4096 bits, EC P-256 or Ed25519, not for encryption")
	}
	return nil
}

// Check implements admin.Keys.
func (k adminKeys) Check(ctx context.Context, source registry.KeySource, trusted bool) (*registry.KeyDocument, error) {
	document, err := k.Source.Check(ctx, assertion.KeyRef(source), trusted)
	return document, keysError(err)
}

// Refresh implements admin.Keys.
func (k adminKeys) Refresh(ctx context.Context, source registry.KeySource) (*registry.KeyDocument, error) {
	document, err := k.Source.Refresh(ctx, assertion.KeyRef(source))
	return document, keysError(err)
}

func keysError(err error) error {
	var failure *remote.FetchError
	if !errors.As(err, &failure) {
		return err
	}
	unavailable := &registry.KeysUnavailable{Word: failure.Word}
	if discovery := (*remote.DiscoveryError)(nil); errors.As(err, &discovery) {
		unavailable.JWKSURI, unavailable.Issuer = discovery.JWKSURI, discovery.Issuer
	}
	return unavailable
}

// Known implements tokenexchange.Targets: the registered resource servers, the
// default one, and this server itself, whose admin API is a resource server.
func (d *directory) Known(ctx context.Context, target string) (bool, error) {
	if target == d.defaultAudience || target == d.issuer {
		return true, nil
	}
	return find(ctx, d, func(s *registry.Snapshot) (bool, bool) {
		known := s.HasAudience(target)
		return known, known
	})
}

// Default implements tokenexchange.Targets.
func (d *directory) Default() string { return d.defaultAudience }

// alive asks the database about a token that verifies.
func alive(store *storage.Store) func(context.Context, *accesstoken.Claims) (bool, error) {
	return func(ctx context.Context, claims *accesstoken.Claims) (bool, error) {
		clientID := claims.ClientID
		if claims.Clientless() {
			clientID = ""
		}
		state, err := store.TokenState(ctx, storage.TokenQuery{
			ID: claims.ID, IntegratorID: claims.IntegratorID, ClientID: clientID, Subjects: [2]string{claims.SubjectID, claims.Subject}, Issuer: claims.SubjectIssuer,
		})
		if err != nil {
			return false, err
		}
		return !state.Revoked && !state.Distrusted && state.Generations == claims.Generations() && issuedAfter(claims, state.NotBefore), nil
	}
}

// clockSkew is how far the clocks of two replicas may differ for a revocation
// of a subject to hold. A token that is issued within it is dead from birth.
const clockSkew = time.Second

func issuedAfter(claims *accesstoken.Claims, notBefore time.Time) bool {
	return notBefore.IsZero() || time.Unix(claims.IssuedAt, 0).After(notBefore.Add(clockSkew))
}

// record translates an attempt for the exchange log, and counts it.
func record(log *storage.ExchangeLog, tally *storage.Tally) func(context.Context, handlers.Attempt) error {
	return func(ctx context.Context, a handlers.Attempt) error {
		e := registry.Exchange{
			At: a.At, GrantType: a.GrantType, Result: registry.ResultGranted, IntegratorID: a.IntegratorID, ClientID: a.ClientID,
			Issuer: a.Issuer, Subject: a.Subject, KeyID: a.KeyID, Granted: a.Granted, TokenID: a.TokenID, ExpiresAt: a.ExpiresAt,
			SubjectTokenHash: a.SubjectTokenHash, Audit: auditOf(a.Audit),
		}
		for _, dropped := range a.Dropped {
			e.Dropped = append(e.Dropped, registry.Dropped(dropped))
		}
		if a.Refusal != nil {
			e.Result, e.Code, e.Reason = registry.ResultRefused, string(a.Refusal.Code), string(a.Refusal.Reason)
			e.Granted, e.TokenID, e.ExpiresAt = nil, "", time.Time{}
		}
		err := log.Record(ctx, e, a.Stranger)
		if err != nil && a.Refusal == nil { // no token leaves
			e.Result, e.Code, e.Reason = registry.ResultRefused, string(grants.TemporarilyUnavailable), string(grants.DatabaseUnavailable)
		}
		tally.Count(&e)
		return err
	}
}
