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

// Every reason that an answer may hold is explained in docs/reasons.md.
func TestReasonsAreExplained(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "reasons.md"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join("..", "..", "grants", "refusal.go"))
	if err != nil {
		t.Fatal(err)
	}
	reasons := regexp.MustCompile(`(?m)Reason += "(\w+)"`).FindAllSubmatch(source, -1)
	if len(reasons) != 23 {
		t.Errorf("%d reasons, want the contract's 21 and 2 of ours", len(reasons))
	}
	for _, reason := range reasons {
		if !strings.Contains(string(document), "`"+string(reason[1])+"`") {
			t.Errorf("%s is not explained", reason[1])
		}
	}
}
