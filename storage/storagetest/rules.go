package storagetest

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// rules are the tests that take nothing but a store.
func rules() map[string]func(*testing.T, *storage.Store) {
	return map[string]func(*testing.T, *storage.Store){
		"every integrator keeps the rules of objects":      testIntegrators,
		"every key URL keeps the rules of objects":         testKeyURLs,
		"every client keeps the rules of objects":          testClients,
		"every lock holder keeps the rules of objects":     testLockHolders,
		"every scope rule keeps the rules of objects":      testScopeRules,
		"every resource server keeps the rules of objects": testResourceServers,
		"every list comes in pages":                        testPaging,
		"the longest values fit":                           testLongestValues,
		"to others it does not exist":                      testTenants,
		"what belongs to something goes with it":           testCascade,
		"what frees a clientless audience":                 testClientless,
		"linking is idempotent":                            testLinks,
		"the operator's client is made once":               testOperators,
		"operators at once":                                testOperatorsAtOnce,
		"a jti is compared exactly":                        testRevocation,
		"what raises a generation":                         testGenerations,
		"a purge takes a batch":                            testPurge,
		"signing keys as they were stored":                 testSigningKeys,
		"a rotation needs both keys":                       testRotationNeedsBoth,
		"keys of two algorithms at once":                   testSigningKeysAtOnce,
		"rotations at once, again and again":               testRotationsAtOnce,
		"records as they were made":                        testExchangeLog,
		"the quota of refused records":                     testExchangeQuota,
		"what is done alone":                               testAlone,
		"answers are there with their change":              testAnswers,
		"the directory sees every kind of change":          testDirectory,
		"the directory under load":                         testDirectoryUnderLoad,
		"reading and writing at once":                      testReadThenWriteAtOnce,
		"requests that are given up":                       testCancelledRequests,
		"every method of a closed store fails":             testClosed,
		"nobody changes what is another's":                 testForgedChanges,
		"a refused change leaves the object as it was":     testFailedChange,
		"the operator's client is as it was said":          testOperatorIsAsSaid,
	}
}

var uuid7 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// stored makes an object and stores it.
func (k kind[T]) stored(t *testing.T) *T {
	t.Helper()
	value := k.fresh()
	ok(t, k.create(t.Context(), value))
	return value
}

// same requires that the store has this object as it is.
func (k kind[T]) same(t *testing.T, want *T) {
	t.Helper()
	shown := *want
	if k.shown != nil {
		shown = k.shown(shown)
	}
	got, err := k.get(t.Context(), want)
	ok(t, err)
	if !reflect.DeepEqual(*got, shown) {
		t.Fatalf("the store has\n%+v, want\n%+v", *got, shown)
	}
	list, err := k.list(t.Context(), registry.Page{Limit: registry.MaxPage})
	ok(t, err)
	for _, listed := range list {
		if k.object(&listed).ID == k.object(want).ID && reflect.DeepEqual(listed, shown) {
			return
		}
	}
	t.Fatalf("the list has no\n%+v", shown)
}

// testKind is what holds for objects of every kind.
func testKind[T any](t *testing.T, k kind[T]) {
	t.Run("what is created is what is read", func(t *testing.T) { k.same(t, k.stored(t)) })
	t.Run("ids are UUIDv7 in the order of creation", func(t *testing.T) {
		previous := ""
		for range 20 {
			id := k.object(k.stored(t)).ID
			if !uuid7.MatchString(id) || id <= previous {
				t.Fatalf("%q after %q", id, previous)
			}
			previous = id
		}
	})
	t.Run("times are now, UTC and of microseconds", func(t *testing.T) {
		before := time.Now().Truncate(time.Microsecond)
		o := *k.object(k.stored(t))
		if o.CreatedAt != o.UpdatedAt || o.CreatedAt.Location() != time.UTC || o.CreatedAt != o.CreatedAt.Truncate(time.Microsecond) {
			t.Errorf("created %v, updated %v", o.CreatedAt, o.UpdatedAt)
		}
		if o.CreatedAt.Before(before) || o.CreatedAt.After(time.Now()) {
			t.Errorf("created %v, which was not between %v and now", o.CreatedAt, before)
		}
	})
	t.Run("every change raises the revision", func(t *testing.T) {
		value := k.stored(t)
		created := *k.object(value)
		for revision := int64(1); revision < 4; revision++ {
			o := k.object(value)
			if o.Revision != revision || o.ID != created.ID || o.CreatedAt != created.CreatedAt || o.UpdatedAt.Before(created.UpdatedAt) {
				t.Fatalf("revision %d: %+v", revision, *o)
			}
			k.same(t, value)
			k.change(value)
			ok(t, k.update(t.Context(), value))
		}
	})
	t.Run("a change of what was changed meanwhile is stale and changes nothing", func(t *testing.T) {
		value := k.stored(t)
		late := *value
		k.change(value)
		ok(t, k.update(t.Context(), value))
		k.change(&late)
		is(t, k.update(t.Context(), &late), registry.ErrStale)
		k.same(t, value)
		k.object(&late).Revision = 99
		is(t, k.update(t.Context(), &late), registry.ErrStale)
		k.same(t, value)
	})
	t.Run("what was deleted is not found", func(t *testing.T) { testDeleted(t, k) })
	t.Run("what never was is not found, and nothing else is meant", func(t *testing.T) { testNothing(t, k) })
	if k.clash != nil {
		t.Run("two that clash cannot both be", func(t *testing.T) { testClash(t, k) })
	}
}

func testDeleted[T any](t *testing.T, k kind[T]) {
	value := k.stored(t)
	ok(t, k.remove(t.Context(), value))
	_, err := k.get(t.Context(), value)
	is(t, err, registry.ErrNotFound)
	is(t, k.update(t.Context(), value), registry.ErrNotFound)
	is(t, k.remove(t.Context(), value), registry.ErrNotFound)
}

func testNothing[T any](t *testing.T, k kind[T]) {
	bystander := k.stored(t)
	var nothing T // all ids empty
	_, err := k.get(t.Context(), &nothing)
	is(t, err, registry.ErrNotFound)
	is(t, k.update(t.Context(), &nothing), registry.ErrNotFound)
	is(t, k.remove(t.Context(), &nothing), registry.ErrNotFound)
	k.same(t, bystander)
}

func testClash[T any](t *testing.T, k kind[T]) {
	first, second := k.stored(t), k.stored(t)
	before := *second
	all, err := k.list(t.Context(), registry.Page{Limit: registry.MaxPage})
	ok(t, err)
	third := k.fresh()
	k.clash(first, third)
	is(t, k.create(t.Context(), third), registry.ErrConflict)
	k.clash(first, second)
	is(t, k.update(t.Context(), second), registry.ErrConflict)
	if *k.object(second) != *k.object(&before) {
		t.Errorf("a change that failed left %+v in place of %+v", *k.object(second), *k.object(&before))
	}
	k.same(t, first)
	k.same(t, &before)
	if now, err := k.list(t.Context(), registry.Page{Limit: registry.MaxPage}); err != nil || len(now) != len(all) {
		t.Errorf("%d objects, want %d (%v)", len(now), len(all), err)
	}
	k.change(&before)
	ok(t, k.update(t.Context(), &before)) // the conflict left nothing behind
}

func testPaging(t *testing.T, s *storage.Store) {
	integratorID := storeIntegrator(t, s).ID
	linked := lockHolders(s)
	linked.create = func(ctx context.Context, h *registry.LockHolder) error {
		if err := s.CreateLockHolder(ctx, h); err != nil {
			return err
		}
		return s.Link(ctx, registry.Link{IntegratorID: integratorID, LockHolderID: h.ID})
	}
	linked.list = func(ctx context.Context, p registry.Page) ([]registry.LockHolder, error) {
		return s.LinkedLockHolders(ctx, integratorID, p)
	}
	t.Run("key URLs", func(t *testing.T) { testPages(t, keyURLs(s, integratorID)) })
	t.Run("clients", func(t *testing.T) { testPages(t, clients(s, integratorID)) })
	t.Run("links", func(t *testing.T) { testPages(t, linked) })
	t.Run("resource servers", func(t *testing.T) { testPages(t, resourceServers(s)) })
	t.Run("no page gives everything, whatever is asked for", func(t *testing.T) {
		for range registry.MaxPage + 5 {
			ok(t, s.CreateIntegrator(t.Context(), newIntegrator()))
		}
		for limit, want := range map[int]int{-1: 1, 0: 1, 1: 1, 7: 7, registry.MaxPage: registry.MaxPage, 1 << 40: registry.MaxPage + 1} {
			page, err := s.Integrators(t.Context(), registry.Page{Limit: limit})
			ok(t, err)
			if len(page) != want {
				t.Errorf("limit %d gives %d, want %d", limit, len(page), want)
			}
		}
	})
}

// testPages reads a list page by page, in the order of creation.
func testPages[T any](t *testing.T, k kind[T]) {
	var want []string
	for range 5 {
		value := k.fresh()
		ok(t, k.create(t.Context(), value))
		want = append(want, k.object(value).ID)
	}
	for limit := 1; limit <= 6; limit++ {
		var got []string
		after := ""
		for range len(want) + 1 { // one page more than there can be
			page, err := k.list(t.Context(), registry.Page{After: after, Limit: limit})
			ok(t, err)
			if len(page) > limit {
				t.Fatalf("limit %d gives %d", limit, len(page))
			}
			if len(page) == 0 {
				break
			}
			for i := range page {
				got = append(got, k.object(&page[i]).ID)
			}
			after = got[len(got)-1]
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("limit %d: got %v, want %v", limit, got, want)
		}
	}
}

// testLongestValues: what registry accepts, every backend can store and index.
// PostgreSQL's index rows end at 2704 bytes, after compression, so the values
// are such that cannot be compressed.
func testLongestValues(t *testing.T, s *storage.Store) {
	i := &registry.Integrator{Name: noise(1024), Status: registry.Active}
	ok(t, i.Validate())
	ok(t, s.CreateIntegrator(t.Context(), i))
	k := newKeyURL(i.ID)
	k.Issuer, k.URL, k.PermissionsClaims, k.Clientless, k.Audiences = noise(512), "https://"+noise(2048-8), nil, true, nil
	for range registry.MaxPermissionsClaims {
		k.PermissionsClaims = append(k.PermissionsClaims, noise(255))
	}
	for range 16 {
		k.Audiences = append(k.Audiences, noise(512))
	}
	ok(t, k.Validate())
	ok(t, s.CreateKeyURL(t.Context(), k, shared))
	ok(t, s.UpdateKeyURL(t.Context(), k, shared))
	server, client := newResourceServer()
	server.Name, server.Audience = noise(1024), noise(512)
	ok(t, server.Validate())
	ok(t, s.CreateResourceServer(t.Context(), server, client))
	h := &registry.LockHolder{Name: noise(1024), CountryISO: "DK", OrganizationID: noise(1024), OrganizationIDSuffix: noise(1024)}
	ok(t, s.CreateLockHolder(t.Context(), h)) // the bounds are those of grants/permissions
	manages, err := managed(t, s, i.ID, h.CountryISO, h.OrganizationID, h.OrganizationIDSuffix)
	if err != nil || manages {
		t.Errorf("manages %v, %v", manages, err)
	}
	c := newClient(i.ID)
	for range 64 {
		c.Scopes = append(c.Scopes, strings.Repeat("s", 1024))
	}
	ok(t, s.CreateClient(t.Context(), c, registry.ClientTerms{AnyScope: true}))
}
