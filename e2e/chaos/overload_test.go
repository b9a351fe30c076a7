//go:build linux && chaos

package chaos

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// flood is an open loop: requests come at their rate, whatever becomes of those
// before.
type flood struct {
	rig   *rig
	token string

	mu      sync.Mutex
	samples samples
	bare    int // refused without Retry-After
	unsent  int // too many under way in this process
}

const maxUnderWay = 4000

// R14: four times as many requests as can be served, on one core.
// Only in the full set: what one core can do is a figure of the machine, which
// must run nothing else meanwhile.
func TestR14Overload(t *testing.T) {
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Fatal("no taskset: install util-linux")
	}
	r := &rig{t: t, file: filepath.Join(t.TempDir(), "cambio.db")}
	replica := newReplica(t, "the replica", "sqlite://"+r.file, "GOMAXPROCS=1")
	replica.prefix = []string{"taskset", "-c", "0"}
	r.add(replica)
	r.begin()
	stayOffCore0(t)
	const span, overload = 15 * time.Second, 30 * time.Second
	f := &flood{rig: r, token: r.subjectToken("somebody")}
	peak := 0.0
	for _, clients := range []int{32, 128, 256} {
		peak = max(peak, f.closed(clients, span/3))
	}
	health := watchHealth(t, replica)
	f.samples = nil
	f.open(4*peak, overload)
	slowestHealth := health()
	f.mu.Lock()
	all := f.samples
	f.mu.Unlock()
	quick := all.within(time.Second)
	goodput := quick.rate(overload)
	calm := eventually(t, time.Minute, "an exchange is quick again", func() bool {
		began := time.Now()
		status, _, err := r.exchange(replica.url(), f.token)
		return err == nil && status == http.StatusOK && time.Since(began) < 100*time.Millisecond
	})
	memory := replica.peakMemory()
	admitted := all.with(http.StatusOK).percentile(.99)
	target(t, goodput >= 0.8*peak, "goodput %.0f/s of a peak of %.0f/s", goodput, peak)
	target(t, admitted <= time.Second, "p99 of what was admitted: %s", admitted)
	target(t, f.bare == 0, "%d refusals without Retry-After", f.bare)
	target(t, memory <= 512, "%d MiB of memory", memory)
	target(t, slowestHealth <= 100*time.Millisecond, "/readyz took %s", slowestHealth)
	target(t, calm <= 5*time.Second, "back to normal after %s", calm)
	figure(t, "goodput ≥ 80 % of peak; p99 of 200 ≤ 1 s; 429 and 503 with Retry-After; ≤ 512 MiB; health ≤ 100 ms; normal again ≤ 5 s",
		"peak %.0f/s, offered %.0f/s, goodput %.0f/s (%.0f %%); p99 of 200 %s, of 503 %s; %s, %d × 429, %d without Retry-After, %d not sent; %d MiB; /readyz ≤ %s; normal again after %s",
		peak, 4*peak, goodput, 100*goodput/peak, admitted, all.with(http.StatusServiceUnavailable).percentile(.99), all, len(all.with(429)), f.bare, f.unsent, memory, slowestHealth, calm.Round(time.Millisecond))
}

// stayOffCore0 keeps this process from taking time of the replica's core. It
// gives the core back at the end.
func stayOffCore0(t *testing.T) {
	t.Helper()
	cores := runtime.NumCPU()
	if cores < 2 {
		t.Fatal("one core for the replica and one for its clients are needed")
	}
	pin := func(list string) {
		if out, err := exec.Command("taskset", "-a", "-c", "-p", list, strconv.Itoa(os.Getpid())).CombinedOutput(); err != nil {
			t.Errorf("taskset: %v: %s", err, out)
		}
	}
	pin(fmt.Sprintf("1-%d", cores-1))
	t.Cleanup(func() { pin(fmt.Sprintf("0-%d", cores-1)) })
}

// within gives the successes that came in time.
func (s samples) within(limit time.Duration) samples {
	var some samples
	for _, one := range s.with(http.StatusOK) {
		if one.took <= limit {
			some = append(some, one)
		}
	}
	return some
}

// rate is successes a second.
func (s samples) rate(of time.Duration) float64 {
	return float64(len(s.with(http.StatusOK))) / of.Seconds()
}

// closed gives the rate that a number of clients reach.
func (f *flood) closed(clients int, span time.Duration) float64 {
	var all sync.WaitGroup
	f.samples = nil
	end := time.Now().Add(span)
	for range clients {
		all.Go(func() {
			for time.Now().Before(end) {
				f.send()
			}
		})
	}
	all.Wait()
	return f.samples.rate(span)
}

func (f *flood) open(rate float64, span time.Duration) {
	var all sync.WaitGroup
	var underWay atomic.Int64
	began := time.Now()
	for sent := 0; time.Since(began) < span; time.Sleep(time.Millisecond) {
		for due := int(rate * time.Since(began).Seconds()); sent < due; sent++ {
			if underWay.Load() >= maxUnderWay {
				f.unsent++
				continue
			}
			underWay.Add(1)
			all.Go(func() {
				defer underWay.Add(-1)
				f.send()
			})
		}
	}
	all.Wait()
}

func (f *flood) send() {
	began := time.Now()
	status, retryAfter := f.ask()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.samples = append(f.samples, sample{began, time.Since(began), status})
	if (status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests) && retryAfter == "" {
		f.bare++
	}
	switch status {
	case 0, http.StatusOK, http.StatusServiceUnavailable, http.StatusTooManyRequests:
	default:
		f.rig.t.Errorf("an overloaded replica answered %d", status)
	}
}

// ask sends one exchange.
func (f *flood) ask() (status int, retryAfter string) {
	request, err := exchangeRequest(f.rig.replicas[0].url(), f.rig.party, f.token)
	if err != nil {
		f.rig.t.Error(err)
		return 0, ""
	}
	response, err := f.rig.client.Do(request)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil { // or the connection is not kept
		return 0, ""
	}
	return response.StatusCode, response.Header.Get("Retry-After")
}

// watchHealth asks a replica for /readyz again and again until the function it
// gives is called, which tells how long the slowest answer took. A process of
// its own asks: in one that sends thousands of requests, the clock would tell
// how long the answer waited to be read.
func watchHealth(t *testing.T, r *replica) (slowest func() time.Duration) {
	t.Helper()
	watcher := exec.Command(os.Args[0])
	watcher.Env = append(os.Environ(), watchedReplica+"="+r.ops)
	var out bytes.Buffer
	watcher.Stdout, watcher.Stderr = &out, os.Stderr
	stop, err := watcher.StdinPipe()
	if err == nil {
		err = watcher.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() time.Duration {
		t.Helper()
		_ = stop.Close()
		if err := watcher.Wait(); err != nil {
			t.Fatal(err)
		}
		took, err := time.ParseDuration(out.String())
		if err != nil {
			t.Fatal(err)
		}
		return took
	}
}

// peakMemory is the most it ever had, in MiB.
func (r *replica) peakMemory() int {
	r.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.process.command.Process.Pid))
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	if err != nil || found == nil {
		r.t.Fatalf("memory: %v", err)
	}
	kib, err := strconv.Atoi(string(found[1]))
	if err != nil {
		r.t.Fatal(err)
	}
	return kib >> 10
}
