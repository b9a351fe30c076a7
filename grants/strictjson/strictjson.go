package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may nest. A recursive decoder dies
// of a few megabytes of brackets, which no recover catches.
const MaxDepth = 16

// Errors of this package. A caller that must tell them apart uses errors.Is.
var (
	ErrSyntax    = errors.New("not valid JSON")
	ErrEncoding  = errors.New("not valid UTF-8")
	ErrDepth     = fmt.Errorf("nested deeper than %d levels", MaxDepth)
	ErrDuplicate = errors.New("a member stands twice in an object")
	ErrTrailing  = errors.New("data after the JSON value")
	ErrNotObject = errors.New("not a JSON object")
)

// Check reports one reason not to decode data, if there is any.
func Check(data []byte) error {
	return scan(&scanner{data: data})
}

// Unmarshal checks data and decodes it into v.
func Unmarshal(data []byte, v any) error {
	if err := Check(data); err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// Object checks data and gives the members of the object it must be: what
// encoding/json decodes into a map, in one pass. They are parts of data.
func Object(data []byte) (Members, error) {
	s := &scanner{data: data, members: make(Members, len(data)/64)}
	isObject := s.space() == '{'
	if err := scan(s); err != nil {
		return nil, err
	}
	if !isObject {
		return nil, ErrNotObject
	}
	return s.members, nil
}

func scan(s *scanner) error {
	if !utf8.Valid(s.data) {
		return ErrEncoding
	}
	if err := s.value(); err != nil {
		return err
	}
	if s.space(); s.at < len(s.data) {
		return ErrTrailing
	}
	return nil
}
