package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDocumentBytes is room for tens of thousands of objects.
const maxDocumentBytes = 64 << 20

// document says how everything is to be. A section that is nil is not in it,
// and nothing is said about its objects.
type document struct {
	integrators     []*declared
	lockHolders     []*declared
	resourceServers []*declared
	sections        map[string]bool
}

// declared is one object of a document.
type declared struct {
	kind     *kind
	line     int
	all      map[string]any         // members, whole
	children map[string][]*declared // of an integrator: by section
	links    []reference            // of an integrator
	sections map[string]bool        // of an integrator: which it has
}

// reference names a lock holder.
type reference struct {
	text string
	line int
}

// documentError says where in a document something is wrong.
type documentError struct {
	file string
	line int
	path string
	what string
}

// Error implements error.
func (e *documentError) Error() string {
	return fmt.Sprintf("%s:%d: %s: %s", e.file, e.line, printable(e.path), printable(e.what))
}

// reader reads one document.
type reader struct{ file string }

func (r *reader) wrong(node *yaml.Node, path, what string) error {
	return &documentError{r.file, node.Line, cmp.Or(path, "the document"), what}
}

// readDocument reads a document strictly: a member that is misspelt would
// otherwise silently not be there.
func readDocument(file string, in io.Reader) (*document, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxDocumentBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxDocumentBytes {
		return nil, fmt.Errorf("%s: larger than %d MiB", file, maxDocumentBytes>>20)
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	var root yaml.Node
	if err := decoder.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: it is empty: want integrators, lock_holders or resource_servers", file)
		}
		return nil, fmt.Errorf("%s: %s", file, printable(err.Error()))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: want one document in it", file)
	}
	r := &reader{file}
	return r.document(root.Content[0])
}

func (r *reader) document(node *yaml.Node) (*document, error) {
	d := &document{sections: map[string]bool{}}
	kinds := map[string]*kind{}
	into := map[string]*[]*declared{"integrators": &d.integrators, "lock_holders": &d.lockHolders, "resource_servers": &d.resourceServers}
	var names []string
	for _, k := range []*kind{integratorKind(), lockHolderKind(), resourceServerKind()} {
		kinds[k.section], names = k, append(names, k.section)
	}
	err := r.mapping(node, "", names, func(name string, _, value *yaml.Node) (err error) {
		d.sections[name] = true
		*into[name], err = r.objects(kinds[name], value, name)
		return err
	})
	return d, err
}

// mapping calls each for every member, of which none may be unknown or stand
// twice.
func (r *reader) mapping(node *yaml.Node, path string, known []string, each func(name string, key, value *yaml.Node) error) error {
	if node.Kind == yaml.AliasNode {
		return r.wrong(node, path, "an alias stands here: want what it means")
	}
	if node.Kind != yaml.MappingNode {
		return r.wrong(node, path, "want members, such as "+known[0]+": ...")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		switch {
		case !slices.Contains(known, key.Value):
			return r.wrong(key, at, "there is no such member; there are "+strings.Join(known, ", "))
		case seen[key.Value]:
			return r.wrong(key, at, "this member stands twice")
		case value.Kind == yaml.AliasNode:
			return r.wrong(value, at, "an alias stands here: want what it means")
		}
		seen[key.Value] = true
		if err := each(key.Value, key, value); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) list(node *yaml.Node, path string, each func(path string, item *yaml.Node) error) error {
	if isNull(node) { // a section with nothing below it
		return nil
	}
	if node.Kind != yaml.SequenceNode {
		return r.wrong(node, path, "want a list: - ...")
	}
	for i, item := range node.Content {
		if err := each(path+"["+strconv.Itoa(i)+"]", item); err != nil {
			return err
		}
	}
	return nil
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

// objects reads a section. Two of one natural key would be one object.
func (r *reader) objects(k *kind, node *yaml.Node, path string) ([]*declared, error) {
	list := []*declared{}
	lines := map[string]int{}
	err := r.list(node, path, func(path string, item *yaml.Node) error {
		d, err := r.object(k, item, path)
		if err != nil {
			return err
		}
		key := k.key(d.all).Encode()
		if line := lines[key]; line > 0 {
			return r.wrong(item, path, fmt.Sprintf("%s stands in line %d already", k.label("", d.all), line))
		}
		lines[key] = item.Line
		list = append(list, d)
		return nil
	})
	return list, err
}

func (r *reader) object(k *kind, node *yaml.Node, path string) (*declared, error) {
	d := &declared{kind: k, line: node.Line, children: map[string][]*declared{}, sections: map[string]bool{}}
	members := map[string]member{}
	known := k.names()
	for _, m := range k.members {
		members[m.name] = m
	}
	below := map[string]*kind{}
	if k.section == "integrators" {
		for _, child := range []*kind{scopeRuleKind(), clientKind(), keyURLKind()} {
			below[child.section], known = child, append(known, child.section)
		}
		known = append(known, "lock_holders")
	}
	given := map[string]any{}
	err := r.mapping(node, path, known, func(name string, key, value *yaml.Node) (err error) {
		at := path + "." + name
		switch m, plain := members[name]; {
		case plain:
			given[name], err = r.value(m.form, value, at)
		case name == "lock_holders":
			d.sections[name] = true
			d.links, err = r.references(value, at)
		default:
			d.sections[name] = true
			d.children[name], err = r.objects(below[name], value, at)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	d.all = k.whole(given)
	for _, name := range k.natural {
		if _, ok := d.all[name].(string); !ok {
			return nil, r.wrong(node, path+"."+name, "want a text: it names the "+k.title)
		}
	}
	return d, nil
}

func (r *reader) references(node *yaml.Node, path string) (links []reference, err error) {
	err = r.list(node, path, func(path string, item *yaml.Node) error {
		if item.Kind != yaml.ScalarNode || strings.Count(item.Value, ".") != 2 {
			return r.wrong(item, path, "want a lock holder as country.organisation.suffix, such as NO.919424508.east, or NO.919424508. without a suffix")
		}
		if slices.ContainsFunc(links, func(l reference) bool { return l.text == item.Value }) {
			return r.wrong(item, path, item.Value+" stands twice")
		}
		links = append(links, reference{item.Value, item.Line})
		return nil
	})
	return links, err
}

// value reads a value, in the words of JSON.
func (r *reader) value(f form, node *yaml.Node, path string) (any, error) {
	switch {
	case isNull(node):
		return nil, nil
	case f == formText && node.Kind == yaml.ScalarNode:
		return node.Value, nil // an organisation's number has a zero in front, and Norway is no boolean
	case f == formText && node.Kind == yaml.SequenceNode:
		texts := []any{}
		err := r.list(node, path, func(path string, item *yaml.Node) error {
			text, err := r.value(f, item, path)
			texts = append(texts, text)
			return err
		})
		return texts, err
	case f == formClaims:
		claims := []any{}
		err := r.list(node, path, func(path string, item *yaml.Node) error {
			claim, err := r.members(item, path, []member{{"claim", formText, nil}, {"values", formText, nil}})
			claims = append(claims, claim)
			return err
		})
		return claims, err
	case f == formChange:
		return r.members(node, path, ruleMembers())
	}
	return r.plain(node, path)
}

// members reads an object below a member.
func (r *reader) members(node *yaml.Node, path string, known []member) (map[string]any, error) {
	given, names, forms := map[string]any{}, []string{}, map[string]form{}
	for _, m := range known {
		names, forms[m.name] = append(names, m.name), m.form
	}
	err := r.mapping(node, path, names, func(name string, _, value *yaml.Node) (err error) {
		given[name], err = r.value(forms[name], value, path+"."+name)
		return err
	})
	return given, err
}

func (r *reader) plain(node *yaml.Node, path string) (any, error) {
	var value any
	if err := node.Decode(&value); err != nil {
		return nil, r.wrong(node, path, "this cannot be read")
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, r.wrong(node, path, "this is nothing that JSON can say")
	}
	return decodeJSON(text)
}
