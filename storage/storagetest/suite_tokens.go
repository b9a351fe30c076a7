package storagetest

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

func (s *suite) tokens() {
	ctx, store := s.Context(), s.store
	acme := s.integrator("Acme")
	c := client(acme.ID)
	s.must(store.CreateClient(ctx, c, registry.ClientTerms{AnyScope: true}))
	expect := func(rule, jti, integratorID, clientID string, revoked bool, integrator, client int64) {
		s.Helper()
		state, err := store.TokenState(ctx, storage.TokenQuery{ID: jti, IntegratorID: integratorID, ClientID: clientID})
		s.must(err)
		want := storage.TokenState{Revoked: revoked, Generations: grants.Generations{Integrator: integrator, Client: client}}
		if state != want {
			s.Errorf("%s: %+v, want %+v", rule, state, want)
		}
	}
	expect("alive", "a", acme.ID, c.ClientID, false, 1, 1)
	expect("no integrator, as the operator's", "a", "", c.ClientID, false, 0, 1)
	expect("no client, as a clientless one", "a", acme.ID, "", false, 1, 0)
	expect("nobody", "a", "x", "y", false, -1, -1)
	for range 2 {
		s.must(store.Revoke(ctx, "a", time.Now().Add(time.Hour)))
	}
	expect("revoked", "a", acme.ID, c.ClientID, true, 1, 1)
	expect("its sibling", "b", acme.ID, c.ClientID, false, 1, 1)
	s.must(store.RevokeIntegratorTokens(ctx, acme.ID))
	expect("all of the integrator revoked", "b", acme.ID, c.ClientID, false, 2, 1)
	s.must(store.DeleteClient(ctx, acme.ID, c.ClientID))
	expect("the client deleted", "b", acme.ID, c.ClientID, false, 2, -1)
	s.must(store.DeleteIntegrator(ctx, acme.ID))
	expect("the integrator deleted", "b", acme.ID, c.ClientID, false, -1, -1)
}

// subjects: all tokens of one subject, by either name, and nobody else's.
func (s *suite) subjects() {
	ctx, store := s.Context(), s.store
	acme, other := s.integrator("Acme"), s.integrator("Other")
	notBefore := func(integratorID string, names ...string) time.Time {
		s.Helper()
		state, err := store.TokenState(ctx, storage.TokenQuery{IntegratorID: integratorID, Subjects: [2]string(append(names, "", "")[:2])})
		s.must(err)
		return state.NotBefore
	}
	before := time.Now().Add(-time.Second)
	s.must(store.RevokeSubjectTokens(ctx, acme.ID, "auth0|1"))
	first := notBefore(acme.ID, "auth0|1", "https://a/#auth0|1")
	if first.Before(before) || !notBefore(acme.ID, "auth0|2", "x").IsZero() || !notBefore(other.ID, "auth0|1").IsZero() || !notBefore("", "auth0|1").IsZero() {
		s.Errorf("not before %v, and nobody else", first)
	}
	s.must(store.RevokeSubjectTokens(ctx, acme.ID, "https://a/#auth0|1"))
	if second := notBefore(acme.ID, "auth0|1", "https://a/#auth0|1"); second.Before(first) {
		s.Errorf("the later of both names counts: %v, %v", first, second)
	}
	s.mustBe(registry.ErrNotFound, store.RevokeSubjectTokens(ctx, "nobody", "x"))
	s.must(second(store.PurgeSubjectEpochs(ctx, time.Now())))
	if notBefore(acme.ID, "auth0|1").IsZero() {
		s.Error("an epoch that is needed was deleted")
	}
	s.must(second(store.PurgeSubjectEpochs(ctx, time.Now().Add(26*time.Hour))))
	if !notBefore(acme.ID, "auth0|1").IsZero() {
		s.Error("an epoch that nobody needs is kept")
	}
}

func (s *suite) purge() {
	ctx, store := s.Context(), s.store
	now := time.Now()
	for n := range 5 {
		s.must(store.Revoke(ctx, fmt.Sprint("old", n), now.Add(-time.Minute)))
	}
	s.must(store.Revoke(ctx, "live", now.Add(time.Minute)))
	if n, err := store.PurgeRevoked(ctx, now); err != nil || n != 5 {
		s.Errorf("purged %d: %v", n, err)
	}
	if state, err := store.TokenState(ctx, storage.TokenQuery{ID: "live", IntegratorID: "", ClientID: ""}); err != nil || !state.Revoked {
		s.Errorf("a live revocation was deleted: %v", err)
	}
}

func signingKey(id, algorithm, state string) registry.SigningKey {
	return registry.SigningKey{ID: id, Algorithm: algorithm, State: state, Public: []byte("p" + id), Sealed: []byte("s" + id), CreatedAt: time.Now()}
}

// count runs jobs at once and tells how many ended in which way.
func count(jobs int, run func(n int) error) (succeeded int, conflicts int, others []error) {
	results := make(chan error)
	for n := range jobs {
		go func() { results <- run(n) }()
	}
	for range jobs {
		switch err := <-results; {
		case err == nil:
			succeeded++
		case errors.Is(err, registry.ErrConflict):
			conflicts++
		default:
			others = append(others, err)
		}
	}
	return succeeded, conflicts, others
}

func (s *suite) signingKeys() {
	ctx, store := s.Context(), s.store
	for _, state := range []string{"active", "next"} {
		won, lost, others := count(16, func(n int) error {
			return store.AddSigningKey(ctx, signingKey(fmt.Sprint(state, n), "ES256", state))
		})
		if won != 1 || lost != 15 {
			s.Errorf("%s: %d won, %d lost, %v", state, won, lost, others)
		}
	}
	s.must(store.AddSigningKey(ctx, signingKey("other", "RS256", "active"))) // one of each algorithm
	keys, err := store.SigningKeys(ctx)
	s.must(err)
	if len(keys) != 3 || string(keys[0].Public) != "p"+keys[0].ID || string(keys[0].Sealed) != "s"+keys[0].ID || !keys[0].RetiredAt.IsZero() {
		s.Errorf("%+v", keys)
	}
}

func (s *suite) rotation() {
	ctx, store := s.Context(), s.store
	s.must(store.AddSigningKey(ctx, signingKey("a", "ES256", "active")))
	s.must(store.AddSigningKey(ctx, signingKey("b", "ES256", "next")))
	won, lost, others := count(8, func(n int) error {
		return store.RotateSigningKeys(ctx, "a", "b", signingKey(fmt.Sprint("c", n), "ES256", "next"), time.Now())
	})
	if won != 1 || lost != 7 {
		s.Errorf("%d won, %d lost, %v", won, lost, others)
	}
	states := map[string]int{}
	keys, err := store.SigningKeys(ctx)
	s.must(err)
	for _, k := range keys {
		states[k.State]++
		if (k.State == "retired") == k.RetiredAt.IsZero() {
			s.Errorf("%+v", k)
		}
	}
	if len(keys) != 3 || states["retired"] != 1 || states["active"] != 1 || states["next"] != 1 {
		s.Errorf("states %v", states)
	}
	s.must(store.DeleteSigningKeys(ctx, time.Now().Add(-time.Hour)))
	s.must(store.DeleteSigningKeys(ctx, time.Now().Add(time.Hour)))
	if keys, err = store.SigningKeys(ctx); err != nil || len(keys) != 2 {
		s.Errorf("only retired keys are deleted: %+v %v", keys, err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (s *suite) exchangeLog() {
	ctx, store := s.Context(), s.store
	granted := registry.Exchange{
		At: time.Now(), GrantType: "g", Result: registry.ResultGranted, IntegratorID: "i", ClientID: "c", Issuer: "iss", Subject: "sub", KeyID: "k",
		Granted: []string{"a", "b"}, Dropped: []registry.Dropped{{Permission: "p", Reason: "r"}}, TokenID: "jti", ExpiresAt: time.Now().Add(time.Hour),
	}
	read := func() []registry.Exchange {
		list, err := store.Exchanges(ctx, "i", registry.ExchangeFilter{}, registry.Page{Limit: 200})
		s.must(err)
		return list
	}
	off := storage.NewExchangeLog(store, storage.LogOff, quiet())
	s.must(off.Record(ctx, granted, false))
	off.Close()
	if n := len(read()); n != 0 {
		s.Errorf("off recorded %d", n)
	}
	durable := storage.NewExchangeLog(store, storage.LogDurable, quiet())
	s.must(durable.Record(ctx, granted, false))
	list := read() // at once
	if len(list) != 1 || list[0].ID == "" || fmt.Sprint(list[0].Granted, list[0].Dropped) != "[a b] [{p r}]" || list[0].ExpiresAt.IsZero() || list[0].Subject != "sub" {
		s.Errorf("%+v", list)
	}
	durable.Close()
	async := storage.NewExchangeLog(store, storage.LogAsync, quiet())
	var group sync.WaitGroup
	for n := range 300 {
		group.Go(func() {
			e := granted
			e.TokenID = fmt.Sprint(n)
			if err := async.Record(ctx, e, false); err != nil {
				s.Error(err)
			}
		})
	}
	group.Wait()
	async.Close()
	if list = read(); len(list) != 200 || list[0].ID < list[1].ID {
		s.Errorf("%d records in a page, newest first", len(list))
	}
	older, err := store.Exchanges(ctx, "i", registry.ExchangeFilter{}, registry.Page{Limit: 200, After: list[199].ID})
	if err != nil || len(older) != 101 {
		s.Errorf("%d older ones: %v", len(older), err)
	}
}

// refusedRecords: what strangers can make for free cannot fill the disk; what
// was granted is always recorded.
func (s *suite) refusedRecords() {
	ctx, store := s.Context(), s.store
	log := storage.NewExchangeLog(store, storage.LogDurable, quiet())
	defer log.Close()
	for range 200 {
		s.must(log.Record(ctx, registry.Exchange{At: time.Now(), Result: registry.ResultRefused, IntegratorID: "flooded"}, false))
	}
	s.must(log.Record(ctx, registry.Exchange{At: time.Now(), Result: registry.ResultRefused, IntegratorID: "other"}, false))
	for range 200 { // strangers cannot use up the quota of those who authenticate
		s.must(log.Record(ctx, registry.Exchange{At: time.Now(), Result: registry.ResultRefused, IntegratorID: "visited"}, true))
	}
	s.must(log.Record(ctx, registry.Exchange{At: time.Now(), Result: registry.ResultRefused, IntegratorID: "visited", Reason: "mine"}, false))
	if visited, err := store.Exchanges(ctx, "visited", registry.ExchangeFilter{}, registry.Page{Limit: 1}); err != nil || len(visited) != 1 || visited[0].Reason != "mine" {
		s.Errorf("%+v %v", visited, err)
	}
	s.must(log.Record(ctx, registry.Exchange{At: time.Now(), Result: registry.ResultGranted, IntegratorID: "flooded"}, false))
	flooded, err := store.Exchanges(ctx, "flooded", registry.ExchangeFilter{}, registry.Page{Limit: 200})
	s.must(err)
	other, err := store.Exchanges(ctx, "other", registry.ExchangeFilter{}, registry.Page{Limit: 200})
	s.must(err)
	if len(flooded) >= 180 || flooded[0].Result != registry.ResultGranted || len(other) != 1 {
		s.Errorf("%d and %d records", len(flooded), len(other))
	}
}

func (s *suite) directory() {
	ctx, store := s.Context(), s.store
	acme := s.integrator("Acme")
	c := client(acme.ID)
	s.must(store.CreateClient(ctx, c, registry.ClientTerms{AnyScope: true}))
	d, err := storage.NewDirectory(ctx, store)
	s.must(err)
	first, err := d.Snapshot()
	s.must(err)
	if got := first.Client(c.ClientID); got == nil || len(got.Secrets) != 1 || first.Integrator(acme.ID) == nil {
		s.Errorf("%+v", got)
	}
	var group sync.WaitGroup
	stop := make(chan struct{})
	for range 4 { // readers need no lock
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if snapshot, err := d.Snapshot(); err != nil || snapshot.Integrator(acme.ID) == nil {
						s.Errorf("a reader lost the integrator: %v", err)
						return
					}
				}
			}
		})
	}
	for n := range 20 {
		acme.Name = fmt.Sprint(n)
		s.must(store.UpdateIntegrator(ctx, acme))
		s.must(d.Refresh(ctx))
	}
	close(stop)
	group.Wait()
	if first.Integrator(acme.ID).Name != "Acme" {
		s.Error("a snapshot has changed")
	}
	s.must(store.DeleteIntegrator(ctx, acme.ID))
	current, err := d.Confirmed(ctx)
	s.must(err)
	if current.Integrator(acme.ID) != nil || current.Client(c.ClientID) != nil {
		s.Error("a confirmed configuration must be current")
	}
	s.must(store.Close())
	if _, err := d.Confirmed(ctx); err == nil {
		s.Error("without a database nothing is confirmed")
	}
	if _, err := d.Snapshot(); err != nil {
		s.Errorf("a moment ago it was current: %v", err)
	}
}

// closed: a failing database is none of the answers that mean something.
func (s *suite) closed() {
	ctx, store := s.Context(), s.store
	s.must(store.Close())
	i := &registry.Integrator{Name: "x", Status: registry.Active}
	log := storage.NewExchangeLog(store, storage.LogDurable, quiet())
	defer log.Close()
	_, errRead := store.Integrator(ctx, "x")
	_, errList := store.Integrators(ctx, registry.Page{Limit: 1})
	_, errState := store.TokenState(ctx, storage.TokenQuery{ID: "x", IntegratorID: "y", ClientID: "z"})
	_, errKeys := store.SigningKeys(ctx)
	_, errDirectory := storage.NewDirectory(ctx, store)
	for name, err := range map[string]error{
		"read": errRead, "list": errList, "state": errState, "keys": errKeys, "directory": errDirectory, "ping": store.Ping(ctx),
		"create": store.CreateIntegrator(ctx, i), "update": store.UpdateIntegrator(ctx, i), "delete": store.DeleteIntegrator(ctx, "x"),
		"revoke": store.Revoke(ctx, "x", time.Now()), "key URL": store.CreateKeyURL(ctx, keyURL("x", "y", "z"), registry.KeyURLTerms{SharedIssuer: true}), "client": store.CreateClient(ctx, client("x"), registry.ClientTerms{AnyScope: true}),
		"operator": store.EnsureOperator(ctx, client("x")), "link": store.Link(ctx, registry.Link{}), "add key": store.AddSigningKey(ctx, signingKey("x", "y", "next")),
		"record": log.Record(ctx, registry.Exchange{Result: registry.ResultGranted}, false),
	} {
		if err == nil || errors.Is(err, registry.ErrNotFound) || errors.Is(err, registry.ErrConflict) || errors.Is(err, registry.ErrStale) {
			s.Errorf("%s on a closed store: %v", name, err)
		}
	}
}
