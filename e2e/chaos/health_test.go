//go:build linux

package chaos

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// watchedReplica tells this program, started once more, that it is the watcher
// of the replica whose listener for operators it names.
const watchedReplica = "CHAOS_WATCHED_REPLICA"

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

// watch is the watcher. It ends when its standard input does, or with a failure
// when the replica was not ready.
func watch(ops string) int {
	stopped := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stopped)
	}()
	r := &replica{ops: ops}
	slowest := time.Duration(0)
	for {
		select {
		case <-stopped:
			fmt.Print(slowest.Round(time.Millisecond))
			return 0
		case <-time.After(50 * time.Millisecond):
			began := time.Now()
			if !r.ready(10 * time.Second) {
				fmt.Fprintln(os.Stderr, "the replica is not ready")
				return 1
			}
			slowest = max(slowest, time.Since(began))
		}
	}
}
