package main

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// SEC-02: what is not random is no key, however it is written.
func TestWeakSecretKeys(t *testing.T) {
	sequence := make([]byte, 32)
	for i := range sequence {
		sequence[i] = byte(200 + 3*i)
	}
	for rule, key := range map[string]string{
		"zeros":                   strings.Repeat("\x00", 32),
		"one byte":                strings.Repeat("\xa7", 32),
		"two bytes":               strings.Repeat("\xa7\x11", 16),
		"eight bytes, four times": strings.Repeat("\x01\x93\xf2\x40\x88\x17\xcc\x5e", 4),
		"changeme":                "changemechangemechangemechangeme",
		"a sentence":              "this is not a secret, dear Alice",
		"a sequence":              string(sequence),
		"31 bytes":                "\x9f\x01" + strings.Repeat("\xa7\x11\x3c", 9) + "ab",
		"33 bytes":                strings.Repeat("\x9f\x01\x44", 11),
	} {
		encoded := base64.StdEncoding.EncodeToString([]byte(key))
		if got, err := readSecretKey(encoded); err == nil || got != nil && checkRandom(got) == nil {
			t.Errorf("%s: accepted", rule)
		} else if strings.Contains(err.Error(), encoded) || !strings.Contains(err.Error(), "openssl rand") {
			t.Errorf("%s: %v", rule, err)
		}
	}
	for rule, text := range map[string]string{"text of 32 letters": "abcdefghijklmnopqrstuvwxyzABCDEF", "hex": strings.Repeat("9f", 32), "a word": "changeme", "base64 without padding": strings.TrimSuffix(testSecretKey, "=")} {
		if _, err := readSecretKey(text); err == nil {
			t.Errorf("%s: accepted", rule)
		}
	}
	if _, err := readSecretKey(testSecretKey); err != nil {
		t.Error(err)
	}
}

func TestWeakOperatorSecrets(t *testing.T) {
	for rule, secret := range map[string]string{
		"one letter": strings.Repeat("a", 40), "changeme": strings.Repeat("changeme", 4), "the secret key": testSecretKey,
	} {
		_, err := readAll(t, "", nil, "CAMBIO_OPERATOR_CLIENT_ID=op", "CAMBIO_OPERATOR_CLIENT_SECRET="+secret, "CAMBIO_SECRET_KEY="+testSecretKey)
		if err == nil || !strings.HasPrefix(err.Error(), "CAMBIO_OPERATOR_CLIENT_SECRET: ") || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", rule, err)
		}
	}
}

// STO-08: a secret that others on this machine can read, or replace, is none,
// and starts nothing.
func TestSecretFilesOfEverybody(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for mode, refused := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o440: false, 0o640: false, 0o644: true, 0o604: true, 0o602: true, 0o666: true} {
		key := write("key", testSecretKey, mode)
		for _, name := range []string{"CAMBIO_SECRET_KEY_FILE", "CAMBIO_SECRET_KEY_PREVIOUS_FILE"} {
			_, err := readAll(t, "", nil, name+"="+key)
			if (err != nil) != refused || err != nil && (!strings.HasPrefix(err.Error(), name+": ") || !strings.Contains(err.Error(), "chmod 0600")) {
				t.Errorf("%s, mode %04o: %v", name, mode, err)
			}
		}
	}
}

// The key that is made beside a database, too.
func TestTheMadeSecretKeyOfEverybody(t *testing.T) {
	database := filepath.Join(t.TempDir(), "cambio.db")
	made := func() error {
		return (&config{listen: "127.0.0.1:0", databaseURL: "sqlite://" + database}).ensureSecretKey(slog.New(slog.DiscardHandler))
	}
	if err := made(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(database+".key", 0o644); err != nil { //nolint:gosec // that is the case
		t.Fatal(err)
	}
	if err := made(); err == nil || !strings.Contains(err.Error(), "chmod 0600") {
		t.Errorf("it starts: %v", err)
	}
}

// STO-08: whatever the umask, only their owner reads what the program writes.
func TestFileModesWithoutUmask(t *testing.T) {
	before := syscall.Umask(0)
	defer syscall.Umask(before)
	dir := t.TempDir()
	values, err := load("", map[string]string{"listen": "127.0.0.1:0", "ops_listen": "", "database_url": "sqlite://" + filepath.Join(dir, "cambio.db")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newConfig(values)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	p, err := start(t.Context(), c, slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 5 {
		t.Errorf("%v (%v), want the database, -wal, -shm, the lock and the key", files, err)
	}
	for _, file := range files {
		if info, err := file.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v)", file.Name(), info.Mode().Perm(), err)
		}
	}
	key, err := os.ReadFile(filepath.Join(dir, "cambio.db.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.shutdown(); err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), strings.TrimSpace(string(key))) {
		t.Error("the log tells the key that was made")
	}
}
