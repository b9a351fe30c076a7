//go:build linux

package chaos

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the program under test, built once. The figures stand beside it.
var binary string

func TestMain(m *testing.M) {
	if ops := os.Getenv(watchedReplica); ops != "" {
		os.Exit(watch(ops))
	}
	folder, err := os.MkdirTemp("", "cambio-chaos-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(folder, "cambio")
	build := exec.Command("go", "build", "-o", binary, "../../cmd/cambio")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is shipped
	build.Stderr = os.Stderr
	flag.Parse()
	_ = flag.Set("test.parallel", "8") // they wait more than they compute
	code := 1
	if err := build.Run(); err == nil {
		code = m.Run()
	}
	if table, err := os.ReadFile(figuresFile()); err == nil {
		fmt.Printf("\n| scenario | figures | target |\n|---|---|---|\n%s\n", table)
	}
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// size gives how much of something the set that runs wants.
func size[T any](short, long T) T {
	if full {
		return long
	}
	return short
}

// beside lets scenarios that mostly wait run beside each other, unless their
// figures are to be measured.
func beside(t *testing.T) {
	t.Helper()
	if !full {
		t.Parallel()
	}
}

// target holds a figure to its target. On a machine that runs other tests
// beside this one figures are no proof: there it only says so.
func target(t *testing.T, met bool, format string, args ...any) {
	t.Helper()
	switch {
	case met:
	case full:
		t.Errorf("target missed: "+format, args...)
	default:
		t.Logf("target missed: "+format, args...)
	}
}

func figuresFile() string { return filepath.Join(filepath.Dir(binary), "figures") }

// figure adds a row to the table.
func figure(t *testing.T, target, format string, args ...any) {
	t.Helper()
	text := fmt.Sprintf(format, args...)
	t.Log(text)
	file, err := os.OpenFile(figuresFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	met := ""
	if t.Failed() {
		met = "**not met** · "
	}
	if _, err := fmt.Fprintf(file, "| %s | %s%s | %s |\n", t.Name(), met, text, target); err != nil {
		t.Fatal(err)
	}
}
