//go:build linux

package chaos

import (
	"fmt"
	"io"
	"os"
	"time"
)

// watchedReplica tells this program, started once more, that it is the watcher
// of the replica whose listener for operators it names.
const watchedReplica = "CHAOS_WATCHED_REPLICA"

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
