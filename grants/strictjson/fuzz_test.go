package strictjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants/strictjson"
)

// FuzzCheck: what Check lets through, encoding/json decodes, to no more levels
// than allowed, and without losing a member: it comes back as it was. And what
// it lets through is what the model lets through.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		`{"iss":"https://a.example","aud":["b"],"exp":1731000000.5,"permissions":[]}`, `{"alg":"none","alg":"RS256"}`,
		`{"a":{"b":[1,2,{"c":null}]}}`, `[1e999,-0,"\ud83d\ude00"]`, `{"kid":1,"` + "\u212a" + `id":2}`, "\ufeff{}", `"\ud800"`,
		strings.Repeat("[", 17), strings.Repeat("]", 20) + strings.Repeat("[", 36), `{"a":1,}`, "{} {}", `[01]`, `"\"[[`,
		`{"aud":["a","\u0062",null],"scope":"a\tb","\u0061ud":1}`, `{"\u017f":["\uD83D\uDe00"],"t":true,"f":false,"n":[null,-1.5E+3]}`, `{"a":[ ] , "b":{ } }`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err, want := strictjson.Check(data), model(data)
		if (err == nil) != (want == nil) {
			t.Fatalf("got %v, the model says %v", err, want)
		}
		members, objectErr := strictjson.Object(data)
		if err != nil {
			if members != nil || !errors.Is(objectErr, err) {
				t.Fatalf("Object gives %v, %v where Check says %v", members, objectErr, err)
			}
			return
		}
		compareMembers(t, data, members, objectErr)
		value := decode(t, data)
		if n := depth(value); n > strictjson.MaxDepth {
			t.Fatalf("%d levels were let through", n)
		}
		again, err := json.Marshal(value)
		if err != nil {
			t.Fatalf("does not encode: %v", err)
		}
		if err := strictjson.Check(again); err != nil {
			t.Fatalf("what was sound is no longer after a round trip: %v", err)
		}
		if !reflect.DeepEqual(value, decode(t, again)) {
			t.Fatalf("%s became %s", data, again)
		}
		if written := countNames(data); countMembers(value) != written {
			t.Fatalf("%d names are written, %d members were decoded: one was lost", written, countMembers(value))
		}
	})
}

// compareMembers holds Object, Text and Texts against encoding/json.
func compareMembers(t *testing.T, data []byte, members strictjson.Members, err error) {
	t.Helper()
	var want map[string]json.RawMessage
	if isObject := json.Unmarshal(data, &want) == nil && want != nil; !isObject {
		if members != nil || !errors.Is(err, strictjson.ErrNotObject) {
			t.Fatalf("got %v, %v of what is no object", members, err)
		}
		return
	}
	if err != nil || !maps.EqualFunc(members, want, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
		t.Fatalf("got %s, %v, want %s", members, err, want)
	}
	for name, raw := range want {
		var text *string
		isText := json.Unmarshal(raw, &text) == nil && text != nil
		if got, ok := members.Text(name); ok != isText || ok && got != *text {
			t.Fatalf("the text of %q is %q, %v", name, got, ok)
		}
		var texts []*string
		areTexts := json.Unmarshal(raw, &texts) == nil && texts != nil && !slices.Contains(texts, nil)
		got, ok := members.Texts(name)
		if ok != areTexts || ok && !slices.EqualFunc(got, texts, func(a string, b *string) bool { return a == *b }) {
			t.Fatalf("the texts of %q are %q, %v", name, got, ok)
		}
	}
}

// decode keeps numbers as text: 1e999 is sound JSON, and no float64.
func decode(t *testing.T, data []byte) any {
	t.Helper()
	var value any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("was let through, but does not decode: %v", err)
	}
	if !json.Valid(data) {
		t.Fatal("was let through, but is not valid")
	}
	return value
}

func depth(value any) int {
	deepest := 0
	switch value := value.(type) {
	case map[string]any:
		for _, inner := range value {
			deepest = max(deepest, depth(inner))
		}
	case []any:
		for _, inner := range value {
			deepest = max(deepest, depth(inner))
		}
	default:
		return 0
	}
	return deepest + 1
}

// countNames counts member names as they are written: after "{" or a value,
// every second token of an object is one.
func countNames(data []byte) int {
	type level struct{ object, name bool }
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	names, stack := 0, []level{{}}
	for {
		token, err := decoder.Token()
		if err != nil {
			return names
		}
		top := &stack[len(stack)-1]
		switch token {
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
			continue
		}
		if top.object {
			if top.name = !top.name; top.name {
				names++
			}
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			stack = append(stack, level{object: token == json.Delim('{')})
		}
	}
}

func countMembers(value any) int {
	n := 0
	switch value := value.(type) {
	case map[string]any:
		n = len(value)
		for _, inner := range value {
			n += countMembers(inner)
		}
	case []any:
		for _, inner := range value {
			n += countMembers(inner)
		}
	}
	return n
}
