package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
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
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
)

const operatorSecret = "an-operator-secret-of-forty-characters--"

// server is a process on the first core.
type server struct {
	name    string
	command *exec.Cmd
	address string
	client  [2]string // id and secret
	started time.Duration
	log     string // file
	drop    func() // takes its database away
}

// startFloor starts the floor on the first core.
func startFloor(folder string, p *provider) (*server, error) {
	modulus := filepath.Join(folder, "modulus")
	if err := os.WriteFile(modulus, p.key.N.Bytes(), 0o600); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{name: "floor", client: [2]string{"client", operatorSecret}, drop: func() {}}
	return s, s.run(exec.Command("taskset", "-c", "0", self, "-floor", modulus, "-secret", operatorSecret), true)
}

// run starts a process, whose output goes into a file as a service's does, and
// waits until it says where it is.
func (s *server) run(command *exec.Cmd, plain bool) error {
	s.command = command
	log, err := os.CreateTemp("", "cambio-bench-log-")
	if err != nil {
		return err
	}
	defer log.Close()
	s.log = log.Name()
	command.Stdout, command.Stderr = log, log
	began := time.Now()
	if err := command.Start(); err != nil {
		return err
	}
	for s.address == "" {
		if time.Since(began) > time.Minute {
			return fmt.Errorf("%s does not come up: %s", s.name, s.log)
		}
		time.Sleep(time.Millisecond)
		said, err := os.ReadFile(s.log)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(said)) {
			var entry struct{ Listen, Msg string }
			if plain {
				s.address = strings.TrimSpace(line)
			} else if json.Unmarshal([]byte(line), &entry) == nil && entry.Listen != "" {
				s.address = entry.Listen
			} else if strings.HasPrefix(line, "cambio: ") {
				return fmt.Errorf("%s: %s", s.name, line)
			}
		}
	}
	s.started = time.Since(began)
	return nil
}

// startCambio starts Cambio on the first core, with an integrator and a client.
func startCambio(binary, folder, name, databaseURL string, environ ...string) (*server, error) {
	s := &server{name: name, drop: func() {}}
	if databaseURL == "" {
		databaseURL = "sqlite://" + filepath.Join(folder, strings.ReplaceAll(name, " ", "-")+".db")
	}
	command := exec.Command("taskset", "-c", "0", binary, "serve")
	command.Dir = folder
	command.Env = append([]string{
		"CAMBIO_LISTEN=127.0.0.1:0", "CAMBIO_OPS_LISTEN=", "CAMBIO_ISSUER=https://cambio.bench", "CAMBIO_DATABASE_URL=" + databaseURL,
		"CAMBIO_SECRET_KEY=9IWxj+ymKZgJCUpBR8ci6USmiS7/eyo0Jb8Tp8p0Ae0=", "CAMBIO_KEY_URL_ALLOW=127.0.0.0/8", "CAMBIO_SHUTDOWN_DELAY=0s",
		"CAMBIO_OPERATOR_CLIENT_ID=operator", "CAMBIO_OPERATOR_CLIENT_SECRET=" + operatorSecret,
	}, environ...)
	return s, s.run(command, false)
}

// register makes an integrator that may have all the permissions of the tokens,
// and a client of it.
func (s *server) register(p *provider, permissions int) error {
	admin, err := s.token("operator", operatorSecret, url.Values{"grant_type": {"client_credentials"}, "scope": {"admin"}})
	if err != nil {
		return err
	}
	at := func(path string, body any) (map[string]any, error) {
		return s.admin(admin, http.MethodPost, path, body)
	}
	integrator, err := at("/integrators", map[string]any{"name": "Acme"})
	if err != nil {
		return err
	}
	of := "/integrators/" + integrator["id"].(string)
	if _, err := at(of+"/key-urls", map[string]any{"issuer": p.issuer, "url": p.issuer + "jwks.json"}); err != nil {
		return err
	}
	for i := range permissions {
		holder, err := at("/lock-holders", map[string]any{"name": fmt.Sprint("Part ", i), "country_iso": "NO", "organization_id": fmt.Sprintf("9194245%02d", i%50), "organization_id_suffix": fmt.Sprint("part", i)})
		if err != nil {
			return err
		}
		if _, err := s.admin(admin, http.MethodPut, of+"/lock-holders/"+holder["id"].(string), nil); err != nil {
			return err
		}
	}
	client, err := at(of+"/clients", map[string]any{"client_name": "backend", "scope": "integrator.admin"})
	if err != nil {
		return err
	}
	exchanger, err := at(of+"/clients", map[string]any{"client_name": "exchanger", "grant_types": []string{"urn:ietf:params:oauth:grant-type:token-exchange"}})
	if err != nil {
		return err
	}
	_ = client
	s.client = [2]string{exchanger["client_id"].(string), exchanger["client_secret"].(string)}
	return nil
}

func (s *server) token(id, secret string, form url.Values) (string, error) {
	r, err := http.NewRequest(http.MethodPost, "http://"+s.address+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.SetBasicAuth(id, secret)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body, err := do(r)
	if err != nil {
		return "", err
	}
	token, _ := body["access_token"].(string)
	return token, nil
}

func (s *server) admin(token, method, path string, body any) (map[string]any, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(method, "http://"+s.address+"/admin/v1"+path, strings.NewReader(string(text)))
	if err != nil {
		return nil, err
	}
	if body == nil {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	return do(r)
}

func do(r *http.Request) (map[string]any, error) {
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= 300 {
		return nil, fmt.Errorf("%s %s: %d %s", r.Method, r.URL.Path, answer.StatusCode, data)
	}
	var body map[string]any
	if len(data) > 0 {
		err = json.Unmarshal(data, &body)
	}
	return body, err
}

// request makes the bytes of a request.
func (s *server) request(path string, id, secret string, form url.Values) []byte {
	body := form.Encode()
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		path, s.address, base64.StdEncoding.EncodeToString([]byte(id+":"+secret)), len(body), body)
}

func (s *server) exchanges(tokens []string) [][]byte {
	requests := make([][]byte, len(tokens))
	for i, token := range tokens {
		requests[i] = s.request("/oauth2/token", s.client[0], s.client[1], url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}, "subject_token": {token},
		})
	}
	return requests
}

// memory gives the resident set of the process in MiB.
func (s *server) memory() float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.command.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	return 0
}

func (s *server) stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM) // in the background SIGINT is ignored
	_ = s.command.Wait()
	_ = os.Remove(s.log)
	s.drop()
}

// postgres makes a database on the server of the environment, and how to drop it.
func postgres() (databaseURL string, drop func(), err error) {
	base := os.Getenv("CAMBIO_TEST_POSTGRES_URL")
	if base == "" {
		return "", nil, errors.New("no PostgreSQL: run e2e/postgres.sh run go run ./bench")
	}
	target, err := url.Parse(base)
	if err != nil {
		return "", nil, err
	}
	db, err := sql.Open("pgx", base)
	if err != nil {
		return "", nil, err
	}
	name := "cambio_bench_" + strings.ToLower(rand.Text()[:12])
	if _, err := db.Exec("CREATE DATABASE " + name); err != nil {
		return "", nil, err
	}
	target.Path = "/" + name
	return target.String(), func() {
		_, _ = db.ExecContext(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
		_ = db.Close()
	}, nil
}
