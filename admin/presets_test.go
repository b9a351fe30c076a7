package admin

import (
	"reflect"
	"testing"

	"github.com/cambio-oauth/cambio/admin/presets"
)

// The document has the members of presets and proposals, and no others.
func TestDocumentHasPresets(t *testing.T) {
	doc := theDocument(t)
	for schema, view := range map[string]reflect.Type{
		"ProviderPreset": reflect.TypeFor[presetView](),
		"KeyURLProposal": reflect.TypeFor[proposalView](),
		"ProposedKeyURL": reflect.TypeFor[presets.KeyURL](),
		"FoundKeys":      reflect.TypeFor[foundKeys](),
		"ShownToken":     reflect.TypeFor[shownToken](),
	} {
		t.Run(schema, func(t *testing.T) {
			members, _ := doc.members(t, schema)
			equalMembers(t, members, tagsOf(view))
		})
	}
}
