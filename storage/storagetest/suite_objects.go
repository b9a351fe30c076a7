package storagetest

import (
	"fmt"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

func (s *suite) lockHolders() {
	ctx, store := s.Context(), s.store
	acme, other := s.integrator("Acme"), s.integrator("Other")
	east := &registry.LockHolder{Name: "East", CountryISO: "NO", OrganizationID: "919424508", OrganizationIDSuffix: "east"}
	whole := &registry.LockHolder{Name: "Whole", CountryISO: "NO", OrganizationID: "919424508"}
	s.must(store.CreateLockHolder(ctx, east))
	s.must(store.CreateLockHolder(ctx, whole))
	twin := *east
	s.mustBe(registry.ErrConflict, store.CreateLockHolder(ctx, &twin))
	whole.OrganizationIDSuffix = "east"
	s.mustBe(registry.ErrConflict, store.UpdateLockHolder(ctx, whole))
	link := registry.Link{IntegratorID: acme.ID, LockHolderID: east.ID}
	s.must(store.Link(ctx, link))
	s.must(store.Link(ctx, link))
	s.mustBe(registry.ErrNotFound, store.Link(ctx, registry.Link{IntegratorID: acme.ID, LockHolderID: "none"}))
	s.mustBe(registry.ErrNotFound, store.Link(ctx, registry.Link{IntegratorID: "none", LockHolderID: east.ID}))
	for integrator, want := range map[string]bool{acme.ID: true, other.ID: false, "": false} {
		if manages, err := managed(s.T, store, integrator, "NO", "919424508", "east"); err != nil || manages != want {
			s.Errorf("%q manages: %v %v", integrator, manages, err)
		}
	}
	_, err := store.LinkedLockHolder(ctx, other.ID, east.ID)
	s.mustBe(registry.ErrNotFound, err)
	if holders, err := store.LinkedLockHolders(ctx, acme.ID, registry.Page{Limit: 5}); err != nil || len(holders) != 1 || holders[0] != *east {
		s.Errorf("%+v %v", holders, err)
	}
	s.mustBe(registry.ErrNotFound, store.Unlink(ctx, registry.Link{IntegratorID: other.ID, LockHolderID: east.ID}))
	s.must(store.Unlink(ctx, link))
	s.mustBe(registry.ErrNotFound, store.Unlink(ctx, link))
	s.must(store.Link(ctx, link))
	s.must(store.DeleteLockHolder(ctx, east.ID))
	_, err = store.LinkedLockHolder(ctx, acme.ID, east.ID)
	s.mustBe(registry.ErrNotFound, err)
}

// withdrawnScopes: client credentials must not go on granting what the
// integrator has lost.
func (s *suite) withdrawnScopes() {
	ctx, store := s.Context(), s.store
	const east, west = "lockHolder.identifier:NO.1000.east", "lockHolder.identifier:NO.1000.west"
	acme, other := s.integrator("Acme"), s.integrator("Other")
	holder := &registry.LockHolder{Name: "East", CountryISO: "NO", OrganizationID: "1000", OrganizationIDSuffix: "east"}
	s.must(store.CreateLockHolder(ctx, holder))
	clientOf := func(integratorID string, scopes ...string) *registry.Client {
		c := client(integratorID)
		c.Scopes = scopes
		s.must(store.CreateClient(ctx, c, registry.ClientTerms{AnyScope: true}))
		s.must(store.Link(ctx, registry.Link{IntegratorID: integratorID, LockHolderID: holder.ID}))
		return c
	}
	expect := func(rule string, c *registry.Client, generation int64, scopes ...string) {
		s.Helper()
		read, err := store.Client(ctx, c.IntegratorID, c.ClientID)
		s.must(err)
		state, err := store.TokenState(ctx, storage.TokenQuery{ID: "x", IntegratorID: "", ClientID: c.ClientID})
		s.must(err)
		if fmt.Sprint(read.Scopes) != fmt.Sprint(scopes) || read.Scopes == nil || state.Generations.Client != generation {
			s.Errorf("%s: scopes %q, generation %d, want %q, %d", rule, read.Scopes, state.Generations.Client, scopes, generation)
		}
	}
	both, only, theirs := clientOf(acme.ID, east, west), clientOf(acme.ID, east), clientOf(other.ID, east)
	s.must(store.Unlink(ctx, registry.Link{IntegratorID: acme.ID, LockHolderID: holder.ID}))
	expect("the rest stays", both, 2, west)
	expect("nothing is not no limit", only, 2)
	expect("another integrator's client", theirs, 1, east)
	holder.OrganizationIDSuffix = "moved"
	s.must(store.UpdateLockHolder(ctx, holder))
	expect("a lock holder of another name", theirs, 2)
	again := clientOf(acme.ID, "lockHolder.identifier:NO.1000.moved", west)
	s.must(store.DeleteLockHolder(ctx, holder.ID))
	expect("a lock holder that is gone", again, 2, west)
}

func (s *suite) resourceServers() {
	ctx, store := s.Context(), s.store
	create := func(audience string) (*registry.ResourceServer, error) {
		r := &registry.ResourceServer{Name: "API", Audience: audience}
		c := &registry.Client{Owner: registry.OwnerResourceServer, Name: "API", AuthMethod: registry.AuthBasic, Status: registry.Active,
			Secrets: []registry.ClientSecret{{Hash: []byte("h")}}}
		return r, store.CreateResourceServer(ctx, r, c)
	}
	r, err := create("https://api.example")
	s.must(err)
	_, err = create("https://api.example")
	s.mustBe(registry.ErrConflict, err)
	r.Audience = "https://api2.example"
	s.must(store.UpdateResourceServer(ctx, r))
	if read, err := store.ResourceServer(ctx, r.ID); err != nil || *read != *r {
		s.Errorf("%+v %v", read, err)
	}
	if state, err := store.TokenState(ctx, storage.TokenQuery{ID: "x", IntegratorID: "", ClientID: r.ClientID}); err != nil || state.Generations.Client != 1 {
		s.Errorf("its client: %+v %v", state, err)
	}
	s.must(store.DeleteResourceServer(ctx, r.ID))
	if state, err := store.TokenState(ctx, storage.TokenQuery{ID: "x", IntegratorID: "", ClientID: r.ClientID}); err != nil || state.Generations.Client != -1 {
		s.Errorf("its client lives on: %+v %v", state, err)
	}
}

func (s *suite) pages() {
	var created []string
	for n := range 7 {
		id := s.integrator(fmt.Sprint("Integrator ", n)).ID
		if parsed, err := uuid.Parse(id); err != nil || parsed.Version() != 7 {
			s.Errorf("%s is no UUIDv7", id)
		}
		created = append(created, id)
	}
	var seen []string
	page := registry.Page{Limit: 3}
	for {
		list, err := s.store.Integrators(s.Context(), page)
		s.must(err)
		if len(list) == 0 {
			break
		}
		for _, i := range list {
			seen = append(seen, i.ID)
		}
		page.After = list[len(list)-1].ID
	}
	if fmt.Sprint(seen) != fmt.Sprint(created) {
		s.Errorf("pages hold %v, created %v", seen, created)
	}
	s.integrator("50% off_ÅS!")
	for text, want := range map[string]int{"": 8, "integrator 3": 1, "INTEGRATOR": 7, "0% OFF": 1, "%": 1, "_": 1, "!": 1, "ÅS": 1, "7": 0} {
		if list, err := s.store.Integrators(s.Context(), registry.Page{Limit: 20, Search: text}); err != nil || len(list) != want {
			s.Errorf("%q finds %d, want %d: %v", text, len(list), want, err)
		}
	}
	for limit, want := range map[int]int{0: 1, -5: 1, 1 << 30: 8} {
		if list, err := s.store.Integrators(s.Context(), registry.Page{Limit: limit}); err != nil || len(list) != want {
			s.Errorf("limit %d gives %d rows: %v", limit, len(list), err)
		}
	}
}

// updatesAtOnce: read-then-write from many sides; whoever read an old version
// is told, and nobody's change disappears.
func (s *suite) updatesAtOnce() {
	ctx, store := s.Context(), s.store
	i := s.integrator("0")
	var group sync.WaitGroup
	const writers, times = 8, 25
	for range writers {
		group.Go(func() {
			for done := 0; done < times; {
				read, err := store.Integrator(ctx, i.ID)
				if err != nil {
					s.Error(err)
					return
				}
				var n int
				_, _ = fmt.Sscan(read.Name, &n)
				read.Name = fmt.Sprint(n + 1)
				switch err := store.UpdateIntegrator(ctx, read); {
				case err == nil:
					done++
				case !strings.Contains(err.Error(), registry.ErrStale.Error()):
					s.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if read, err := store.Integrator(ctx, i.ID); err != nil || read.Name != fmt.Sprint(writers*times) {
		s.Errorf("%+v %v", read, err)
	}
}

func (s *suite) hostileIDs() {
	ctx, store := s.Context(), s.store
	i := s.integrator("Acme")
	for _, id := range []string{"' OR '1'='1", "x'; DROP TABLE integrators; --", "%", "_", `\`, strings.Repeat("a", 64<<10), "💥"} {
		_, err := store.Integrator(ctx, id)
		s.mustBe(registry.ErrNotFound, err)
		s.mustBe(registry.ErrNotFound, store.DeleteIntegrator(ctx, id))
		list, err := store.KeyURLs(ctx, id, registry.Page{Limit: 5, After: id})
		if err != nil || len(list) != 0 {
			s.Errorf("%.20q: %v %v", id, list, err)
		}
	}
	if _, err := store.Integrator(ctx, i.ID); err != nil {
		s.Error(err)
	}
}
