package storagetest

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// calls are methods of a store by name, each with arguments that mean nothing.
type calls map[string]func(context.Context) error

// callsOfIntegrators are about integrators and their key URLs.
func callsOfIntegrators(s *storage.Store) calls {
	i, k, page := newIntegrator(), newKeyURL("integrator"), registry.Page{Limit: 1}
	return calls{
		"CreateIntegrator":       func(ctx context.Context) error { return s.CreateIntegrator(ctx, i) },
		"Integrator":             func(ctx context.Context) error { return second(s.Integrator(ctx, "x")) },
		"Integrators":            func(ctx context.Context) error { return second(s.Integrators(ctx, page)) },
		"UpdateIntegrator":       func(ctx context.Context) error { return s.UpdateIntegrator(ctx, i) },
		"DeleteIntegrator":       func(ctx context.Context) error { return s.DeleteIntegrator(ctx, "x") },
		"RevokeIntegratorTokens": func(ctx context.Context) error { return s.RevokeIntegratorTokens(ctx, "x") },
		"Fence":                  func(ctx context.Context) error { return s.Fence(ctx) },
		"CreateKeyURL":           func(ctx context.Context) error { return s.CreateKeyURL(ctx, k, shared) },
		"KeyURL":                 func(ctx context.Context) error { return second(s.KeyURL(ctx, "x", "y")) },
		"KeyURLs":                func(ctx context.Context) error { return second(s.KeyURLs(ctx, "x", page)) },
		"UpdateKeyURL":           func(ctx context.Context) error { return s.UpdateKeyURL(ctx, k, shared) },
		"DeleteKeyURL":           func(ctx context.Context) error { return s.DeleteKeyURL(ctx, "x", "y", shared) },
	}
}

// callsOfClients are about clients, lock holders and scope rules.
func callsOfClients(s *storage.Store) calls {
	h, page := newLockHolder(), registry.Page{Limit: 1}
	link := registry.Link{IntegratorID: "integrator", LockHolderID: "holder"}
	return calls{
		"CreateClient": func(ctx context.Context) error {
			return s.CreateClient(ctx, newClient("x"), registry.ClientTerms{AnyScope: true})
		},
		"Client":  func(ctx context.Context) error { return second(s.Client(ctx, "x", "y")) },
		"Clients": func(ctx context.Context) error { return second(s.Clients(ctx, "x", page)) },
		"UpdateClient": func(ctx context.Context) error {
			return s.UpdateClient(ctx, newClient("x"), registry.ClientTerms{AnyScope: true})
		},
		"AddClientSecret": func(ctx context.Context) error {
			return second(s.AddClientSecret(ctx, "x", "y", registry.ClientSecret{Hash: []byte("z")}, 0))
		},
		"ClientStates": func(ctx context.Context) error {
			return second(s.ClientStates(ctx, []registry.Client{*newClient("x")}))
		},
		"DeleteClient":      func(ctx context.Context) error { return s.DeleteClient(ctx, "x", "y") },
		"EnsureOperator":    func(ctx context.Context) error { return s.EnsureOperator(ctx, newOperator()) },
		"CreateLockHolder":  func(ctx context.Context) error { return s.CreateLockHolder(ctx, h) },
		"LockHolder":        func(ctx context.Context) error { return second(s.LockHolder(ctx, "x")) },
		"LockHolders":       func(ctx context.Context) error { return second(s.LockHolders(ctx, page)) },
		"UpdateLockHolder":  func(ctx context.Context) error { return s.UpdateLockHolder(ctx, h) },
		"DeleteLockHolder":  func(ctx context.Context) error { return s.DeleteLockHolder(ctx, "x") },
		"LinkedLockHolder":  func(ctx context.Context) error { return second(s.LinkedLockHolder(ctx, "x", "y")) },
		"LinkedLockHolders": func(ctx context.Context) error { return second(s.LinkedLockHolders(ctx, "x", page)) },
		"Link":              func(ctx context.Context) error { return s.Link(ctx, link) },
		"Unlink":            func(ctx context.Context) error { return s.Unlink(ctx, link) },
		"CreateScopeRule":   func(ctx context.Context) error { return s.CreateScopeRule(ctx, newScopeRule("x")) },
		"ScopeRule":         func(ctx context.Context) error { return second(s.ScopeRule(ctx, "x", "y")) },
		"ScopeRules":        func(ctx context.Context) error { return second(s.ScopeRules(ctx, "x", page)) },
		"UpdateScopeRule":   func(ctx context.Context) error { return s.UpdateScopeRule(ctx, newScopeRule("x")) },
		"DeleteScopeRule":   func(ctx context.Context) error { return s.DeleteScopeRule(ctx, "x", "y") },
	}
}

// callsOfServers are about resource servers and signing keys.
func callsOfServers(s *storage.Store) calls {
	server, introspects := newResourceServer()
	page, key := registry.Page{Limit: 1}, newSigningKey("ES256", stateActive)
	return calls{
		"CreateResourceServer": func(ctx context.Context) error { return s.CreateResourceServer(ctx, server, introspects) },
		"ResourceServer":       func(ctx context.Context) error { return second(s.ResourceServer(ctx, "x")) },
		"ResourceServers":      func(ctx context.Context) error { return second(s.ResourceServers(ctx, page)) },
		"UpdateResourceServer": func(ctx context.Context) error { return s.UpdateResourceServer(ctx, server) },
		"DeleteResourceServer": func(ctx context.Context) error { return s.DeleteResourceServer(ctx, "x") },
		"SigningKeys":          func(ctx context.Context) error { return second(s.SigningKeys(ctx)) },
		"AddSigningKey":        func(ctx context.Context) error { return s.AddSigningKey(ctx, key) },
		"RotateSigningKeys":    func(ctx context.Context) error { return s.RotateSigningKeys(ctx, "a", "b", key, time.Now()) },
		"DeleteSigningKeys":    func(ctx context.Context) error { return s.DeleteSigningKeys(ctx, time.Now()) },
		"Revoke":               func(ctx context.Context) error { return s.Revoke(ctx, "jti", time.Now()) },
	}
}

// callsOfPanel are about the panel's people: their first account and sessions.
func callsOfPanel(s *storage.Store) calls {
	return calls{
		"CreateFirstOperator": func(ctx context.Context) error { return s.CreateFirstOperator(ctx, newOperator()) },
		"HasSecretSince":      func(ctx context.Context) error { return second(s.HasSecretSince(ctx, "x", time.Now())) },
		"HasOperator":         func(ctx context.Context) error { _, err := s.HasOperator(ctx); return err },
		"CreateSession":       func(ctx context.Context) error { return s.CreateSession(ctx, registry.Session{TokenHash: []byte("x")}) },
		"Session":             func(ctx context.Context) error { _, err := s.Session(ctx, []byte("x")); return err },
		"TouchSession":        func(ctx context.Context) error { return s.TouchSession(ctx, []byte("x"), time.Now()) },
		"EndSession":          func(ctx context.Context) error { return s.EndSession(ctx, []byte("x")) },
		"PurgeSessions":       func(ctx context.Context) error { _, err := s.PurgeSessions(ctx, time.Now()); return err },
		"FailingKeyURLs":      func(ctx context.Context) error { _, err := s.FailingKeyURLs(ctx, 1); return err },
	}
}

// callsOfRecords are about exchanges, the audit trail and answers kept.
func callsOfRecords(t *testing.T, s *storage.Store) calls {
	page := registry.Page{Limit: 1}
	return calls{
		"PurgeExchanges":      func(ctx context.Context) error { return second(s.PurgeExchanges(ctx, time.Now())) },
		"PrepareExchanges":    nil, // nothing to do on SQLite
		"Answer":              func(ctx context.Context) error { return second(s.Answer(ctx, "x", "y")) },
		"PurgeAnswers":        func(ctx context.Context) error { return second(s.PurgeAnswers(ctx, time.Now())) },
		"AuditSummary":        func(ctx context.Context) error { return second(s.AuditSummary(ctx, "x", "y")) },
		"Exchanges":           func(ctx context.Context) error { return second(s.Exchanges(ctx, "x", registry.ExchangeFilter{}, page)) },
		"ExchangeCounts":      func(ctx context.Context) error { return second(s.ExchangeCounts(ctx, "x", time.Now(), time.Now())) },
		"PurgeExchangeCounts": func(ctx context.Context) error { return second(s.PurgeExchangeCounts(ctx, time.Now())) },
		"AuditEvents": func(ctx context.Context) error {
			return second(s.AuditEvents(ctx, registry.AuditFilter{}, registry.Page{Limit: 1}))
		},
		"(*Tally).Flush": func(ctx context.Context) error {
			tally, e := storage.NewTally(s, quiet()), granted("x")
			tally.Count(&e)
			return tally.Flush(ctx)
		},
		"(*ExchangeLog).Record": func(ctx context.Context) error {
			log := newLog(t, s, storage.LogDurable)
			defer log.Close()
			return log.Record(ctx, granted("x"), false)
		},
	}
}

// callsOfTokens are about fetched keys, tokens, names and the store itself.
func callsOfTokens(s *storage.Store) calls {
	k := newKeyURL("integrator")
	return calls{
		"KeyDocument":     func(ctx context.Context) error { return second(s.KeyDocument(ctx, k.Source())) },
		"KeyDocuments":    func(ctx context.Context) error { return second(s.KeyDocuments(ctx, "x")) },
		"SaveKeyDocument": func(ctx context.Context) error { return s.SaveKeyDocument(ctx, document(k.Source(), 1, time.Now())) },
		"KeyFetchFailed":  func(ctx context.Context) error { return s.KeyFetchFailed(ctx, k.Source(), "timeout", time.Now()) },
		"PublishKeyDocument": func(ctx context.Context) error {
			return second(s.PublishKeyDocument(ctx, document(k.Source(), 1, time.Now())))
		},
		"KeysUsed": func(ctx context.Context) error {
			return s.KeysUsed(ctx, []registry.KeyUse{{Source: k.Source(), Thumbprint: "x"}})
		},
		"KeysEpoch":          func(ctx context.Context) error { return second(s.KeysEpoch(ctx, k.Source())) },
		"Consume":            func(ctx context.Context) error { return second(s.Consume(ctx, "x", "y", "z", time.Now())) },
		"ResealSigningKey":   func(ctx context.Context) error { return s.ResealSigningKey(ctx, "x", []byte("a"), []byte("b")) },
		"RehashClientSecret": func(ctx context.Context) error { return s.RehashClientSecret(ctx, "x", []byte("a"), []byte("b")) },
		"Consumed":           func(ctx context.Context) error { return second(s.Consumed(ctx, "x", "y", "z")) },
		"PurgeConsumed":      func(ctx context.Context) error { return second(s.PurgeConsumed(ctx, time.Now())) },
		"TokenState": func(ctx context.Context) error {
			return second(s.TokenState(ctx, storage.TokenQuery{ID: "jti", IntegratorID: "x", ClientID: "y"}))
		},
		"RevokeSubjectTokens": func(ctx context.Context) error { return s.RevokeSubjectTokens(ctx, "x", "sub") },
		"PurgeSubjectEpochs":  func(ctx context.Context) error { return second(s.PurgeSubjectEpochs(ctx, time.Now())) },
		"PurgeRevoked":        func(ctx context.Context) error { return second(s.PurgeRevoked(ctx, time.Now())) },
		"ReserveAudiences":    func(ctx context.Context) error { return s.ReserveAudiences(ctx, []string{"x"}) },
		"Alone":               func(ctx context.Context) error { return s.Alone(ctx, func(*storage.Store) error { return nil }) },
		"IntegratorsNamed":    func(ctx context.Context) error { return second(s.IntegratorsNamed(ctx, "x")) },
		"KeyURLsAt":           func(ctx context.Context) error { return second(s.KeyURLsAt(ctx, "x", "y", "z")) },
		"ClientsNamed":        func(ctx context.Context) error { return second(s.ClientsNamed(ctx, "x", "y")) },
		"LockHoldersOf":       func(ctx context.Context) error { return second(s.LockHoldersOf(ctx, "x", "y", "z")) },
		"ScopeRulesFor":       func(ctx context.Context) error { return second(s.ScopeRulesFor(ctx, "x", "y")) },
		"ResourceServersFor":  func(ctx context.Context) error { return second(s.ResourceServersFor(ctx, "x")) },
		"Migrations":          nil, // PostgreSQL's have a connection of their own
		"SchemaVersions":      func(ctx context.Context) error { _, _, err := s.SchemaVersions(ctx); return err },
		"Migrate":             nil,
		"Ping":                s.Ping,
		"Close":               nil,
		"Serve":               nil, // PostgreSQL serves any number
		"Listen":              nil, // nor has it an answer
		"Survey":              nil, // of hosts that do not answer it says nothing
		"NewDirectory":        func(ctx context.Context) error { return second(storage.NewDirectory(ctx, s)) },
	}
}

// testClosed: a database that cannot be asked is an error of its own, whatever
// was asked: never "not found", never a conflict, never success.
func testClosed(t *testing.T, s *storage.Store) {
	all := calls{}
	for _, some := range []calls{
		callsOfIntegrators(s), callsOfClients(s), callsOfServers(s), callsOfPanel(s), callsOfRecords(t, s), callsOfTokens(s),
	} {
		maps.Copy(all, some)
	}
	for method := range reflect.TypeFor[*storage.Store]().Methods() {
		if _, listed := all[method.Name]; !listed {
			t.Errorf("the list of methods lacks %s", method.Name)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	fails := func(how string, ctx context.Context, names []string) {
		for _, name := range names {
			if call := all[name]; call != nil {
				if err := call(ctx); err == nil || domain(err) {
					t.Errorf("%s, %s: got %v", name, how, err)
				}
			}
		}
	}
	names := slices.Sorted(maps.Keys(all))
	// A directory looks for all who wait, so it goes on when one gives up.
	fails("cancelled", gone, slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "NewDirectory" }))
	ok(t, s.Close())
	fails("closed", t.Context(), names)
	ok(t, s.Close()) // twice does no harm
}

// second gives the second of two results.
func second[T any](_ T, err error) error { return err }
