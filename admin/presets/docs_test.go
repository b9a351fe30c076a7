package presets

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/providers.md has a short section for each preset, and for no other.
func TestProvidersAreDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "providers.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		heading := regexp.MustCompile("^(.+) \\(`([a-z0-9-]+)`\\)\n").FindStringSubmatch(section)
		if heading == nil {
			t.Fatalf("a heading without the id of a preset: %.60s", section)
		}
		documented[heading[2]] = true
		if lines := strings.Count(strings.TrimSpace(section), "\n"); lines > 15 {
			t.Errorf("%s has %d lines, more than 15", heading[2], lines)
		}
	}
	for _, p := range load(t).Presets() {
		if !documented[p.ID] {
			t.Errorf("%s is not documented", p.ID)
		}
		delete(documented, p.ID)
	}
	for id := range documented {
		t.Errorf("%s is documented and no preset", id)
	}
}

// docs/reasons.md explains every warning that a proposal may carry.
func TestWarningsAreExplained(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "reasons.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## Warnings about a proposed key URL")
	codes := []string{WarnGuess, WarnLookAlike, WarnAlgorithm, WarnIDToken, WarnLifetime, WarnAudiences, WarnEmpty, WarnPermissions, "issuer_near_miss", "key_not_found"}
	for _, p := range load(t).Presets() {
		for _, notice := range p.Notices {
			codes = append(codes, notice.Code)
		}
	}
	if len(codes) < 15 {
		t.Fatalf("only %d codes", len(codes))
	}
	for _, code := range codes {
		if !strings.Contains(section, "`"+code+"`") {
			t.Errorf("%s is not explained", code)
		}
	}
}
