package strictjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants/strictjson"
)

// wantError asserts one error of the package and none of its others.
func wantError(t *testing.T, got, want error) {
	t.Helper()
	for _, known := range []error{strictjson.ErrSyntax, strictjson.ErrEncoding, strictjson.ErrDepth, strictjson.ErrDuplicate, strictjson.ErrTrailing, strictjson.ErrNotObject} {
		if errors.Is(got, known) != errors.Is(want, known) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if (got == nil) != (want == nil) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func arrays(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func objects(n int) string {
	return strings.Repeat(`{"a":`, n-1) + "{}" + strings.Repeat("}", n-1)
}

// JWT-28; go-jose PR #290, CVE-2025-6203: nesting kills recursive decoders.
func TestDepth(t *testing.T) {
	for _, test := range []struct {
		name, data string
		want       error
	}{
		{"16 arrays", arrays(16), nil},
		{"17 arrays", arrays(17), strictjson.ErrDepth},
		{"16 objects", objects(16), nil},
		{"17 objects", objects(17), strictjson.ErrDepth},
		{"16 of both", strings.Repeat(`[{"a":`, 8) + "1" + strings.Repeat("}]", 8), nil},
		{"17 of both", strings.Repeat(`[{"a":`, 8) + "[]" + strings.Repeat("}]", 8), strictjson.ErrDepth},
		{"17 in a second member", `{"a":` + arrays(15) + `,"b":` + arrays(16) + `}`, strictjson.ErrDepth},
		{"many siblings are not deep", "[" + strings.Repeat("[],", 5000) + "[]]", nil},
		{"17 brackets in a string are text", `"` + strings.Repeat("[", 17) + `"`, nil},
		{"an escaped quote does not end a string", `"\"` + strings.Repeat("[", 17) + `"`, nil},
		{"an escaped backslash does not hide the quote", `["\\",` + arrays(16) + `]`, strictjson.ErrDepth},
		{"brackets in a name are text", `{"` + strings.Repeat("{", 17) + `":1}`, nil},
		{"closing brackets first buy no depth", strings.Repeat("]", 40) + arrays(50), strictjson.ErrSyntax},
		{"closing brackets after a value buy no depth", "[]" + strings.Repeat("]", 40) + arrays(50), strictjson.ErrTrailing},
		{"17 open, none closed", strings.Repeat("[", 17), strictjson.ErrDepth},
		{"16 open, none closed", strings.Repeat("[", 16), strictjson.ErrSyntax},
		{"9,000", arrays(9000), strictjson.ErrDepth},
		{"20,000, past the limit of encoding/json", arrays(20000), strictjson.ErrDepth},
	} {
		t.Run(test.name, func(t *testing.T) { wantError(t, strictjson.Check([]byte(test.data)), test.want) })
	}
}

// F1: 3.5 million brackets overflowed the stack of the whole process. That
// nothing is allocated shows that nothing is decoded and nothing recurses.
func TestMillionsOfBracketsCostOneScan(t *testing.T) {
	for name, data := range map[string][]byte{
		"arrays":               bytes.Repeat([]byte("["), 3_500_000),
		"objects":              bytes.Repeat([]byte(`{"a":`), 3_500_000),
		"closed arrays":        []byte(arrays(3_500_000)),
		"after a known member": append([]byte(`{"permissions":`), bytes.Repeat([]byte("["), 3_500_000)...),
	} {
		t.Run(name, func(t *testing.T) {
			if n := testing.AllocsPerRun(10, func() { wantError(t, strictjson.Check(data), strictjson.ErrDepth) }); n > 0 {
				t.Errorf("%v allocations, want none", n)
			}
		})
	}
}

// RFC 7519 §4, RFC 7515 §4: member names must be unique; readers disagree
// about which of two counts (JWT-13, JWT-14).
func TestDuplicateMembers(t *testing.T) {
	for _, test := range []struct{ name, data string }{
		{"exact", `{"alg":"none","alg":"RS256"}`},
		{"exact, same value", `{"a":1,"a":1}`},
		{"not adjacent", `{"a":1,"b":2,"a":3}`},
		{"one of them escaped", `{"alg":1,"\u0061lg":2}`},
		{"escaped with another spelling of the digits", `{"\u006A":1,"\u006a":2}`},
		{"by case", `{"alg":1,"ALG":2}`},
		{"by case in one letter", `{"permissions":[],"Permissions":[]}`},
		{"by the Kelvin sign", `{"kid":1,"` + "\u212a" + `id":2}`},
		{"by the escaped Kelvin sign", `{"kid":1,"\u212aid":2}`},
		{"by the long s", `{"iss":1,"i` + "\u017f" + `s":2}`},
		{"by the final sigma", `{"σ":1,"ς":2}`},
		{"by case outside ASCII", `{"é":1,"É":2}`},
		{"the empty name", `{"":1,"":2}`},
		{"in an inner object", `{"a":{"b":1,"b":2}}`},
		{"in an object within an array", `[{"b":1,"b":2}]`},
		{"after an inner object of the same name", `{"a":{"a":1},"a":2}`},
		{"a name with NUL", `{"a\u0000":1,"a\u0000":2}`},
	} {
		t.Run(test.name, func(t *testing.T) { wantError(t, strictjson.Check([]byte(test.data)), strictjson.ErrDuplicate) })
	}
}

func TestNamesThatOnlyLookAlikeAreDifferent(t *testing.T) {
	for _, data := range []string{
		`{"a":{"a":{"a":1}}}`, `[{"a":1},{"a":1}]`, `{"a":"a","b":"a"}`, `{"a":1,"a ":2}`, `{"a":1,"a\u0000":2}`,
		`{"i":1,"ı":2}`,                 // dotless i is not i under simple folding
		`{"ss":1,"ß":2}`,                // full folding is not what encoding/json does
		`{"é":1,"e` + "\u0301" + `":2}`, // no normalisation
		`{"iss":1,"іss":2}`,             // Cyrillic і
	} {
		t.Run(data, func(t *testing.T) { wantError(t, strictjson.Check([]byte(data)), nil) })
	}
}

func TestText(t *testing.T) {
	for _, test := range []struct {
		name, data string
		want       error
	}{
		{"invalid UTF-8 in a string", "\"\xff\"", strictjson.ErrEncoding},
		{"invalid UTF-8 in a name", "{\"\xc3\x28\":1}", strictjson.ErrEncoding},
		{"invalid UTF-8 outside a string", "\xff", strictjson.ErrEncoding},
		{"overlong encoding", "\"\xc0\xaf\"", strictjson.ErrEncoding},
		{"a surrogate in UTF-8", "\"\xed\xa0\x80\"", strictjson.ErrEncoding},
		{"UTF-16", "{\x00\"\x00a\x00\"\x00:\x001\x00}\x00", strictjson.ErrSyntax},
		{"UTF-16 with a byte order mark", "\xff\xfe{\x00}\x00", strictjson.ErrEncoding},
		{"a lone high surrogate", `"\ud800"`, strictjson.ErrEncoding},
		{"a lone low surrogate", `"\udc00"`, strictjson.ErrEncoding},
		{"surrogates in the wrong order", `"\udc00\ud800"`, strictjson.ErrEncoding},
		{"two high surrogates", `"\ud800\ud800"`, strictjson.ErrEncoding},
		{"a lone surrogate in a name", `{"\ud800":1}`, strictjson.ErrEncoding},
		{"a lone surrogate deep inside", `{"a":[{"b":["\ud800"]}]}`, strictjson.ErrEncoding},
		{"a pair of surrogates", `"\ud83d\ude00"`, nil},
		{"a high surrogate and then another character", `"\ud83dx"`, strictjson.ErrEncoding},
		{"a high surrogate and then another high one", `"\ud83d\ud83d\ude00"`, strictjson.ErrEncoding},
		{"a high surrogate at the end", `"\ud83d`, strictjson.ErrEncoding},
		{"a surrogate that is only text", `"\\ud83d"`, nil},
		{"the replacement character, which is one like others", "\"\ufffd\"", nil},
		{"the replacement character, escaped", `"\ufffd"`, nil},
		{"NUL, escaped", `"\u0000"`, nil},
		{"a byte order mark (RFC 8259 §8.1)", "\ufeff{}", strictjson.ErrSyntax},
		{"a raw line feed in a string", "\"a\nb\"", strictjson.ErrSyntax},
		{"a raw NUL in a string", "\"a\x00b\"", strictjson.ErrSyntax},
	} {
		t.Run(test.name, func(t *testing.T) { wantError(t, strictjson.Check([]byte(test.data)), test.want) })
	}
	for c := range 0x20 { // RFC 8259 §7
		wantError(t, strictjson.Check([]byte(`"`+string(rune(c))+`"`)), strictjson.ErrSyntax)
		wantError(t, strictjson.Check([]byte(fmt.Sprintf(`"\u%04x"`, c))), nil)
	}
}

// JWT-25, after the n_ cases of JSONTestSuite.
func TestSyntax(t *testing.T) {
	for _, data := range []string{
		"", " ", "\n", "nul", "NaN", "-NaN", "Infinity", "-Infinity", "undefined", "True", "'a'", "a",
		"// c\n{}", "/* c */ {}", "{} /* c */", "{/**/}", "# c\n{}",
		`{"a":1,}`, `{,"a":1}`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{a:1}`, `{'a':1}`, `{1:1}`, `{"a":1 "b":2}`, `{"a":1,,"b":2}`,
		`{null:1}`, `{["a"]:1}`, `{"a":1`, `{"a":1]`, `[1}`, `[1,]`, `[,1]`, `[1 2]`, `[1,,2]`, `[`, `{`, `]`, `}`, `,`, `:`,
		"01", "-", "+1", ".5", "1.", "1e", "0x10", "1_000", `"\x"`, `"\u12"`, `"a`, `"\`, "\v{}", "\u00a0{}",
		`[1e]`, `[-]`, `[01]`, `{"a":NaN}`, `[NaN]`,
	} {
		t.Run(data, func(t *testing.T) {
			if err := strictjson.Check([]byte(data)); !errors.Is(err, strictjson.ErrSyntax) && !errors.Is(err, strictjson.ErrTrailing) {
				t.Errorf("got %v, want a syntax error", err)
			}
		})
	}
	for _, data := range []string{
		"{}", "[]", "null", "true", "false", "0", "-0", "1.5e+10", `""`, " \t\r\n{ \"a\" : [ 1 , 2 ] } \n", "1e999", "123456789012345678901234567890",
	} {
		t.Run(data, func(t *testing.T) { wantError(t, strictjson.Check([]byte(data)), nil) })
	}
}

func TestTrailingData(t *testing.T) {
	for _, data := range []string{"{}{}", "{} {}", "{}x", "{},", "{}]", "{}}", "null null", "1 2", `"a""b"`, "{}\x00", "[]0", "{}//"} {
		t.Run(data, func(t *testing.T) { wantError(t, strictjson.Check([]byte(data)), strictjson.ErrTrailing) })
	}
}

// JWT-29: what fits into 32 KiB is about 3,000 members. They cost the growth of
// one list of names, whose duplicates are found by sorting.
func TestManyMembers(t *testing.T) {
	var members []string
	for i := range 3000 {
		members = append(members, fmt.Sprintf(`"m%d":0`, i))
	}
	data := []byte("{" + strings.Join(members, ",") + "}")
	if n := testing.AllocsPerRun(10, func() { wantError(t, strictjson.Check(data), nil) }); n > 20 {
		t.Errorf("%v allocations", n)
	}
	wantError(t, strictjson.Check([]byte("{"+strings.Join(append(members, `"M0":0`), ",")+"}")), strictjson.ErrDuplicate)
}

func TestUnmarshal(t *testing.T) {
	t.Run("decodes what is sound", func(t *testing.T) {
		var v struct{ A int }
		if err := strictjson.Unmarshal([]byte(`{"a":1}`), &v); err != nil || v.A != 1 {
			t.Errorf("got %+v, %v", v, err)
		}
	})
	t.Run("touches nothing when it refuses", func(t *testing.T) {
		v := struct{ A int }{7}
		wantError(t, strictjson.Unmarshal([]byte(`{"a":1,"A":2}`), &v), strictjson.ErrDuplicate)
		if v.A != 7 {
			t.Errorf("got %+v", v)
		}
	})
	t.Run("tells of a value of another type", func(t *testing.T) {
		var v struct{ A int }
		var typeError *json.UnmarshalTypeError
		if err := strictjson.Unmarshal([]byte(`{"a":"1"}`), &v); !errors.As(err, &typeError) {
			t.Errorf("got %v", err)
		}
	})
}
