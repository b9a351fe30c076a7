package presets

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Pattern is a regular expression for a whole text: one that forgets its
// anchors would take acme.auth0.com.evil.example for Auth0.
type Pattern struct {
	source string
	whole  *regexp.Regexp
}

// UnmarshalYAML compiles a pattern.
func (p *Pattern) UnmarshalYAML(node *yaml.Node) error {
	var source string
	if err := node.Decode(&source); err != nil {
		return err
	}
	compiled, err := compile(source)
	if err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	*p = compiled
	return nil
}

func compile(source string) (Pattern, error) {
	whole, err := regexp.Compile(`(?s)\A(?:` + source + `)\z`)
	return Pattern{source, whole}, err
}

// String gives the pattern as it was written, without anchors.
func (p Pattern) String() string { return p.source }

// Matches tells whether the whole text is of the pattern.
func (p Pattern) Matches(text string) bool { return p.whole != nil && p.whole.MatchString(text) }

// groups gives the named parts of a text that is of the pattern.
func (p Pattern) groups(text string) (parts map[string]string, ok bool) {
	found := p.whole.FindStringSubmatch(text)
	if found == nil {
		return nil, false
	}
	parts = map[string]string{}
	for i, name := range p.whole.SubexpNames() {
		if name != "" {
			parts[name] = found[i]
		}
	}
	return parts, true
}

// expand replaces each {name} of a template. It tells the first name that has
// no value.
func expand(template string, value func(name string) (string, bool)) (text, missing string) {
	for {
		before, rest, found := strings.Cut(template, "{")
		if text += before; !found {
			return text, missing
		}
		name, after, _ := strings.Cut(rest, "}")
		part, ok := value(name)
		if !ok && missing == "" {
			missing = name
		}
		text, template = text+part, after
	}
}
