package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// errNotRandom is for keys that somebody typed, or a program made up.
var errNotRandom = errors.New("this key is not random: make one with `openssl rand -base64 32`")

// checkRandom refuses what 32 random bytes are never: few different ones, eight
// of them again and again, a sequence, or a text with a word that stands for a
// secret in examples.
func checkRandom(key []byte) error {
	sequence, again := true, true
	for i, b := range key {
		sequence = sequence && (i < 2 || b-key[i-1] == key[1]-key[0])
		again = again && b == key[i%8]
	}
	lower := strings.ToLower(string(key))
	word := slices.ContainsFunc([]string{"changeme", "change-me", "secret", "password", "example", "insecure"}, func(w string) bool { return strings.Contains(lower, w) })
	if distinct(string(key)) < 8 || sequence || again || word {
		return errNotRandom
	}
	return nil
}

func distinct(text string) int {
	return len(slices.Compact(slices.Sorted(slices.Values([]byte(text)))))
}

// readSecretFile reads the file of a secret key, which nobody but its owner and
// its group may touch: whoever has it has all others.
func readSecretFile(path string) (string, error) {
	if err := checkPrivate(path); err != nil {
		return "", err
	}
	return readFile(path)
}

func readFile(path string) (string, error) {
	data, err := os.ReadFile(path)
	return strings.TrimSpace(string(data)), err
}

// runtimeSecrets is where container runtimes put secrets, with the mode that
// their files have outside. Nobody else is inside.
const runtimeSecrets = "/run/secrets/"

func checkPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || runtime.GOOS == "windows" || strings.HasPrefix(filepath.Clean(path), runtimeSecrets) {
		return nil
	}
	if open := info.Mode().Perm() & 0o007; open != 0 {
		return fmt.Errorf("%s: others on this machine have access to it (mode %04o): chmod 0600", path, info.Mode().Perm())
	}
	return nil
}
