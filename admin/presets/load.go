package presets

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/cambio-oauth/cambio/registry"
)

//go:embed *.yaml
var files embed.FS

// generic is the preset of every provider that has none. Its guards, notices
// and help hold for all the others too, after their own.
const generic = "generic"

// Catalogue is all presets.
type Catalogue struct {
	presets []Preset // generic is the last one
}

// Load reads the presets that are part of the program.
func Load() (*Catalogue, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	c := &Catalogue{}
	for _, entry := range entries {
		data, err := files.ReadFile(entry.Name())
		if err != nil {
			return nil, err
		}
		p, err := parse(data)
		if err == nil && p.ID+".yaml" != entry.Name() {
			err = fmt.Errorf("the id is %s", p.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("preset %s: %w", entry.Name(), err)
		}
		c.presets = append(c.presets, *p)
	}
	last := slices.IndexFunc(c.presets, func(p Preset) bool { return p.ID == generic })
	if last < 0 {
		return nil, errors.New("there is no preset " + generic)
	}
	c.presets = append(slices.Delete(slices.Clone(c.presets), last, last+1), c.presets[last])
	for i := range c.presets {
		advice := maps.Clone(c.generic().Advice)
		maps.Copy(advice, c.presets[i].Advice)
		c.presets[i].Advice = advice
	}
	return c, nil
}

// Presets gives all presets in the order of their ids, generic last.
func (c *Catalogue) Presets() []Preset { return slices.Clone(c.presets) }

// Preset gives a preset by its id, nil when there is none.
func (c *Catalogue) Preset(id string) *Preset {
	for i := range c.presets {
		if c.presets[i].ID == id {
			return &c.presets[i]
		}
	}
	return nil
}

func (c *Catalogue) generic() *Preset { return &c.presets[len(c.presets)-1] }

// parse reads one file. A member that nobody knows is an error: a guard that
// was misspelt would guard nothing.
func parse(data []byte) (*Preset, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	p := &Preset{}
	if err := decoder.Decode(p); err != nil {
		return nil, err
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	for i := range p.Issuers {
		if err := p.compileIssuer(&p.Issuers[i]); err != nil {
			return nil, err
		}
	}
	return p, p.validate()
}

// compileIssuer makes the pattern of issuers from the template and the patterns
// of its inputs, so that the two cannot differ.
func (p *Preset) compileIssuer(form *IssuerForm) error {
	source, rest := "", form.Template
	for {
		before, after, found := strings.Cut(rest, "{")
		if source += regexp.QuoteMeta(before); !found {
			break
		}
		name, tail, _ := strings.Cut(after, "}")
		i := slices.IndexFunc(p.Inputs, func(input Input) bool { return input.Name == name })
		if i < 0 {
			return fmt.Errorf("issuer %s: there is no input %s", form.Template, name)
		}
		source += "(?P<" + name + ">" + p.Inputs[i].Pattern.source + ")"
		rest = tail
	}
	var err error
	form.pattern, err = compile(source)
	return err
}

func (p *Preset) validate() error {
	_, err := time.Parse(time.DateOnly, p.VerifiedAt)
	if err != nil || p.ID == "" || p.Name == "" || !strings.HasPrefix(p.Docs, "https://") || len(p.Algorithms) == 0 {
		return errors.New("want id, name, docs, verified_at as 2006-01-02, and algorithms")
	}
	for _, algorithm := range p.Algorithms {
		if !slices.Contains(registry.Algorithms(), algorithm) {
			return fmt.Errorf("algorithm %s", algorithm)
		}
	}
	for _, input := range p.Inputs {
		if !input.Pattern.Matches(input.Example) || input.Label == "" {
			return fmt.Errorf("input %s: want a label, and an example of its pattern", input.Name)
		}
	}
	for _, form := range p.Issuers {
		_, missing := expand(form.URL, p.example)
		if form.Template == "" || missing != "" || form.When != nil && form.Guess == "" {
			return fmt.Errorf("issuer %q: want a template, a url of inputs only, and guess with when", form.Template)
		}
	}
	preferred := 0
	for _, source := range p.Permissions {
		if source.Preferred && source.Claim != "" && !strings.Contains(source.Claim, "{") {
			preferred++
		}
		if (source.Claim == "") == (source.Pattern == nil) || !slices.Contains(append(registry.PermissionsFormats(), ""), source.Format) {
			return fmt.Errorf("permission source %q: want claim or pattern, and a format of key URLs", source.Claim)
		}
	}
	if preferred != 1 {
		return errors.New("want one preferred source of permissions, by the name of its claim")
	}
	for _, guard := range p.Guards {
		if guard.Refuse == "" {
			return errors.New("a guard without refuse")
		}
	}
	for _, notice := range p.Notices {
		if notice.Code == "" || notice.Detail == "" {
			return errors.New("a notice without code or detail")
		}
	}
	return nil
}

// example gives the example of an input.
func (p *Preset) example(name string) (string, bool) {
	for _, input := range p.Inputs {
		if input.Name == name {
			return input.Example, true
		}
	}
	return "", false
}
