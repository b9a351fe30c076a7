package remote

import (
	"context"

	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/registry"
)

// Static finds the keys of a document that is nowhere to be fetched from.
func Static(document *Document) assertion.Keys {
	published := make([]registry.PublishedKey, len(document.Keys))
	keys := newKeySet(document.Keys, published, keySet{})
	return assertion.KeysFunc(func(_ context.Context, query assertion.KeyQuery) ([]assertion.Key, error) {
		return keys.find(query.KeyID), nil
	})
}
