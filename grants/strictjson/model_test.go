package strictjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cambio-oauth/cambio/grants/strictjson"
)

// model is the slow and obvious way to do what Check does: encoding/json reads
// the tokens, a map holds the names. FuzzCheck holds the two against each
// other.
func model(data []byte) error {
	if !utf8.Valid(data) {
		return strictjson.ErrEncoding
	}
	if err := modelShape(data); err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := modelMembers(decoder); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return strictjson.ErrTrailing
	}
	return nil
}

// modelShape counts brackets outside strings, and looks for escapes of lone
// surrogates inside.
func modelShape(data []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			switch surrogate(data[i:]) {
			case high:
				if i += 6; surrogate(data[min(i, len(data)):]) != low {
					return strictjson.ErrEncoding
				}
				i += 5
			case low:
				return strictjson.ErrEncoding
			default:
				i++
			}
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > strictjson.MaxDepth {
				return strictjson.ErrDepth
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

func modelMembers(decoder *json.Decoder) error {
	token, err := decoder.Token()
	if err != nil {
		return strictjson.ErrSyntax
	}
	delimiter, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for decoder.More() {
		if delimiter == '{' {
			name, err := decoder.Token()
			if err != nil {
				return strictjson.ErrSyntax
			}
			key := modelFold(name.(string))
			if seen[key] {
				return strictjson.ErrDuplicate
			}
			seen[key] = true
		}
		if err := modelMembers(decoder); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return strictjson.ErrSyntax
	}
	return nil
}

// modelFold gives one spelling to all names that strings.EqualFold holds equal.
func modelFold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, name)
}

// Halves of a surrogate pair (RFC 8259 §7).
const (
	none = iota
	high
	low
)

// surrogate tells which half the escape is that data begins with, if any.
func surrogate(data []byte) int {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' || data[2]|0x20 != 'd' {
		return none
	}
	switch c := data[3] | 0x20; {
	case c == '8' || c == '9' || c == 'a' || c == 'b':
		return high
	case c >= 'c' && c <= 'f':
		return low
	}
	return none
}
