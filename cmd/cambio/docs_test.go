package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A row of docs/divergences.md that names a test names one that exists.
func TestDivergencesNameTestsThatExist(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "divergences.md"))
	if err != nil {
		t.Fatal(err)
	}
	exists := map[string]bool{}
	for _, pattern := range []string{"*", "*/*", "*/*/*"} {
		files, err := filepath.Glob(filepath.Join("..", "..", pattern, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(source, -1) {
				exists[string(found[1])] = true
			}
		}
	}
	named := regexp.MustCompile("`(Test\\w+)[`/]").FindAllStringSubmatch(string(document), -1)
	if len(named) < 20 {
		t.Fatalf("only %d tests are named", len(named))
	}
	for _, name := range named {
		if !exists[name[1]] {
			t.Errorf("%s does not exist", name[1])
		}
	}
	section, _, _ := strings.Cut(string(document), "## From an RFC's letter")
	for _, row := range regexp.MustCompile(`(?m)^\| (.+) \| .+ \| (.+) \|$`).FindAllStringSubmatch(section, -1)[1:] {
		if !strings.Contains(row[2], "`") {
			t.Errorf("nothing keeps this closed: %s", row[1])
		}
	}
}

// Every word that an answer may hold is explained in docs/reasons.md: reasons
// of refusals, failures of key URLs, and warnings about them.
func TestReasonsAreExplained(t *testing.T) {
	read := func(path ...string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, path...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	document := read("docs", "reasons.md")
	remote := read("keys", "remote", "fetch.go") + read("keys", "remote", "words.go") + read("keys", "remote", "warning.go") + read("keys", "remote", "place.go")
	for _, c := range []struct {
		source, pattern string
		words           int
	}{
		{read("grants", "refusal.go"), `(?m)^\t\w+ +Reason += "(\w+)"`, 23},
		{remote, `(?m)^\tWord\w+ += "(\w+)"`, 12},
		{remote, `(?m)^\tWarn\w+ += "(\w+)"`, 17},
	} {
		found := regexp.MustCompile(c.pattern).FindAllStringSubmatch(c.source, -1)
		if len(found) != c.words {
			t.Errorf("%d words of the form %s, want %d", len(found), c.pattern, c.words)
		}
		for _, word := range found {
			if !strings.Contains(document, "`"+word[1]+"`") {
				t.Errorf("%s is not explained", word[1])
			}
		}
	}
}
