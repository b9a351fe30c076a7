package main

import (
	"fmt"
	"testing"

	"github.com/cambio-oauth/cambio/grants/permissions"
	"github.com/cambio-oauth/cambio/registry"
)

// BenchmarkConvert converts 50 permissions of an integrator that manages 10,000
// lock holders; the target is 30 µs.
func BenchmarkConvert(b *testing.B) {
	contents := registry.Contents{Integrators: []registry.Integrator{{Object: registry.Object{ID: "acme"}, Status: registry.Active}}}
	for i := range 10_000 {
		id := fmt.Sprintf("01a20ca3-465c-78e8-a463-%012d", i)
		contents.LockHolders = append(contents.LockHolders, registry.LockHolder{
			Object: registry.Object{ID: id}, CountryISO: "NO", OrganizationID: fmt.Sprintf("9%08d", i), OrganizationIDSuffix: "east",
		})
		contents.Links = append(contents.Links, registry.Link{IntegratorID: "acme", LockHolderID: id})
	}
	entitled := entitlements{registry.NewSnapshot(contents), "acme", permissions.NewRules(nil)}
	var entries []string
	for i := range 50 {
		entries = append(entries, fmt.Sprintf("lockHolder.identifier:NO.9%08d.east", i*199))
	}
	b.ReportAllocs()
	for b.Loop() {
		if granted, _ := permissions.Convert(entries, entitled); len(granted) != 50 {
			b.Fatalf("%d were granted", len(granted))
		}
	}
}
