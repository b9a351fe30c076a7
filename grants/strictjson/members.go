package strictjson

import (
	"bytes"
	"encoding/json"
)

// Members are the members of an object that was checked, as they stand there.
type Members map[string]json.RawMessage

// Text gives the value of a member that is a string.
func (m Members) Text(name string) (value string, ok bool) {
	raw := m[name]
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return unquote(raw), true
}

// Texts gives the value of a member that is an array of strings. encoding/json
// would make an empty string of null.
func (m Members) Texts(name string) (values []string, ok bool) {
	s := scanner{data: m[name]}
	if s.space() != '[' {
		return nil, false
	}
	more, _ := s.open(']')
	for more {
		if s.space() != '"' {
			return nil, false
		}
		start := s.at
		_, _ = s.text()
		values = append(values, unquote(s.data[start:s.at]))
		more, _ = s.next(']')
	}
	return values, true
}

// TextOrTexts gives the value of a member that is a string or an array of
// strings, as aud may be (RFC 7519 §4.1.3).
func (m Members) TextOrTexts(name string) (values []string, ok bool) {
	if one, ok := m.Text(name); ok {
		return []string{one}, true
	}
	return m.Texts(name)
}

// unquote gives the value of a string that was checked.
func unquote(raw []byte) (value string) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	_ = json.Unmarshal(raw, &value)
	return value
}
