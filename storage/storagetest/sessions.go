package storagetest

import (
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

func (s *suite) sessions() {
	ctx, now := s.Context(), time.Now().UTC().Truncate(time.Microsecond)
	hashOf := func(token string) []byte {
		hash := sha256.Sum256([]byte(token))
		return hash[:]
	}
	session := registry.Session{TokenHash: hashOf("a"), Person: []byte(`{"name":"Ada"}`), SeenAt: now, ExpiresAt: now.Add(time.Hour)}
	s.must(s.store.CreateSession(ctx, session))
	s.mustBe(registry.ErrConflict, s.store.CreateSession(ctx, session))
	got, err := s.store.Session(ctx, session.TokenHash)
	s.must(err)
	if string(got.Person) != string(session.Person) || !got.SeenAt.Equal(now) || !got.ExpiresAt.Equal(session.ExpiresAt) {
		s.Errorf("got %+v, want %+v", got, session)
	}
	_, err = s.store.Session(ctx, hashOf("b"))
	s.mustBe(registry.ErrNotFound, err)
	_, err = s.store.Session(ctx, nil)
	s.mustBe(registry.ErrNotFound, err)

	// Two requests of one session may end in any order.
	s.must(s.store.TouchSession(ctx, session.TokenHash, now.Add(time.Minute)))
	s.must(s.store.TouchSession(ctx, session.TokenHash, now.Add(time.Second)))
	if got, err = s.store.Session(ctx, session.TokenHash); err != nil || !got.SeenAt.Equal(now.Add(time.Minute)) {
		s.Errorf("seen at %v, %v", got, err)
	}

	// ADM-06: a request that was under way when somebody signed out must not
	// sign in again.
	s.must(s.store.EndSession(ctx, session.TokenHash))
	s.must(s.store.EndSession(ctx, session.TokenHash))
	s.must(s.store.TouchSession(ctx, session.TokenHash, now.Add(2*time.Minute)))
	_, err = s.store.Session(ctx, session.TokenHash)
	s.mustBe(registry.ErrNotFound, err)

	for _, name := range []string{"old", "new"} {
		expires := map[string]time.Duration{"old": -time.Second, "new": time.Second}[name]
		s.must(s.store.CreateSession(ctx, registry.Session{TokenHash: hashOf(name), Person: []byte("{}"), SeenAt: now, ExpiresAt: now.Add(expires)}))
	}
	if n, err := s.store.PurgeSessions(ctx, now); n != 1 || err != nil {
		s.Errorf("purged %d, %v", n, err)
	}
	_, err = s.store.Session(ctx, hashOf("new"))
	s.must(err)
	s.must(s.store.Fence(ctx)) // what a backup brings back
	_, err = s.store.Session(ctx, hashOf("new"))
	s.mustBe(registry.ErrNotFound, err)
}

func (s *suite) firstOperator() {
	if found, err := s.store.HasOperator(s.Context()); found || err != nil {
		s.Fatal(found, err)
	}
	var made atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			switch err := s.store.CreateFirstOperator(s.Context(), newOperator()); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, registry.ErrConflict):
				s.Error(err)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 {
		s.Errorf("%d first operators", made.Load())
	}
	if found, err := s.store.HasOperator(s.Context()); !found || err != nil {
		s.Error(found, err)
	}
}
