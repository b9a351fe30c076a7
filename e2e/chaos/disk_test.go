//go:build linux

package chaos

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to look at the file beside the replica
)

// disk is one that a replica's database is on, and that can be full.
type disk struct {
	prefix     []string // runs the replica where the disk is
	fill, free func(t *testing.T, r *replica)
	kind       string
}

// smallDisk is a file system of 16 MiB that only the replica sees or, where the
// machine forbids that, a limit on the size of its files.
func smallDisk(t *testing.T, folder string) disk {
	t.Helper()
	const mount = `mount -t tmpfs -o size=16m,mode=0700 tmpfs "$0" && exec "$@"`
	for _, unshare := range [][]string{{"unshare", "-m"}, {"unshare", "-r", "-m"}} {
		prefix := append(unshare, "sh", "-c", mount, folder)
		if exec.Command(prefix[0], append(prefix[1:], "true")...).Run() == nil {
			return disk{prefix: prefix, kind: "tmpfs of 16 MiB", fill: fillFolder(folder), free: freeFolder(folder)}
		}
	}
	if full {
		t.Fatal("no file system of its own for the replica: `unshare -m` and `unshare -r -m` both failed (root, or user namespaces)")
	}
	limit := func(size string) func(*testing.T, *replica) {
		return func(t *testing.T, r *replica) {
			t.Helper()
			if out, err := exec.Command("prlimit", "--pid", fmt.Sprint(r.process.command.Process.Pid), "--fsize="+size+":").CombinedOutput(); err != nil {
				t.Fatalf("prlimit: %v: %s", err, out)
			}
		}
	}
	return disk{kind: "limit on file sizes", fill: limit("4096"), free: limit("unlimited")}
}

// seen is the folder as the replica sees it.
func seen(r *replica, folder string) string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", r.process.command.Process.Pid), folder)
}

func fillFolder(folder string) func(*testing.T, *replica) {
	return func(t *testing.T, r *replica) {
		t.Helper()
		file, err := os.Create(filepath.Join(seen(r, folder), "ballast"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := io.Copy(file, zeroes{}); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("the disk is not full: %v", err)
		}
	}
}

func freeFolder(folder string) func(*testing.T, *replica) {
	return func(t *testing.T, r *replica) {
		t.Helper()
		if err := os.Remove(filepath.Join(seen(r, folder), "ballast")); err != nil {
			t.Fatal(err)
		}
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { return len(p), nil }

// R12: the disk under SQLite is full.
func TestR12DiskFull(t *testing.T) {
	folder := t.TempDir()
	d := smallDisk(t, folder)
	r := &rig{t: t, file: filepath.Join(folder, "cambio.db")}
	replica := newReplica(t, "the replica", "sqlite://"+r.file)
	replica.prefix = d.prefix
	r.add(replica)
	r.begin()
	l := r.startLoad(4, 5*time.Millisecond)
	time.Sleep(500 * time.Millisecond)
	token := r.mustExchange()
	d.fill(t, replica)
	eventually(t, 20*time.Second, "nothing is issued", func() bool {
		status, _, err := r.exchange(replica.url(), r.subjectToken("somebody"))
		return err == nil && status == http.StatusServiceUnavailable
	})
	began := time.Now()
	wrong := 0
	for time.Since(began) < size(2*time.Second, 20*time.Second) {
		if status, answer, err := r.introspect(replica.url(), token); err != nil || status != http.StatusOK || answer["active"] != true {
			wrong++
			t.Errorf("a full disk makes a live token %d %v %v", status, answer, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	during := l.soFar().during(began, time.Now())
	d.free(t, replica)
	recovered := r.success(30 * time.Second)
	time.Sleep(300 * time.Millisecond)
	l.finish()
	checkFile(t, seen(replica, r.file))
	v := r.replay(l.ledger)
	target(t, recovered <= 5*time.Second, "recovery took %s", recovered)
	figure(t, "issue and revoke 503, introspection right, file intact, recovery ≤ 5 s",
		"%s, full for %s: %s, %d wrong introspections; recovery %s; %s", d.kind, size(2*time.Second, 20*time.Second), during, wrong, recovered.Round(time.Millisecond), v)
}

func (r *rig) mustExchange() string {
	r.t.Helper()
	status, answer, err := r.exchange(r.replicas[0].url(), r.subjectToken("somebody"))
	if err != nil || status != http.StatusOK {
		r.t.Fatalf("exchange: %d %v %v", status, answer, err)
	}
	return answer["access_token"].(string)
}

// checkFile lets SQLite look for damage.
func checkFile(t *testing.T, file string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)&_pragma=query_only(1)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var result string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		t.Errorf("integrity_check: %s, %v", result, err)
	}
}
