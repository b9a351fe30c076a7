package registry_test

import (
	"testing"

	"github.com/cambio-oauth/cambio/registry"
)

// A name is for people: what turns the text after it around, or cannot be seen
// at all, is none.
func TestNamesThatDeceive(t *testing.T) {
	for _, name := range []string{"evil\u202Egnp.exe", "a\u2066b", "\u200b", "\ufeff\u200d"} {
		if registry.ValidName(name) {
			t.Errorf("%q is a name", name)
		}
	}
}

// A browser sends xn--…, so this would never match.
func TestOriginsAreASCII(t *testing.T) {
	c := &registry.Client{Name: "app", AuthMethod: registry.AuthNone, Status: registry.Active, AllowedOrigins: []string{"https://bücher.example"}}
	if c.Validate(nil, nil) == nil {
		t.Error("valid")
	}
}
