package accesstoken_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants/accesstoken"
)

// What is remembered of a token is that its signature was good. All else is
// looked at again.
func TestATokenThatWasSeenBefore(t *testing.T) {
	sound := signText(ourKey(), header, claims)
	warm := func() (*accesstoken.Verifier, *publicKeys, *time.Time) {
		clock, keys := now, &publicKeys{}
		v := verifier()
		v.Keys, v.Recent, v.Now = keys, &accesstoken.Recent{}, func() time.Time { return clock }
		for range 2 {
			if got, err := v.Verify(t.Context(), sound); err != nil || got.ID != "id" {
				t.Fatal(got, err)
			}
		}
		return v, keys, &clock
	}
	t.Run("it has expired", func(t *testing.T) {
		v, _, clock := warm()
		*clock = now.Add(time.Hour)
		wantInvalid(t, v, sound, "expired")
	})
	t.Run("its key is no longer ours", func(t *testing.T) {
		v, keys, _ := warm()
		keys.gone = true
		wantInvalid(t, v, sound, "no such key")
	})
	t.Run("the keys cannot be read", func(t *testing.T) {
		v, keys, _ := warm()
		keys.err = errors.New("no database")
		if _, err := v.Verify(t.Context(), sound); !errors.Is(err, keys.err) || errors.Is(err, accesstoken.ErrInvalid) {
			t.Error(err)
		}
	})
	t.Run("another text is another token", func(t *testing.T) {
		v, _, _ := warm()
		for _, other := range []string{sound + "A", sound + " ", sound[:len(sound)-4] + "AAAA", signText(otherKey(), header, claims), replace(t, sound, ".", "..")} {
			wantInvalid(t, v, other, "")
		}
		if _, err := v.Verify(t.Context(), sound); err != nil {
			t.Error(err)
		}
	})
	t.Run("nobody changes what is remembered", func(t *testing.T) {
		v, _, _ := warm()
		got, err := v.Verify(t.Context(), sound)
		if err != nil {
			t.Fatal(err)
		}
		got.ClientID = "another"
		if again, err := v.Verify(t.Context(), sound); err != nil || again.ClientID != "c" {
			t.Error(again, err)
		}
	})
	t.Run("what is refused is not remembered as good", func(t *testing.T) {
		v, _, _ := warm()
		bad := signText(otherKey(), header, claims)
		for range 2 {
			wantInvalid(t, v, bad, "signature")
		}
	})
}
