package storagetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// keyRules are the tests of what is kept of other people's keys, and of used
// subject tokens.
func keyRules() map[string]func(*testing.T, *storage.Store) {
	return map[string]func(*testing.T, *storage.Store){
		"a key document as it was saved":                 testKeyDocument,
		"a failed fetch keeps the keys":                  testKeyFetchFailed,
		"an older epoch overwrites nothing":              testKeyEpochs,
		"publishing keys begins an epoch":                testPublishKeys,
		"keys of a key URL that is gone are gone":        testOrphanedKeys,
		"keys are not saved for a key URL that is none":  testKeysOfNobody,
		"the latest use of a key stays":                  testKeyUses,
		"uses noted at once do not wait for each other":  testKeyUsesAtOnce,
		"the fetch that began later stays":               testLaterFetch,
		"a subject token is used up once":                testConsume,
		"a subject token is used up once, by many":       testConsumeAtOnce,
		"used subject tokens are forgotten when expired": testPurgeConsumed,
		"another secret ends the others after a while":   testClientSecrets,
		"keys of a client":                               testClientKeys,
		"scopes of clients are the integrator's":         testEntitledClients,
		"clients with keys have no secret":               testNoSecretForKeys,
		"keys behind a client's URL are kept":            testClientKeyDocuments,
	}
}

// keySource stores an integrator with a key URL.
func keySource(t *testing.T, store *storage.Store) (*registry.KeyURL, registry.KeySource) {
	t.Helper()
	i := &registry.Integrator{Name: "Acme", Status: registry.Active}
	ok(t, store.CreateIntegrator(t.Context(), i))
	k := keyURL(i.ID, "https://idp.example/", "https://idp.example/jwks.json")
	ok(t, store.CreateKeyURL(t.Context(), k, registry.KeyURLTerms{}))
	return k, k.Source()
}

func document(source registry.KeySource, epoch int64, at time.Time) *registry.KeyDocument {
	return &registry.KeyDocument{
		Source: source, Epoch: epoch, FoundFormat: "jwks", FetchedAt: at.UTC().Truncate(time.Microsecond),
		Keys: []registry.PublishedKey{
			{ID: "a", Type: "RSA", Bits: 2048, Algorithm: "RS256", Thumbprint: "ta", Public: []byte{1, 2}, FirstSeen: 1, LastSeen: 2},
			{ID: "b", Type: "EC", Curve: "P-256", Bits: 256, Thumbprint: "tb", Problem: "use is not sig", FirstSeen: 1, LastSeen: 2, Removed: true},
		},
		Warnings: []registry.KeyWarning{{Code: "unusable_key", Detail: "key 1: use is not sig"}},
	}
}

func savedDocument(t *testing.T, store *storage.Store, source registry.KeySource) *registry.KeyDocument {
	t.Helper()
	d, err := store.KeyDocument(t.Context(), source)
	ok(t, err)
	all, err := store.KeyDocuments(t.Context(), source.IntegratorID)
	ok(t, err)
	listed := all[source]
	for i := range listed.Keys {
		listed.Keys[i].LastUsed = 0
	}
	if !reflect.DeepEqual(listed, *d) {
		t.Fatalf("the list has\n%+v, not\n%+v", listed, *d)
	}
	return d
}

func testKeyDocument(t *testing.T, store *storage.Store) {
	_, source := keySource(t, store)
	if _, err := store.KeyDocument(t.Context(), source); !errors.Is(err, registry.ErrNotFound) {
		t.Fatalf("before: %v", err)
	}
	for epoch := range int64(2) {
		d := document(source, epoch, time.Now())
		ok(t, store.SaveKeyDocument(t.Context(), d))
		if got := savedDocument(t, store, source); !reflect.DeepEqual(got, d) {
			t.Fatalf("got\n%+v, want\n%+v", got, d)
		}
	}
	other := source
	other.Format = "pem"
	if _, err := store.KeyDocument(t.Context(), other); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("another format: %v", err)
	}
	ok(t, store.SaveKeyDocument(t.Context(), &registry.KeyDocument{Source: source, Epoch: 9}))
	if got := savedDocument(t, store, source); len(got.Keys) != 0 || len(got.Warnings) != 0 || !got.FetchedAt.IsZero() {
		t.Errorf("an empty document became %+v", got)
	}
}

func testKeyFetchFailed(t *testing.T, store *storage.Store) {
	_, source := keySource(t, store)
	first, second := time.UnixMicro(1_000_000).UTC(), time.UnixMicro(2_000_000).UTC()
	fail := func(word string, at time.Time) *registry.KeyDocument {
		t.Helper()
		ok(t, store.KeyFetchFailed(t.Context(), source, word, at))
		return savedDocument(t, store, source)
	}
	if d := fail("timeout", first); d.Failure != "timeout" || d.FailingSince != first || d.FailedAt != first || !d.FetchedAt.IsZero() || len(d.Keys) != 0 {
		t.Errorf("never fetched: %+v", d)
	}
	good := document(source, 1, time.Now())
	ok(t, store.SaveKeyDocument(t.Context(), good))
	if got := savedDocument(t, store, source); !reflect.DeepEqual(got, good) {
		t.Errorf("a success left of the failure: %+v", got)
	}
	fail("timeout", first)
	want := *good
	want.Failure, want.FailingSince, want.FailedAt = "status", first, second
	if got := fail("status", second); !reflect.DeepEqual(*got, want) {
		t.Errorf("got\n%+v, want\n%+v", *got, want)
	}
}

func testKeyEpochs(t *testing.T, store *storage.Store) {
	_, source := keySource(t, store)
	newer := document(source, 7, time.Now())
	ok(t, store.SaveKeyDocument(t.Context(), newer))
	older := document(source, 6, time.Now().Add(time.Hour))
	older.Keys = nil
	ok(t, store.SaveKeyDocument(t.Context(), older))
	if got := savedDocument(t, store, source); !reflect.DeepEqual(got, newer) {
		t.Errorf("the older fetch won: %+v", got)
	}
}

func testPublishKeys(t *testing.T, store *storage.Store) {
	k, source := keySource(t, store)
	directory, err := storage.NewDirectory(t.Context(), store)
	ok(t, err)
	d := document(source, 0, time.Now())
	d.Epoch = k.KeysEpoch
	epoch, err := store.PublishKeyDocument(t.Context(), d)
	ok(t, err)
	if _, err := store.PublishKeyDocument(t.Context(), d); !errors.Is(err, registry.ErrStale) {
		t.Errorf("a fetch that began before the last refresh is published: %v", err)
	}
	if present, err := store.KeysEpoch(t.Context(), source); err != nil || present != epoch {
		t.Errorf("the epoch is %d (%v), want %d", present, err, epoch)
	}
	if epoch <= k.KeysEpoch || k.KeysEpoch == 0 {
		t.Fatalf("epoch %d after %d", epoch, k.KeysEpoch)
	}
	d.Epoch = epoch
	if got := savedDocument(t, store, source); !reflect.DeepEqual(got, d) {
		t.Errorf("got %+v", got)
	}
	snapshot, err := directory.Confirmed(t.Context())
	ok(t, err)
	if known := snapshot.KeyURLs(k.IntegratorID, k.Issuer); len(known) != 1 || known[0].KeysEpoch != epoch || known[0].Revision != k.Revision {
		t.Errorf("replicas see %+v", known)
	}
	source.URL += "x"
	if _, err := store.PublishKeyDocument(t.Context(), document(source, 0, time.Now())); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("keys of no key URL: %v", err)
	}
	if _, err := store.KeysEpoch(t.Context(), source); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("the epoch of no key URL: %v", err)
	}
}

func testOrphanedKeys(t *testing.T, store *storage.Store) {
	k, source := keySource(t, store)
	save := func() {
		t.Helper()
		ok(t, store.SaveKeyDocument(t.Context(), document(source, 100, time.Now())))
		ok(t, store.KeysUsed(t.Context(), []registry.KeyUse{{Source: source, Thumbprint: "ta", At: time.Now()}}))
	}
	gone := func(what string) {
		t.Helper()
		if all, err := store.KeyDocuments(t.Context(), k.IntegratorID); err != nil || len(all) != 0 {
			t.Errorf("%s: %v %v", what, all, err)
		}
	}
	save()
	epoch := k.KeysEpoch
	k.PermissionsClaims = []string{"/p"}
	ok(t, store.UpdateKeyURL(t.Context(), k, registry.KeyURLTerms{}))
	if all, err := store.KeyDocuments(t.Context(), k.IntegratorID); err != nil || len(all) != 1 || all[source].Keys[0].LastUsed == 0 || k.KeysEpoch != epoch {
		t.Fatalf("a change of something else: %v %v, epoch %d", all, err, k.KeysEpoch)
	}
	k.URL += "2"
	ok(t, store.UpdateKeyURL(t.Context(), k, registry.KeyURLTerms{}))
	gone("another URL")
	if k.KeysEpoch <= epoch {
		t.Errorf("another URL kept the epoch %d", k.KeysEpoch)
	}
	source = k.Source()
	save()
	ok(t, store.DeleteKeyURL(t.Context(), k.IntegratorID, k.ID, registry.KeyURLTerms{}))
	gone("deleted")
	again := *k
	ok(t, store.CreateKeyURL(t.Context(), &again, registry.KeyURLTerms{}))
	if again.KeysEpoch <= k.KeysEpoch {
		t.Errorf("made again, it has the epoch %d, after %d", again.KeysEpoch, k.KeysEpoch)
	}
	save()
	ok(t, store.DeleteIntegrator(t.Context(), k.IntegratorID))
	gone("with the integrator")
}

func testKeysOfNobody(t *testing.T, store *storage.Store) {
	_, source := keySource(t, store)
	for name, other := range map[string]registry.KeySource{
		"another URL":        {IntegratorID: source.IntegratorID, URL: "https://elsewhere.example/", Format: source.Format},
		"another integrator": {IntegratorID: "nobody", URL: source.URL, Format: source.Format},
		"no integrator":      {URL: source.URL, Format: source.Format},
	} {
		ok(t, store.SaveKeyDocument(t.Context(), document(other, 1, time.Now())))
		ok(t, store.KeyFetchFailed(t.Context(), other, "timeout", time.Now()))
		ok(t, store.KeysUsed(t.Context(), []registry.KeyUse{{Source: other, Thumbprint: "ta", At: time.Now()}}))
		if d, err := store.KeyDocument(t.Context(), other); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%s: %+v %v", name, d, err)
		}
	}
}

func testKeyUses(t *testing.T, store *storage.Store) {
	_, source := keySource(t, store)
	ok(t, store.SaveKeyDocument(t.Context(), document(source, 1, time.Now())))
	use := func(thumbprint string, micros int64) registry.KeyUse {
		return registry.KeyUse{Source: source, Thumbprint: thumbprint, At: time.UnixMicro(micros)}
	}
	ok(t, store.KeysUsed(t.Context(), nil))
	ok(t, store.KeysUsed(t.Context(), []registry.KeyUse{use("ta", 5), use("tb", 6)}))
	ok(t, store.KeysUsed(t.Context(), []registry.KeyUse{use("ta", 9), use("tb", 4)}))
	want := func(a, b int64) {
		t.Helper()
		all, err := store.KeyDocuments(t.Context(), source.IntegratorID)
		ok(t, err)
		if keys := all[source].Keys; keys[0].LastUsed != a || keys[1].LastUsed != b {
			t.Errorf("used at %d and %d, want %d and %d", keys[0].LastUsed, keys[1].LastUsed, a, b)
		}
	}
	want(9, 6)
	d := document(source, 1, time.Now())
	d.Keys = d.Keys[:1]
	ok(t, store.SaveKeyDocument(t.Context(), d)) // what is no longer shown was never used
	ok(t, store.SaveKeyDocument(t.Context(), document(source, 1, time.Now())))
	want(9, 0)
}

// Two replicas note the uses of the same keys, each in an order of its own.
func testKeyUsesAtOnce(t *testing.T, store *storage.Store) {
	_, source := keySource(t, store)
	var uses []registry.KeyUse
	for n := range 50 {
		uses = append(uses, registry.KeyUse{Source: source, Thumbprint: fmt.Sprint(n), At: time.Now()})
	}
	var all sync.WaitGroup
	for range 8 {
		shuffled := slices.Clone(uses)
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		all.Go(func() {
			for range 5 {
				if err := store.KeysUsed(t.Context(), shuffled); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// The fetch that began later stays, whichever is saved last; one whose stamp
// is of a wrong clock does not.
func testLaterFetch(t *testing.T, store *storage.Store) {
	_, source := keySource(t, store)
	now := time.Now().Truncate(time.Microsecond)
	saved := func(at, want time.Time) {
		t.Helper()
		ok(t, store.SaveKeyDocument(t.Context(), document(source, 1, at)))
		if got := savedDocument(t, store, source); !got.FetchedAt.Equal(want) {
			t.Errorf("saved %v, there is %v, want %v", at, got.FetchedAt, want)
		}
	}
	saved(now, now)
	saved(now.Add(-time.Second), now)
	saved(now.Add(time.Second), now.Add(time.Second))
	saved(now.Add(24*time.Hour), now.Add(24*time.Hour))
	saved(now.Add(2*time.Second), now.Add(2*time.Second))
}

func testConsume(t *testing.T, store *storage.Store) {
	later := time.Now().Add(time.Hour)
	for _, one := range []struct {
		integrator, issuer, id string
		first                  bool
	}{
		{"a", "https://idp/", "1", true}, {"a", "https://idp/", "1", false},
		{"b", "https://idp/", "1", true}, // XTI-07
		{"a", "https://idp/2", "1", true}, {"a", "https://idp/", "2", true}, {"a", "https://idp/", "1 ", true},
		{"a", "https://idp", "/1", true}, {"ahttps://idp/", "", "1", true},
		{"b", "https://idp/", "1", false},
	} {
		if used, err := store.Consumed(t.Context(), one.integrator, one.issuer, one.id); err != nil || used == one.first {
			t.Errorf("%+v: used %v, %v", one, used, err)
		}
		if first, err := store.Consume(t.Context(), one.integrator, one.issuer, one.id, later); err != nil || first != one.first {
			t.Errorf("%q %q %q: first is %v (%v)", one.integrator, one.issuer, one.id, first, err)
		}
	}
}

func testConsumeAtOnce(t *testing.T, store *storage.Store) {
	var wins sync.Map
	var all sync.WaitGroup
	for n := range 50 {
		all.Go(func() {
			if first, err := store.Consume(t.Context(), "a", "https://idp/", "1", time.Now().Add(time.Hour)); err != nil {
				t.Error(err)
			} else if first {
				wins.Store(n, true)
			}
		})
	}
	all.Wait()
	count := 0
	wins.Range(func(any, any) bool { count++; return true })
	if count != 1 {
		t.Errorf("%d were told that they are the first", count)
	}
}

func testPurgeConsumed(t *testing.T, store *storage.Store) {
	now := time.Now()
	for id, expires := range map[string]time.Time{"old": now.Add(-time.Minute), "live": now.Add(time.Minute)} {
		_, err := store.Consume(t.Context(), "a", "i", id, expires)
		ok(t, err)
	}
	if n, err := store.PurgeConsumed(t.Context(), now); err != nil || n != 1 {
		t.Errorf("purged %d (%v)", n, err)
	}
	for id, want := range map[string]bool{"old": true, "live": false} {
		if first, err := store.Consume(t.Context(), "a", "i", id, now); err != nil || first != want {
			t.Errorf("%s: first is %v (%v)", id, first, err)
		}
	}
}
