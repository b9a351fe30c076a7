// Package strictjson reads JSON that strangers wrote. Before anything is
// decoded it refuses what decoders disagree about or can be crashed with: deep
// nesting, duplicate members, names that differ only by case, invalid UTF-8,
// lone surrogates, and anything after the first value.
package strictjson
