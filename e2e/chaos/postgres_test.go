//go:build linux

package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgres is a server of the test's own, to be killed and restarted. Its fsync
// is on: what it acknowledges is meant to be there afterwards.
type postgres struct {
	t       *testing.T
	bin     string
	user    string
	folder  string
	port    int
	process *process
}

// newPostgres makes a server that is not started.
func newPostgres(t *testing.T) *postgres {
	t.Helper()
	p := emptyPostgres(t)
	p.run("initdb", "-D", p.data(), "--username=cambio", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
	return p
}

func emptyPostgres(t *testing.T) *postgres {
	t.Helper()
	found, err := exec.Command("../postgres.sh", "programs").Output()
	lines := strings.Split(string(found), "\n")
	if err != nil || len(lines) < 2 {
		t.Fatalf("no PostgreSQL: %v: %s", err, found)
	}
	p := &postgres{t: t, bin: lines[0], user: lines[1], folder: t.TempDir(), port: freePort(t)}
	// Its user has to get there.
	if err := os.Chmod(filepath.Dir(p.folder), 0o711); err != nil {
		t.Fatal(err)
	}
	if c := p.credential(); c != nil {
		if err := os.Chown(p.folder, int(c.Uid), int(c.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	showLog(t, "PostgreSQL", p.logFile())
	return p
}

func (p *postgres) data() string    { return filepath.Join(p.folder, "data") }
func (p *postgres) logFile() string { return filepath.Join(p.folder, "log") }

// credential is whom the server runs as; nil: as the caller.
func (p *postgres) credential() *syscall.Credential {
	p.t.Helper()
	if p.user == "" {
		return nil
	}
	account, err := user.Lookup(p.user)
	if err != nil {
		p.t.Fatal(err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		p.t.Fatal(err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		p.t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (p *postgres) command(program string, arguments ...string) *exec.Cmd {
	command := exec.Command(filepath.Join(p.bin, program), arguments...)
	command.Dir, command.Env = p.folder, []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: p.credential(), Pdeathsig: syscall.SIGQUIT}
	return command
}

func (p *postgres) run(program string, arguments ...string) {
	p.t.Helper()
	if output, err := p.command(program, arguments...).CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v\n%s", program, err, output)
	}
}

// start starts the server and waits until it answers.
func (p *postgres) start(options ...string) {
	p.t.Helper()
	arguments := []string{"-D", p.data()}
	for _, option := range append([]string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(p.port), "unix_socket_directories=", "max_connections=200",
		"fsync=on", "synchronous_commit=on", "full_page_writes=on",
	}, options...) {
		arguments = append(arguments, "-c", option)
	}
	p.process = startProcess(p.t, p.command("postgres", arguments...), p.logFile())
	eventually(p.t, startTimeout, "PostgreSQL answers", func() bool {
		if !p.process.running() {
			p.t.Fatalf("PostgreSQL ended: %v", p.process.err)
		}
		return p.exec("SELECT 1") == nil
	})
}

// stop ends it: SIGINT is its fast shutdown, SIGQUIT the immediate one.
func (p *postgres) stop(s syscall.Signal) {
	p.t.Helper()
	if err := p.process.end(s, 30*time.Second); err != nil && s == syscall.SIGINT {
		p.t.Errorf("PostgreSQL after a fast shutdown: %v", err)
	}
}

func (p *postgres) url() string { return databaseURL(p.port) }

func databaseURL(port int) string {
	return fmt.Sprintf("postgres://cambio@127.0.0.1:%d/postgres?sslmode=disable", port)
}

// exec runs statements beside the replicas.
func (p *postgres) exec(statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.url())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func (p *postgres) mustExec(statements ...string) {
	p.t.Helper()
	if err := p.exec(statements...); err != nil {
		p.t.Fatal(err)
	}
}

// number asks for one.
func (p *postgres) number(query string) int {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.url())
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close(ctx)
	var n int
	if err := conn.QueryRow(ctx, query).Scan(&n); err != nil {
		p.t.Fatalf("%s: %v", query, err)
	}
	return n
}
