//go:build linux

package chaos

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a program that does not outlive its test, and whose log is shown
// when the test fails.
type process struct {
	t       *testing.T
	command *exec.Cmd
	ended   chan struct{}
	err     error // after ended
}

// startProcess starts a command in a process group of its own; logFile is
// appended to.
func startProcess(t *testing.T, command *exec.Cmd, logFile string) *process {
	t.Helper()
	log, err := os.OpenFile(logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	command.Stdout, command.Stderr = log, log
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Setpgid = true
	if command.SysProcAttr.Pdeathsig == 0 {
		command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, command: command, ended: make(chan struct{})}
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) signal(s syscall.Signal) {
	if p.running() {
		_ = syscall.Kill(-p.command.Process.Pid, s)
	}
}

// kill ends the process and what it started, at once.
func (p *process) kill() {
	for _, child := range p.children() {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// children are in groups of their own (PostgreSQL's).
func (p *process) children() []int {
	var children []int
	if !p.running() {
		return nil
	}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.command.Process.Pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				children = append(children, pid)
			}
		}
	}
	return children
}

// end signals and waits for the end, which has to be a good one.
func (p *process) end(s syscall.Signal, within time.Duration) error {
	p.signal(s)
	select {
	case <-p.ended:
		return p.err
	case <-time.After(within):
		p.kill()
		return fmt.Errorf("still running %s after signal %d", within, s)
	}
}

// showLog prints the end of a log if the test has failed, without the requests
// that went as they should.
func showLog(t *testing.T, name, logFile string) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		data, _ := os.ReadFile(logFile)
		lines := slices.DeleteFunc(bytes.Split(bytes.TrimSpace(data), []byte("\n")), func(line []byte) bool {
			return bytes.Contains(line, []byte(`"level":"INFO","msg":"request"`))
		})
		t.Logf("the last lines of %s:\n%s", name, bytes.Join(lines[max(0, len(lines)-15):], []byte("\n")))
	})
}

// freePort gives a port below the range that outgoing connections take theirs
// from, so that a program finds it free again after a restart. A folder marks it
// as given.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 12000 + rand.IntN(8000)
		if os.Mkdir(filepath.Join(filepath.Dir(binary), strconv.Itoa(port)), 0o700) != nil {
			continue
		}
		listener, err := net.Listen("tcp", address(port))
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// eventually waits until something holds and tells how long that took.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		held := holds()
		took := time.Since(start)
		if held {
			return took
		}
		if took > within {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}
