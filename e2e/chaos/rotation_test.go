//go:build linux

package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// R15: keys are rotated by two processes at once while tokens are issued.
// Pauses are longer than replicas take to read the keys again (5 s).
func TestR15ConcurrentRotation(t *testing.T) {
	beside(t)
	testRotation(t, size(2, 12), 6*time.Second)
}

// R15, against advice: one rotation right after the other.
func TestR15RotationBurst(t *testing.T) {
	beside(t)
	testRotation(t, size(2, 20), 0)
}

func testRotation(t *testing.T, pairs int, pause time.Duration) {
	r := onPostgres(t, 2)
	v := &verifier{rig: r, keys: map[string]jose.JSONWebKey{}, seen: map[string]bool{}}
	var workers sync.WaitGroup
	var stop atomic.Bool
	for _, work := range []func(){v.use, v.use, v.sample} {
		workers.Go(func() {
			for !stop.Load() {
				work()
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	won := 0
	for i := range pairs {
		if i > 0 {
			time.Sleep(pause)
		}
		won += r.rotateTwice()
		for _, state := range []string{"active", "next"} {
			if n := r.postgres.number("SELECT count(*) FROM signing_keys WHERE state = '" + state + "'"); n != 1 {
				t.Errorf("%d %s keys", n, state)
			}
		}
	}
	time.Sleep(size(time.Second, 6*time.Second)) // every replica signs with the last one
	stop.Store(true)
	workers.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	target(t, v.unverifiable+v.incomplete == 0, "%d tokens could not be verified, %d readings of the JWKS lacked the key of a token", v.unverifiable, v.incomplete)
	figure(t, "1 active key; JWKS ⊇ keys of live tokens at every reading; 0 tokens unverifiable",
		"%d times 2 rotations at once and one killed, %s apart, %d reported success: %d tokens verified, %d not; %d readings of the JWKS, %d incomplete",
		pairs, pause, won, v.verified, v.unverifiable, v.readings, v.incomplete)
}

// rotateTwice runs `cambio keys rotate` in two processes, and in a third that is
// killed on its way, and tells how many of the two rotated.
func (r *rig) rotateTwice() int {
	r.t.Helper()
	var both sync.WaitGroup
	var won atomic.Int64
	for range 2 {
		both.Go(func() {
			if r.replicas[0].command("keys", "rotate").Run() == nil {
				won.Add(1)
			}
		})
	}
	killed := startProcess(r.t, r.replicas[0].command("keys", "rotate"), r.replicas[0].logFile())
	time.Sleep(rand.N(30 * time.Millisecond))
	killed.kill()
	both.Wait()
	return int(won.Load())
}

// verifier is a resource server: it keeps the JWKS and reads it again only when
// it meets a kid that it does not know.
type verifier struct {
	rig *rig

	mu                                           sync.Mutex
	keys                                         map[string]jose.JSONWebKey
	seen                                         map[string]bool // kids of tokens
	verified, unverifiable, readings, incomplete int
}

// use gets a token and verifies it at once.
func (v *verifier) use() {
	status, answer, err := v.rig.exchange(v.rig.balancer.server.URL, v.rig.subjectToken("somebody"))
	if err != nil || status != http.StatusOK {
		v.rig.t.Errorf("exchange: %d %v %v", status, answer, err)
		return
	}
	signed, err := jose.ParseSignedCompact(answer["access_token"].(string), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		v.rig.t.Error(err)
		return
	}
	kid := signed.Signatures[0].Protected.KeyID
	v.mu.Lock()
	key, ok := v.keys[kid]
	v.mu.Unlock()
	if !ok {
		published, err := v.read()
		if err != nil {
			v.rig.t.Error(err)
			return
		}
		key, ok = published[kid]
		v.mu.Lock()
		v.keys = published
		v.mu.Unlock()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seen[kid] = true
	if ok {
		_, err = signed.Verify(key.Key)
		ok = err == nil
	}
	if ok {
		v.verified++
	} else {
		v.unverifiable++
	}
}

// read fetches the JWKS, of whichever replica.
func (v *verifier) read() (map[string]jose.JSONWebKey, error) {
	response, err := v.rig.client.Get(v.rig.balancer.server.URL + "/.well-known/jwks.json")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil || response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("JWKS: status %d, %w", response.StatusCode, err)
	}
	keys := map[string]jose.JSONWebKey{}
	for _, key := range set.Keys {
		keys[key.KeyID] = key
	}
	return keys, nil
}

// sample holds the JWKS to the tokens that were there before.
func (v *verifier) sample() {
	v.mu.Lock()
	var kids []string
	for kid := range v.seen {
		kids = append(kids, kid)
	}
	v.mu.Unlock()
	published, err := v.read()
	if err != nil {
		v.rig.t.Error(err)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.readings++
	for _, kid := range kids {
		if _, ok := published[kid]; !ok {
			v.incomplete++
			return
		}
	}
}
