//go:build linux

package chaos

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The events of a ledger.
const (
	issued   = "issued"   // the token is in the client's hands
	revoking = "revoking" // about to be revoked: from now on it may be dead
	revoked  = "revoked"  // 200: from now on it is
)

// entry is a line of a ledger.
type entry struct {
	Event   string    `json:"event"`
	JTI     string    `json:"jti"`
	Token   string    `json:"token,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
	At      time.Time `json:"at"`
}

// ledger is what was acknowledged, written down outside of Cambio: a file, of
// which every line is on disk before it is replayed.
type ledger struct {
	t    *testing.T
	mu   sync.Mutex
	file *os.File
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return &ledger{t: t, file: file}
}

func (l *ledger) write(e entry) {
	e.At = time.Now()
	line, err := json.Marshal(e)
	if err != nil {
		l.t.Error(err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		l.t.Error(err)
	}
}

// account is what the ledger says of one token.
type account struct {
	token           string
	expires         time.Time
	revoking, ended bool
}

func (l *ledger) accounts() map[string]*account {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.file.Sync(); err != nil {
		l.t.Fatal(err)
	}
	file, err := os.Open(l.file.Name())
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	accounts := map[string]*account{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			l.t.Fatal(err)
		}
		switch e.Event {
		case issued:
			accounts[e.JTI] = &account{token: e.Token, expires: e.Expires}
		case revoking:
			accounts[e.JTI].revoking = true
		case revoked:
			accounts[e.JTI].ended = true
		}
	}
	if err := lines.Err(); err != nil {
		l.t.Fatal(err)
	}
	return accounts
}

// verdict is what a replay found.
type verdict struct {
	tokens, revocations                int // acknowledged
	lost, undone, unrecorded, unjudged int
}

func (v verdict) String() string {
	return fmt.Sprintf("%d tokens and %d revocations acknowledged: %d lost, %d undone, %d without a record", v.tokens, v.revocations, v.lost, v.undone, v.unrecorded)
}

// replay holds every replica to the ledger. A revoked token is asked of every
// replica, the others of one each, in turn: they share a database.
func (r *rig) replay(l *ledger) verdict {
	r.t.Helper()
	var v verdict
	var lost, undone, unjudged atomic.Int64
	work := make(chan func())
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for do := range work {
				do()
			}
		})
	}
	accounts := l.accounts()
	for jti, a := range accounts {
		replicas := r.replicas
		if !a.ended {
			i := v.tokens % len(r.replicas)
			replicas = replicas[i : i+1]
		}
		v.tokens++
		if a.ended {
			v.revocations++
		} else if a.revoking || time.Until(a.expires) < time.Minute {
			continue // nobody knows
		}
		for _, replica := range replicas {
			work <- func() { r.judge(replica, jti, a, &lost, &undone, &unjudged) }
		}
	}
	close(work)
	workers.Wait()
	v.lost, v.undone, v.unjudged = int(lost.Load()), int(undone.Load()), int(unjudged.Load())
	v.unrecorded = r.unrecorded(accounts)
	if v.lost+v.undone+v.unjudged+v.unrecorded > 0 {
		r.t.Errorf("the ledger: %s, %d could not be judged", v, v.unjudged)
	}
	return v
}

// maxShown is how many violations of a kind are named.
const maxShown = 5

func (r *rig) judge(replica *replica, jti string, a *account, lost, undone, unjudged *atomic.Int64) {
	for range 50 {
		status, answer, err := r.introspect(replica.url(), a.token)
		if err != nil || status != http.StatusOK {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		switch active := answer["active"] == true; {
		case active && a.ended:
			if undone.Add(1) <= maxShown {
				r.t.Errorf("%s: revoked token %s is active", replica.name, jti)
			}
		case !active && !a.ended:
			if lost.Add(1) <= maxShown {
				r.t.Errorf("%s: token %s is not active", replica.name, jti)
			}
		}
		return
	}
	unjudged.Add(1)
}

// unrecorded counts the acknowledged exchanges that the record does not hold.
func (r *rig) unrecorded(accounts map[string]*account) int {
	r.t.Helper()
	recorded, err := r.record()
	if err != nil {
		r.t.Fatalf("the record: %v", err)
	}
	missing := 0
	for jti := range accounts {
		if !recorded[jti] {
			if missing++; missing <= maxShown {
				r.t.Errorf("no record of token %s", jti)
			}
		}
	}
	return missing
}

// record reads the tokens on record, as an export.
func (r *rig) record() (map[string]bool, error) {
	request, err := http.NewRequest(http.MethodGet, r.replicas[0].url()+"/admin/v1/integrators/"+r.integrator+"/exchanges?result=granted", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+r.operator)
	request.Header.Set("Accept", "application/x-ndjson")
	response, err := (&http.Client{Transport: r.client.Transport, Timeout: 2 * time.Minute}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	recorded := map[string]bool{}
	for lines := json.NewDecoder(response.Body); ; {
		var line struct {
			JTI string `json:"jti"`
		}
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			return recorded, nil
		} else if err != nil {
			return nil, err
		}
		recorded[line.JTI] = true
	}
}

// claimsOf reads a token without judging it.
func claimsOf(token string) (jti string, expires time.Time, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", time.Time{}, fmt.Errorf("not a JWT: %q", token)
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", time.Time{}, err
	}
	var claims struct {
		JTI string `json:"jti"`
		Exp int64  `json:"exp"`
	}
	err = json.Unmarshal(data, &claims)
	return claims.JTI, time.Unix(claims.Exp, 0), err
}
