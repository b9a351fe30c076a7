package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// runs runs another command of the binary against a server, as the operator.
func (c *cambio) runs(stdin string, arguments ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	command := exec.CommandContext(c.t.Context(), binary, append(arguments, "--server", c.url)...)
	command.Env = []string{"CAMBIO_OPERATOR_CLIENT_ID=operator", "CAMBIO_OPERATOR_CLIENT_SECRET=" + operatorSecret}
	command.Stdin = strings.NewReader(stdin)
	var out, failure bytes.Buffer
	command.Stdout, command.Stderr = &out, &failure
	if err := command.Run(); err != nil && command.ProcessState == nil {
		c.t.Fatal(err)
	}
	return out.String(), failure.String(), command.ProcessState.ExitCode()
}

// The binary applies a file, exports it, and what it exports changes nothing.
func TestApplyAndExport(t *testing.T) {
	const text = `
lock_holders: [{name: East, country_iso: NO, organization_id: 919424508, organization_id_suffix: east}]
resource_servers: [{name: Locks, audience: https://locks.example}]
integrators:
- name: Acme
  lock_holders: [NO.919424508.east]
  clients: [{client_name: backend}]
  key_urls: [{issuer: https://acme.example/, url: https://acme.example/jwks.json}]
`
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		c := serve(t, "CAMBIO_DATABASE_URL="+databaseURL, "CAMBIO_SECRET_KEY=9IWxj+ymKZgJCUpBR8ci6USmiS7/eyo0Jb8Tp8p0Ae0=")
		defer c.stop()
		folder := t.TempDir()
		file, secrets := filepath.Join(folder, "cambio.yaml"), filepath.Join(folder, "secrets.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			what      string
			stdin     string
			arguments []string
			code      int
			says      string
		}{
			{"secrets without a place", "", []string{"apply", "-f", file}, 1, "--secrets-file"},
			{"a dry run", "", []string{"apply", "-f", file, "--dry-run"}, 0, "+ create link \"Acme\" NO.919424508.east\n"},
			{"all of it", "", []string{"apply", "-f", file, "--secrets-file", secrets}, 0, "= 0 unchanged\ndone: 6\n"},
			{"again", "", []string{"apply", "-f", file, "--secrets-file", secrets, "--prune"}, 0, "= 6 unchanged\n"},
			{"a misspelt member", "integrators:\n- nome: x\n", []string{"apply", "-f", "-"}, 1, "standard input:2: integrators[0].nome: there is no such member; there are name, status"},
		} {
			stdout, stderr, code := c.runs(step.stdin, step.arguments...)
			if code != step.code || !strings.Contains(stdout+stderr, step.says) || strings.Contains(stdout+stderr, "cbs_") {
				t.Errorf("%s: exit code %d\n%s%s", step.what, code, stdout, stderr)
			}
		}
		if kept, err := os.ReadFile(secrets); err != nil || strings.Count(string(kept), "client_secret: cbs_") != 2 {
			t.Errorf("%v\n%s", err, kept)
		}
		exported, stderr, code := c.runs("", "export")
		if code != 0 || strings.Contains(exported, "cbs_") {
			t.Fatalf("exit code %d\n%s%s", code, exported, stderr)
		}
		if stdout, stderr, code := c.runs(exported, "apply", "-f", "-", "--dry-run", "--prune"); code != 0 || stdout != "= 6 unchanged\n" {
			t.Errorf("exit code %d\n%s%s\nof\n%s", code, stdout, stderr, exported)
		}
	})
}
