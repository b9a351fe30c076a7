package clientassertion_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/grants/clientassertion"
)

var now = time.Unix(1_800_000_000, 0)

// used is a memory of assertions.
type used struct {
	seen map[string]bool
	err  error
}

func (u *used) Consume(_ context.Context, clientID, tokenID string, _ time.Time) (bool, error) {
	name := clientID + " " + tokenID
	first := !u.seen[name]
	if u.seen == nil {
		u.seen = map[string]bool{}
	}
	u.seen[name] = true
	return first, u.err
}

func sign(t *testing.T, key *ecdsa.PrivateKey, jti string) *clientassertion.Assertion {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(`{"alg":"ES256","kid":"k"}`)) + "." +
		encode(fmt.Appendf(nil, `{"iss":"c","sub":"c","aud":"https://as.example","jti":%q,"exp":%d}`, jti, now.Unix()+60))
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	a, refusal := clientassertion.Parse(input + "." + encode(signature))
	if refusal != nil {
		t.Fatal(refusal)
	}
	return a
}

func keysOf(public crypto.PublicKey, err error) clientassertion.Keys {
	return clientassertion.Keys{Source: assertion.KeysFunc(func(context.Context, assertion.KeyQuery) ([]assertion.Key, error) {
		return []assertion.Key{{ID: "k", Public: public}}, err
	})}
}

// A failure of ours is never "wrong credentials", and uses nothing up before
// the signature was good.
func TestWhatIsNotTheClientsFault(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	down := errors.New("down")
	for name, test := range map[string]struct {
		keys    clientassertion.Keys
		replays *used
		code    grants.Code
		reason  grants.Reason
		uses    int
	}{
		"good":                            {keysOf(&key.PublicKey, nil), &used{}, "", "", 1},
		"another key":                     {keysOf(&other.PublicKey, nil), &used{}, grants.InvalidClient, "", 0},
		"no keys to be had":               {keysOf(nil, down), &used{}, grants.TemporarilyUnavailable, grants.KeysUnavailable, 0},
		"the database cannot tell":        {keysOf(&key.PublicKey, nil), &used{err: down}, grants.TemporarilyUnavailable, grants.DatabaseUnavailable, 1},
		"used before":                     {keysOf(&key.PublicKey, nil), &used{seen: map[string]bool{"c 1": true}}, grants.InvalidClient, "", 1},
		"another key, though used before": {keysOf(&other.PublicKey, nil), &used{seen: map[string]bool{"c 1": true}}, grants.InvalidClient, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			v := &clientassertion.Verifier{Audiences: []string{"https://as.example"}, Replays: test.replays, Now: func() time.Time { return now }}
			a := sign(t, key, "1")
			if refusal := v.CheckClaims(a); refusal != nil {
				t.Fatal(refusal)
			}
			refusal := v.Verify(t.Context(), a, test.keys)
			switch {
			case test.code == "" && refusal != nil, test.code != "" && (refusal == nil || refusal.Code != test.code || refusal.Reason != test.reason):
				t.Errorf("got %v", refusal)
			case len(test.replays.seen) != test.uses:
				t.Errorf("used up %v", test.replays.seen)
			case refusal != nil && strings.Contains(refusal.Description, "key"):
				if test.code == grants.InvalidClient {
					t.Errorf("tells of the client's keys: %s", refusal.Description)
				}
			}
		})
	}
}

// The boundaries of time: exp has no leeway, iat and nbf have a minute.
func TestTimes(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for offset, want := range map[time.Duration]bool{0: true, 59 * time.Second: true, 60 * time.Second: false, -time.Hour: true, -time.Hour - time.Second: false} {
		v := &clientassertion.Verifier{Audiences: []string{"https://as.example"}, Now: func() time.Time { return now.Add(offset) }}
		if refusal := v.CheckClaims(sign(t, key, "1")); (refusal == nil) != want {
			t.Errorf("%v after it was made: %v", offset, refusal)
		}
	}
}
