package strictjson_test

import (
	"slices"
	"testing"

	"github.com/cambio-oauth/cambio/grants/strictjson"
)

func TestObject(t *testing.T) {
	t.Run("gives the members as they stand", func(t *testing.T) {
		got, err := strictjson.Object([]byte(" { \"a\" : [ 1 , {\"a\":2} ] , \"\\u0062\" :\t-1.5e3\n, \"C\":null,\"\":\"\" } "))
		want := map[string]string{"a": `[ 1 , {"a":2} ]`, "b": "-1.5e3", "C": "null", "": `""`}
		if err != nil || len(got) != len(want) {
			t.Fatalf("got %s, %v", got, err)
		}
		for name, value := range want {
			if string(got[name]) != value {
				t.Errorf("%q is %s, want %s", name, got[name], value)
			}
		}
	})
	t.Run("a value that grows leaves its neighbours alone", func(t *testing.T) {
		got, _ := strictjson.Object([]byte(`{"a":1,"b":2}`))
		_ = append(got["a"], "0000000"...)
		if string(got["b"]) != "2" {
			t.Errorf("got %s", got["b"])
		}
	})
	for _, data := range []string{"null", "[]", `[{"a":1}]`, `"{}"`, "1", "true", " [{}] "} {
		t.Run(data+" is none", func(t *testing.T) {
			got, err := strictjson.Object([]byte(data))
			if got != nil {
				t.Errorf("got %s", got)
			}
			wantError(t, err, strictjson.ErrNotObject)
		})
	}
	for data, want := range map[string]error{
		"": strictjson.ErrSyntax, "{": strictjson.ErrSyntax, "[1": strictjson.ErrSyntax, "{}x": strictjson.ErrTrailing, `{"a":1,"A":2}`: strictjson.ErrDuplicate,
		"\"\xff\"": strictjson.ErrEncoding, `{"a":` + arrays(16) + "}": strictjson.ErrDepth,
	} {
		t.Run(data+" is refused as Check refuses it", func(t *testing.T) {
			got, err := strictjson.Object([]byte(data))
			if got != nil {
				t.Errorf("got %s", got)
			}
			wantError(t, err, want)
		})
	}
}

// encoding/json would make an empty string of null, in both.
func TestTextAndTexts(t *testing.T) {
	for _, test := range []struct {
		value         string
		text          string
		isText, areOK bool
		texts         []string
	}{
		{`"a"`, "a", true, false, nil}, {`""`, "", true, false, nil}, {`"\u0061\n\"\\\ud83d\ude00é"`, "a\n\"\\😀é", true, false, nil},
		{"null", "", false, false, nil}, {"1", "", false, false, nil}, {"true", "", false, false, nil}, {`{"a":"b"}`, "", false, false, nil},
		{"[]", "", false, true, nil}, {`[ ]`, "", false, true, nil}, {`["a"]`, "", false, true, []string{"a"}},
		{`[ "a" , "" ,"\u0062", "a"]`, "", false, true, []string{"a", "", "b", "a"}},
		{"[null]", "", false, false, nil}, {`["a",1]`, "", false, false, nil}, {`["a",null]`, "", false, false, nil}, {`[["a"]]`, "", false, false, nil}, {`["a",{}]`, "", false, false, nil},
	} {
		t.Run(test.value, func(t *testing.T) {
			members, err := strictjson.Object([]byte(`{"x":` + test.value + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if text, ok := members.Text("x"); text != test.text || ok != test.isText {
				t.Errorf("text: %q, %v", text, ok)
			}
			if texts, ok := members.Texts("x"); !slices.Equal(texts, test.texts) || ok != test.areOK {
				t.Errorf("texts: %q, %v", texts, ok)
			}
		})
	}
	t.Run("not there", func(t *testing.T) {
		for _, members := range []strictjson.Members{nil, {}} {
			_, isText := members.Text("x")
			_, areTexts := members.Texts("x")
			if isText || areTexts {
				t.Error("found")
			}
		}
	})
}

// Every text of up to five of these pieces, half a million in all, is judged as the
// model judges it.
func TestCheckAgreesWithTheModelOnShortTexts(t *testing.T) {
	for name, alphabet := range map[string][]string{
		"structure": {"{", "}", "[", "]", ":", ",", " ", `"a"`, `"A"`, "1", "null"},
		"numbers":   {"0", "1", "-", "+", ".", "e", "E", "]", "[", " "},
		"strings":   {`"`, `\`, "u", "0061", "d83d", `\udE00`, "\n", "/", "\x00", "é"},
		"names":     {`{"`, `":1,"`, `":1}`, "k", "K", "\u212a", `\u006b`, "s", "\u017f", `\u017F`},
	} {
		t.Run(name, func(t *testing.T) {
			var walk func(text string, pieces int)
			walk = func(text string, pieces int) {
				if got, want := strictjson.Check([]byte(text)), model([]byte(text)); (got == nil) != (want == nil) {
					t.Fatalf("%q: got %v, the model says %v", text, got, want)
				}
				if pieces == 0 {
					return
				}
				for _, piece := range alphabet {
					walk(text+piece, pieces-1)
				}
			}
			walk("", 5)
		})
	}
}

// The model allocates; this is what Check is for.
func TestCheckAllocatesLittle(t *testing.T) {
	claims := []byte(`{"iss":"https://acme.example/","sub":"auth0|1","aud":["a","b"],"exp":1800003600,"realm_access":{"roles":["r"]},"x":[{"y":1},{"y":1}]}`)
	if n := testing.AllocsPerRun(10, func() { wantError(t, strictjson.Check(claims), nil) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
