package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

func TestDocumentsThatAreRefused(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	for range 2 {
		s.admin("POST", "/integrators", object{"name": "Twice"}).mustBe(t, http.StatusCreated)
	}
	for rule, c := range map[string]struct{ text, says string }{
		"nothing":                      {"", "it is empty"},
		"no YAML":                      {"a: [", "standard input:"},
		"two documents":                {"integrators: []\n---\nintegrators: []\n", "one document"},
		"an unknown section":           {"\nintegrator: []\n", "standard input:2: integrator: there is no such member; there are integrators"},
		"an unknown member":            {"integrators:\n- name: a\n  key_urls:\n  - issuer: a\n    url: b\n    isuer: c\n", "standard input:6: integrators[0].key_urls[0].isuer: there is no such member"},
		"an unknown member of a claim": {"integrators:\n- name: a\n  key_urls:\n  - issuer: a\n    url: b\n    required_claims: [{name: c}]\n", "6: integrators[0].key_urls[0].required_claims[0].name: there is no such member"},
		"an unknown rule on trial":     {"integrators:\n- name: a\n  key_urls:\n  - issuer: a\n    url: b\n    change: {url: c}\n", "6: integrators[0].key_urls[0].change.url: there is no such member"},
		"what the server sets":         {"integrators:\n- name: a\n  id: x\n", "3: integrators[0].id: there is no such member"},
		"a member twice":               {"integrators:\n- name: a\n  name: b\n", "3: integrators[0].name: this member stands twice"},
		"an object twice":              {"integrators:\n- name: a\n- name: a\n", `3: integrators[1]: integrator "a" stands in line 2 already`},
		"no name":                      {"integrators:\n- status: active\n", "2: integrators[0].name: want a text"},
		"an alias":                     {"integrators: &a []\nlock_holders: *a\n", "2: lock_holders: an alias"},
		"a section that is no list":    {"integrators: {name: a}\n", "1: integrators: want a list"},
		"a reference that is none":     {"integrators:\n- name: a\n  lock_holders: [x]\n", "3: integrators[0].lock_holders[0]: want a lock holder as"},
		"a lock holder of nowhere":     {"integrators:\n- name: a\n  lock_holders: [NO.1234.x]\n", "there is no lock holder NO.1234.x"},
		"a name that two have":         {"integrators:\n- name: Twice\n", "the server has 2 of this name"},
		"what moves a terminal":        {"integrators:\n- \"\\e[2J\": a\n", "2: integrators[0].?[2J: there is no such member"},
	} {
		out, err := s.runs(c.text, "apply", "-f", "-", "--prune", "--show-secrets")
		if err == nil || !strings.Contains(err.Error(), c.says) || s.changed() != 2 {
			t.Errorf("%s: %v\n%s", rule, err, out)
		}
	}
	if out, err := s.runs("", "export"); err == nil || !strings.Contains(err.Error(), `several of integrator "Twice"`) {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := s.runs("", "apply"); err == nil || !strings.Contains(err.Error(), "--file") {
		t.Errorf("%v", err)
	}
	taken := filepath.Join(t.TempDir(), "taken")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.runs("resource_servers: [{name: a, audience: b}]", "apply", "-f", "-", "--secrets-file", taken); err == nil || !strings.Contains(err.Error(), "exists") || s.changed() != 2 {
		t.Errorf("%v", err)
	}
}

// The kinds of a document are those of openapi.yaml: names, defaults, and what
// PUT takes for a key.
func TestDocumentsHaveTheMembersOfTheAPI(t *testing.T) {
	api, err := openapi3.NewLoader().LoadFromFile(filepath.Join("..", "..", "admin", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for schema, k := range map[string]*kind{
		"IntegratorInput": integratorKind(), "LockHolderInput": lockHolderKind(), "ResourceServerInput": resourceServerKind(),
		"ScopeRuleInput": scopeRuleKind(), "ClientInput": clientKind(), "KeyURLInput": keyURLKind(), "Change": {members: ruleMembers()},
	} {
		properties := api.Components.Schemas[schema].Value.Properties
		if len(properties) != len(k.members) {
			t.Errorf("%s has %d members, a document %d", schema, len(properties), len(k.members))
		}
		for _, m := range k.members {
			property := properties[m.name]
			if property == nil {
				t.Errorf("%s has no %s", schema, m.name)
				continue
			}
			if fallback := shownJSON(m.fallback); schema != "Change" && shownJSON(property.Value.Default) != fallback {
				t.Errorf("the default of %s is %s, in a document %s", m.name, shownJSON(property.Value.Default), fallback)
			}
		}
		for path, item := range api.Paths.Map() {
			if !strings.HasSuffix(path, k.path) || strings.Contains(path, "{") != (k.section == "scope_rules" || k.section == "clients" || k.section == "key_urls") || item.Put == nil || k.path == "" {
				continue
			}
			var key []string
			for _, p := range item.Put.Parameters {
				if p.Value.In == "query" {
					key = append(key, p.Value.Name)
				}
			}
			if fmt.Sprint(key) != fmt.Sprint(k.natural) {
				t.Errorf("PUT %s takes %v, a document %v", path, key, k.natural)
			}
		}
	}
	if !regexp.MustCompile(`(?m)^  apply `).MatchString(command().UsageString()) {
		t.Error("the program has no apply")
	}
}
