package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// exportCommand prints a running server's configuration as a document.
func exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print a running server's configuration as a YAML document for apply",
		Long: `Print a running server's configuration as a YAML document for apply: without secrets, in an order that
stays the same, and without what is the default.`,
		Args: cobra.NoArgs,
		RunE: runExport,
	}
	loginFlags(cmd.Flags())
	return cmd
}

func runExport(cmd *cobra.Command, _ []string) error {
	ctx := cmd.Context()
	ask, err := newAdminClient(cmd)
	if err != nil {
		return err
	}
	w, err := newWorld(ctx, ask)
	if err != nil {
		return err
	}
	root := &yaml.Node{Kind: yaml.MappingNode}
	if w.me == nil {
		for _, k := range []*kind{lockHolderKind(), resourceServerKind()} {
			if err := w.exportSection(ctx, root, k, "", k.path); err != nil {
				return err
			}
		}
	}
	integrators, err := w.integrators(ctx)
	if err != nil {
		return err
	}
	if err := w.exportIntegrators(ctx, root, integrators); err != nil {
		return err
	}
	encoder := yaml.NewEncoder(cmd.OutOrStdout())
	encoder.SetIndent(2)
	return errors.Join(encoder.Encode(root), encoder.Close())
}

// exportSection adds the objects of one collection. An empty one is left out:
// with --prune it would say that there are to be none.
func (w *world) exportSection(ctx context.Context, into *yaml.Node, k *kind, owner, path string) error {
	list, err := w.list(ctx, k, path)
	if err != nil || len(list) == 0 {
		return err
	}
	if err := sortForDocument(k, owner, list); err != nil {
		return err
	}
	items := &yaml.Node{Kind: yaml.SequenceNode}
	for _, one := range list {
		item, err := exportObject(k, one)
		if err != nil {
			return err
		}
		items.Content = append(items.Content, item)
	}
	addMember(into, k.section, items)
	return nil
}

// sortForDocument sorts by natural key, but for what is tried one after the
// other, and finds two that a document could not tell apart.
func sortForDocument(k *kind, owner string, list []*existing) error {
	key := func(one *existing) string { return k.key(one.all).Encode() }
	seen := map[string]bool{}
	for _, one := range list {
		if seen[key(one)] {
			return fmt.Errorf("there are several of %s, and a document could not tell them apart: rename all but one", k.label(owner, one.all))
		}
		seen[key(one)] = true
	}
	if k.section != "scope_rules" && k.section != "key_urls" {
		slices.SortFunc(list, func(a, b *existing) int { return cmp.Compare(key(a), key(b)) })
	}
	return nil
}

func (w *world) exportIntegrators(ctx context.Context, root *yaml.Node, list []*existing) error {
	if len(list) == 0 {
		return nil
	}
	if err := sortForDocument(integratorKind(), "", list); err != nil {
		return err
	}
	items := &yaml.Node{Kind: yaml.SequenceNode}
	for _, one := range list {
		item, err := exportObject(integratorKind(), one)
		if err != nil {
			return err
		}
		if err := w.exportLinks(ctx, item, one.id); err != nil {
			return err
		}
		name, _ := one.all["name"].(string)
		for _, k := range []*kind{scopeRuleKind(), clientKind(), keyURLKind()} {
			if err := w.exportSection(ctx, item, k, name, below(one.id, k.path)); err != nil {
				return err
			}
		}
		items.Content = append(items.Content, item)
	}
	addMember(root, "integrators", items)
	return nil
}

func (w *world) exportLinks(ctx context.Context, into *yaml.Node, integratorID string) error {
	linked, err := w.list(ctx, lockHolderKind(), below(integratorID, "/lock-holders"))
	if err != nil || len(linked) == 0 {
		return err
	}
	var references []string
	for _, one := range linked {
		references = append(references, referenceTo(one.all))
	}
	slices.Sort(references)
	items := new(yaml.Node)
	if err := items.Encode(references); err != nil {
		return err
	}
	addMember(into, "lock_holders", items)
	return nil
}

// exportObject gives the members that are not the default, in the order of the
// kind.
func exportObject(k *kind, one *existing) (*yaml.Node, error) {
	item := &yaml.Node{Kind: yaml.MappingNode}
	some := k.sparse(one.all)
	for _, m := range k.members {
		value, ok := some[m.name]
		if !ok {
			continue
		}
		node := new(yaml.Node)
		if err := node.Encode(numbers(value)); err != nil {
			return nil, err
		}
		addMember(item, m.name, node)
	}
	return item, nil
}

func addMember(into *yaml.Node, name string, value *yaml.Node) {
	into.Content = append(into.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, value)
}

// numbers makes the numbers of JSON those of YAML, which would be texts.
func numbers(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if n, err := v.Float64(); err == nil {
			return n
		}
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = numbers(v[i])
		}
		return list
	case map[string]any:
		all := map[string]any{}
		for name := range v {
			all[name] = numbers(v[name])
		}
		return all
	}
	return value
}
