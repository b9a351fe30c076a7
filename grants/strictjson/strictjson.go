package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may nest. A recursive decoder dies
// of a few megabytes of brackets, which no recover catches.
const MaxDepth = 16

// Errors of Check. A caller that must tell them apart uses errors.Is.
var (
	ErrSyntax    = errors.New("not valid JSON")
	ErrEncoding  = errors.New("not valid UTF-8")
	ErrDepth     = fmt.Errorf("nested deeper than %d levels", MaxDepth)
	ErrDuplicate = errors.New("a member stands twice in an object")
	ErrTrailing  = errors.New("data after the JSON value")
)

// Unmarshal checks data and decodes it into v.
func Unmarshal(data []byte, v any) error {
	if err := Check(data); err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// Check reports the first reason not to decode data.
func Check(data []byte) error {
	if !utf8.Valid(data) {
		return ErrEncoding
	}
	if err := checkShape(data); err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := checkMembers(decoder); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return ErrTrailing
	}
	return nil
}

// checkShape counts brackets outside strings, and refuses escapes of lone
// surrogates inside: decoders make U+FFFD of them, so two different texts would
// decode to the same string. It runs before the decoder and neither allocates
// nor recurses.
func checkShape(data []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			switch surrogate(data[i:]) {
			case high:
				if i += 6; surrogate(data[min(i, len(data)):]) != low {
					return ErrEncoding
				}
				i += 5
			case low:
				return ErrEncoding
			default:
				i++
			}
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return ErrDepth
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// checkMembers walks one value. Names are compared without regard to case and
// with Unicode's simple folding, as encoding/json matches struct fields: the
// Kelvin sign would otherwise be a second spelling of "k".
func checkMembers(decoder *json.Decoder) error {
	token, err := decoder.Token()
	if err != nil {
		return ErrSyntax
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
				return ErrSyntax
			}
			key := fold(name.(string))
			if seen[key] {
				return ErrDuplicate
			}
			seen[key] = true
		}
		if err := checkMembers(decoder); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return ErrSyntax
	}
	return nil
}

// fold gives one spelling to all names that strings.EqualFold holds equal.
func fold(name string) string {
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
