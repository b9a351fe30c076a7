package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "cambio-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(folder, "cambio")
	build := exec.Command("go", "build", "-o", binary, "../cmd/cambio")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is shipped
	build.Stderr = os.Stderr
	code := 1
	if err := build.Run(); err == nil {
		code = m.Run()
	}
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// Scenarios of the binary, as text.
func TestScenarios(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+env.Getenv("PATH"))
			return nil
		},
	})
}

const operatorSecret = "an-operator-secret-of-forty-characters--"

// cambio is a running `cambio serve`.
type cambio struct {
	t       *testing.T
	url     string
	command *exec.Cmd
	log     *bufio.Reader
	token   string
}

// serve starts the binary with an environment of its own.
func serve(t *testing.T, environ ...string) *cambio {
	t.Helper()
	c := launch(t, append([]string{"CAMBIO_OPERATOR_CLIENT_ID=operator", "CAMBIO_OPERATOR_CLIENT_SECRET=" + operatorSecret}, environ...))
	c.token = c.form("/oauth2/token", "operator", operatorSecret, url.Values{"grant_type": {"client_credentials"}}, 200)["access_token"].(string)
	return c
}

// launch starts the binary as it is when nobody has set it up.
func launch(t *testing.T, environ []string) *cambio {
	t.Helper()
	command := exec.CommandContext(t.Context(), binary, "serve")
	command.Dir = t.TempDir()
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "CAMBIO_LISTEN=127.0.0.1:0", "CAMBIO_OPS_LISTEN=", "CAMBIO_KEY_URL_ALLOW=127.0.0.0/8"}, environ...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 30 * time.Second
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	c := &cambio{t: t, command: command, log: bufio.NewReader(stderr)}
	for c.url == "" {
		line, err := c.log.ReadString('\n')
		if err != nil {
			t.Fatalf("cambio ended before it was ready: %v", errors.Join(err, command.Wait()))
		}
		var entry struct{ Msg, Listen string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Listen != "" {
			c.url = "http://" + entry.Listen
		}
	}
	go func() { _, _ = io.Copy(io.Discard, c.log) }()
	return c
}

// stop ends the program as an operator does, and demands that it ends well.
func (c *cambio) stop() {
	c.t.Helper()
	if err := c.command.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	if err := c.command.Wait(); err != nil {
		c.t.Errorf("after SIGTERM: %v", err)
	}
}

type object = map[string]any

func (c *cambio) form(path, id, secret string, form url.Values, status int) object {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return c.do(request, status)
}

func (c *cambio) admin(method, path string, body object, status int) object {
	c.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.url+"/admin/v1"+path, strings.NewReader(string(data)))
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.token)
	return c.do(request, status)
}

func (c *cambio) do(request *http.Request, status int) object {
	c.t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if response.StatusCode != status {
		c.t.Fatalf("%s %s: status %d, want %d: %s", request.Method, request.URL.Path, response.StatusCode, status, data)
	}
	var answer object
	_ = json.Unmarshal(data, &answer)
	return answer
}

// node runs one of the programs of interop/.
func node(ctx context.Context, t *testing.T, script string, arguments ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatal("no Node.js for the interop tests: install it (Debian: apt-get install nodejs npm), then run `make test`")
	}
	if _, err := os.Stat(filepath.Join("interop", "node_modules")); err != nil {
		t.Fatal("the programs of other people are not installed: run `make test`, or `npm ci` in e2e/interop")
	}
	command := exec.CommandContext(ctx, "node", append([]string{script}, arguments...)...)
	command.Dir = "interop"
	return command
}
