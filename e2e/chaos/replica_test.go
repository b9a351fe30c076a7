//go:build linux

package chaos

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	issuer         = "https://auth.chaos.example"
	operatorID     = "operator"
	operatorSecret = "an-operator-secret-of-forty-characters--"
	secretKey      = "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="
)

// startTimeout is for a machine that is busy with other tests.
const startTimeout = 60 * time.Second

// replica is one `cambio serve`, which keeps its ports when it is restarted.
type replica struct {
	t       *testing.T
	name    string
	listen  string
	ops     string
	folder  string
	prefix  []string // a command that runs the program
	environ []string
	process *process
}

func newReplica(t *testing.T, name, databaseURL string, environ ...string) *replica {
	t.Helper()
	r := &replica{t: t, name: name, listen: address(freePort(t)), ops: address(freePort(t)), folder: t.TempDir()}
	r.environ = append([]string{
		"PATH=" + os.Getenv("PATH"), "CAMBIO_LISTEN=" + r.listen, "CAMBIO_OPS_LISTEN=" + r.ops, "CAMBIO_ISSUER=" + issuer,
		"CAMBIO_DATABASE_URL=" + databaseURL, "CAMBIO_SECRET_KEY=" + secretKey, "CAMBIO_EXCHANGE_LOG=durable",
		"CAMBIO_OPERATOR_CLIENT_ID=" + operatorID, "CAMBIO_OPERATOR_CLIENT_SECRET=" + operatorSecret, "CAMBIO_KEY_URL_ALLOW=127.0.0.0/8",
	}, environ...)
	showLog(t, name, r.logFile())
	return r
}

func (r *replica) logFile() string { return filepath.Join(r.folder, "log") }

func (r *replica) url() string { return "http://" + r.listen }

func (r *replica) command(arguments ...string) *exec.Cmd {
	line := append(append([]string{}, r.prefix...), binary)
	line = append(line, arguments...)
	command := exec.Command(line[0], line[1:]...)
	command.Dir, command.Env = r.folder, r.environ
	return command
}

func (r *replica) start() {
	r.t.Helper()
	r.process = startProcess(r.t, r.command("serve"), r.logFile())
}

// startAndWait tells how long the start took.
func (r *replica) startAndWait() time.Duration {
	r.t.Helper()
	r.start()
	return r.waitReady(startTimeout)
}

func (r *replica) waitReady(within time.Duration) time.Duration {
	r.t.Helper()
	return eventually(r.t, within, r.name+" is ready", func() bool {
		if !r.process.running() {
			r.t.Fatalf("%s ended: %v", r.name, r.process.err)
		}
		return r.ready(time.Second)
	})
}

// ready asks /readyz.
func (r *replica) ready(timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.ops+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// stop ends it as an orchestrator does.
func (r *replica) stop() {
	r.t.Helper()
	if err := r.process.end(syscall.SIGTERM, 40*time.Second); err != nil {
		r.t.Errorf("%s after SIGTERM: %v", r.name, err)
	}
}

// metric reads one number of /metrics.
func (r *replica) metric(name string) (float64, error) {
	response, err := http.Get("http://" + r.ops + "/metrics")
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("no metric %s", name)
}
