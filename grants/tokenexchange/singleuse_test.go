package tokenexchange_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
)

// used remembers what was used up.
type used struct {
	calls []string
	until time.Time
	err   error
}

func (u *used) Consume(_ context.Context, integratorID, issuer, tokenID string, expiresAt time.Time) (bool, error) {
	call := integratorID + " " + issuer + " " + tokenID
	first := !strings.Contains(strings.Join(u.calls, "\n"), call)
	u.calls, u.until = append(u.calls, call), expiresAt
	return first, u.err
}

func (u *used) Consumed(_ context.Context, integratorID, issuer, tokenID string) (bool, error) {
	return strings.Contains(strings.Join(u.calls, "\n"), integratorID+" "+issuer+" "+tokenID), u.err
}

func singleUseWorld(replays tokenexchange.Replays) *world {
	w := newWorld()
	w.policies[0].SingleUse = true
	w.replays = replays
	return w
}

func TestATokenIsExchangedOnceWhereThePolicySaysSo(t *testing.T) {
	u := &used{}
	w := singleUseWorld(u)
	r := request(soundClaims().with("jti", "j1").signedBy(acmeKey()))
	d, err := w.exchange(r)
	accepted(t, d, err)
	if want := "acme " + acmeIssuer + " j1"; len(u.calls) != 1 || u.calls[0] != want || u.until.Unix() != now.Unix()+3600 {
		t.Errorf("used up %q until %v", u.calls, u.until)
	}
	d, err = w.exchange(r)
	refused(t, d, err, grants.InvalidRequest, grants.Replayed, "exchanged before")
	if d.Subject == "" || d.Issuer == "" {
		t.Error("the record does not say whose token was replayed")
	}
	d, err = w.exchange(request(soundClaims().signedBy(acmeKey())))
	refused(t, d, err, grants.InvalidRequest, grants.ClaimMissing, "jti")
}

// Of several key URLs of one issuer, one that says so speaks for all: the
// sender could choose another.
func TestSingleUseHoldsForTheIssuer(t *testing.T) {
	u := &used{}
	w := singleUseWorld(u)
	second := w.policies[0]
	second.SingleUse, second.AllowIDToken = false, true
	w.policies = append(w.policies, second)
	r := request(soundClaims().with("jti", "j1").signedBy(acmeKey()))
	d, err := w.exchange(r)
	accepted(t, d, err)
	r.SubjectTokenType = grants.TokenTypeIDToken
	d, err = w.exchange(r)
	refused(t, d, err, grants.InvalidRequest, grants.Replayed, "")
}

func TestWithoutThePolicyNothingIsUsedUp(t *testing.T) {
	w, u := newWorld(), &used{}
	w.replays = u
	for range 2 {
		d, err := w.exchange(request(soundClaims().with("jti", "j1").signedBy(acmeKey())))
		accepted(t, d, err)
	}
	if len(u.calls) != 0 {
		t.Errorf("used up %q", u.calls)
	}
}

// Whoever guesses a jti, or asks for too much, uses up nothing.
func TestARefusedTokenIsNotUsedUp(t *testing.T) {
	sound := soundClaims().with("jti", "j1")
	narrow := request(sound.signedBy(acmeKey()))
	narrow.Scopes = []string{"something.else"}
	aimed := request(sound.signedBy(acmeKey()))
	aimed.Audiences = []string{"https://unknown.example"}
	for name, r := range map[string]tokenexchange.Request{
		"a wrong signature":      request(sound.signedBy(otherKey())),
		"no permissions":         request(sound.with("permissions", nil).signedBy(acmeKey())),
		"permissions of no kind": request(sound.with("permissions", 1).signedBy(acmeKey())),
		"a scope not granted":    narrow,
		"an unknown target":      aimed,
		"another audience":       request(sound.with("aud", "https://other.example").signedBy(acmeKey())),
		"expired":                request(sound.with("exp", now.Unix()-1).signedBy(acmeKey())),
		"no life left":           request(sound.with("exp", now.Unix()+1).signedBy(acmeKey())),
	} {
		u := &used{}
		if d, err := singleUseWorld(u).exchange(r); err == nil || len(u.calls) != 0 {
			t.Errorf("%s: %v %v, used up %q", name, d, err, u.calls)
		}
	}
}

// A database that cannot tell whether a token was used is neither "replayed"
// nor a token.
func TestWhetherATokenWasUsedCannotBeTold(t *testing.T) {
	r := request(soundClaims().with("jti", "j1").signedBy(acmeKey()))
	down := errors.New("down")
	d, err := singleUseWorld(&used{err: down}).exchange(r)
	refused(t, d, err, grants.TemporarilyUnavailable, grants.DatabaseUnavailable, "used before")
	if !errors.Is(err, down) {
		t.Errorf("the cause is lost: %v", err)
	}
	d, err = singleUseWorld(nil).exchange(r)
	refused(t, d, err, grants.TemporarilyUnavailable, grants.DatabaseUnavailable, "")
}
