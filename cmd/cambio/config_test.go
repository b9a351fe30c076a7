package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func readAll(t *testing.T, file string, flags map[string]string, environ ...string) (*config, error) {
	t.Helper()
	values, err := load(file, flags, environ)
	if err != nil {
		return nil, err
	}
	return newConfig(values)
}

// Flag > environment > file > default.
func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cambio.yaml")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:1\nsigning_alg: RS256\naccess_token_ttl: 5m\nsubject_audiences: [a, b]\nkey_url_allow: [10.0.0.0/8, 192.168.0.0/16]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readAll(t, file, map[string]string{"listen": "127.0.0.1:3"}, "CAMBIO_LISTEN=127.0.0.1:2", "CAMBIO_SIGNING_ALG=EdDSA", "PATH=/bin")
	if err != nil {
		t.Fatal(err)
	}
	if c.listen != "127.0.0.1:3" || c.signingAlg != "EdDSA" || c.accessTokenTTL.Minutes() != 5 || c.opsListen != "127.0.0.1:8081" {
		t.Errorf("%+v", c)
	}
	if strings.Join(c.subjectAudiences, " ") != "a b" || len(c.keyURLAllow) != 2 {
		t.Errorf("lists: %v %v", c.subjectAudiences, c.keyURLAllow)
	}
}

// A wrong value stops the start with one line that names the key.
func TestWrongConfiguration(t *testing.T) {
	folder := t.TempDir()
	secretFile := filepath.Join(folder, "secret")
	if err := os.WriteFile(secretFile, []byte(testSecretKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	unknownKey := filepath.Join(folder, "unknown.yaml")
	if err := os.WriteFile(unknownKey, []byte("lissten: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		rule, file string
		environ    []string
		names      string // empty: it is right
	}{
		{"nothing at all", "", nil, ""},
		{"an unknown variable", "", []string{"CAMBIO_LISTENN=x"}, "CAMBIO_LISTENN"},
		{"an unknown key of the file", unknownKey, nil, "lissten"},
		{"a file that is not there", filepath.Join(folder, "none.yaml"), nil, "--config"},
		{"no port", "", []string{"CAMBIO_LISTEN=localhost"}, "CAMBIO_LISTEN"},
		{"an issuer with a query", "", []string{"CAMBIO_ISSUER=https://a.example/?x"}, "CAMBIO_ISSUER"},
		{"an issuer that is no URL", "", []string{"CAMBIO_ISSUER=a.example"}, "CAMBIO_ISSUER"},
		{"a secret key that is too short", "", []string{"CAMBIO_SECRET_KEY=c2hvcnQ="}, "CAMBIO_SECRET_KEY"},
		{"a secret key of zeros", "", []string{"CAMBIO_SECRET_KEY=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}, "CAMBIO_SECRET_KEY"},
		{"a secret key from a file", "", []string{"CAMBIO_SECRET_KEY_FILE=" + secretFile}, ""},
		{"a secret key from both", "", []string{"CAMBIO_SECRET_KEY_FILE=" + secretFile, "CAMBIO_SECRET_KEY=" + testSecretKey}, "CAMBIO_SECRET_KEY"},
		{"a secret file that is not there", "", []string{"CAMBIO_SECRET_KEY_FILE=/nowhere"}, "CAMBIO_SECRET_KEY_FILE"},
		{"a file for what is no secret", "", []string{"CAMBIO_LISTEN_FILE=" + secretFile}, "CAMBIO_LISTEN_FILE"},
		{"an operator without a secret", "", []string{"CAMBIO_OPERATOR_CLIENT_ID=op"}, "CAMBIO_OPERATOR_CLIENT_SECRET"},
		{"an operator with a short secret", "", []string{"CAMBIO_OPERATOR_CLIENT_ID=op", "CAMBIO_OPERATOR_CLIENT_SECRET=short"}, "CAMBIO_OPERATOR_CLIENT_SECRET"},
		{"a network that is none", "", []string{"CAMBIO_KEY_URL_ALLOW=10.0.0.0"}, "CAMBIO_KEY_URL_ALLOW"},
		{"HS256", "", []string{"CAMBIO_SIGNING_ALG=HS256"}, "CAMBIO_SIGNING_ALG"},
		{"a life of nothing", "", []string{"CAMBIO_ACCESS_TOKEN_TTL=0s"}, "CAMBIO_ACCESS_TOKEN_TTL"},
		{"a life of a year", "", []string{"CAMBIO_ACCESS_TOKEN_TTL=8760h"}, "CAMBIO_ACCESS_TOKEN_TTL"},
		{"a log mode that is none", "", []string{"CAMBIO_EXCHANGE_LOG=maybe"}, "CAMBIO_EXCHANGE_LOG"},
		{"a retention that is no number", "", []string{"CAMBIO_EXCHANGE_RETENTION=90d"}, "CAMBIO_EXCHANGE_RETENTION"},
		{"a retention into the future", "", []string{"CAMBIO_EXCHANGE_RETENTION=-1"}, "CAMBIO_EXCHANGE_RETENTION"},
		{"a retention past a duration's end", "", []string{"CAMBIO_EXCHANGE_RETENTION=110000"}, "CAMBIO_EXCHANGE_RETENTION"},
		{"a retention without end", "", []string{"CAMBIO_EXCHANGE_RETENTION=0"}, ""},
		{"an audience with a space", "", []string{"CAMBIO_DEFAULT_AUDIENCE=a b"}, "CAMBIO_DEFAULT_AUDIENCE"},
		{"an audience of other letters", "", []string{"CAMBIO_SUBJECT_AUDIENCES=ok \u00fcber"}, "CAMBIO_SUBJECT_AUDIENCES"},
		{"a level that is none", "", []string{"CAMBIO_LOG_LEVEL=loud"}, "CAMBIO_LOG_LEVEL"},
		{"what Kubernetes adds for a service of our name", "", []string{"CAMBIO_SERVICE_HOST=10.0.0.1", "CAMBIO_PORT=tcp://10.0.0.1:80", "CAMBIO_PORT_80_TCP_ADDR=10.0.0.1"}, ""},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			_, err := readAll(t, c.file, nil, c.environ...)
			switch {
			case c.names == "" && err != nil:
				t.Error(err)
			case c.names != "" && err == nil:
				t.Error("accepted")
			case c.names != "" && (!strings.Contains(err.Error(), c.names) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "c2hvcnQ=")):
				t.Errorf("does not name %s in one line, or tells the secret: %v", c.names, err)
			}
		})
	}
}

// A key is made only where nobody else could need it.
func TestSecretKeyIsMadeOnLoopbackSQLiteOnly(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	database := filepath.Join(t.TempDir(), "cambio.db")
	c := &config{listen: "127.0.0.1:0", databaseURL: "sqlite://" + database}
	if err := c.ensureSecretKey(log); err != nil || len(c.secretKey) != 32 {
		t.Fatal(err)
	}
	info, err := os.Stat(database + ".key")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	again := &config{listen: "[::1]:0", databaseURL: "sqlite://" + database}
	if err := again.ensureSecretKey(log); err != nil || string(again.secretKey) != string(c.secretKey) {
		t.Errorf("another start has another key: %v", err)
	}
	for _, refused := range []config{{listen: "0.0.0.0:0", databaseURL: "sqlite://x.db"}, {listen: ":0", databaseURL: "sqlite://x.db"}, {listen: "127.0.0.1:0", databaseURL: "postgres://localhost/x"}} {
		if err := refused.ensureSecretKey(log); err == nil || !strings.Contains(err.Error(), "CAMBIO_SECRET_KEY") {
			t.Errorf("%s on %s: %v", refused.databaseURL, refused.listen, err)
		}
	}
}
