package strictjson

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
)

// scanner reads one JSON text (RFC 8259) from left to right. Each method reads
// what it is named after, which begins at at, and leaves at behind it. Nothing
// is read twice, and recursion ends at MaxDepth.
type scanner struct {
	data    []byte
	at      int
	depth   int
	names   [][]byte // folded, of the objects that are open
	members Members  // of the outermost object; nil when nobody asks
}

// space skips what may stand between tokens and tells which byte comes then;
// zero, which is no token's, at the end.
func (s *scanner) space() byte {
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) value() error {
	switch s.space() {
	case '{':
		return s.object()
	case '[':
		return s.array()
	case '"':
		_, err := s.text()
		return err
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	return s.number()
}

// object sorts the names when it has them all: that costs less than a map for
// the few there are, and n·log n for the thousands of an attacker.
func (s *scanner) object() error {
	outer := len(s.names)
	more, err := s.open('}')
	for more && err == nil {
		if err = s.member(); err == nil {
			more, err = s.next('}')
		}
	}
	if err != nil {
		return err
	}
	own := s.names[outer:]
	slices.SortFunc(own, bytes.Compare)
	for i := 1; i < len(own); i++ {
		if bytes.Equal(own[i-1], own[i]) {
			return ErrDuplicate
		}
	}
	s.names = s.names[:outer]
	return nil
}

func (s *scanner) array() error {
	more, err := s.open(']')
	for more && err == nil {
		if err = s.value(); err == nil {
			more, err = s.next(']')
		}
	}
	return err
}

// open reads a bracket, and the one that closes it if it comes at once.
func (s *scanner) open(end byte) (more bool, err error) {
	if s.depth++; s.depth > MaxDepth {
		return false, ErrDepth
	}
	s.at++
	if s.space() == end {
		s.at++
		s.depth--
		return false, nil
	}
	return true, nil
}

// next reads a comma or the closing bracket.
func (s *scanner) next(end byte) (more bool, err error) {
	switch s.space() {
	case ',':
		s.at++
		return true, nil
	case end:
		s.at++
		s.depth--
		return false, nil
	}
	return false, ErrSyntax
}

func (s *scanner) member() error {
	if s.space() != '"' {
		return ErrSyntax
	}
	start := s.at
	plain, err := s.text()
	if err != nil {
		return err
	}
	name := s.data[start+1 : s.at-1]
	if !plain {
		name = []byte(unquote(s.data[start:s.at]))
	}
	if s.space() != ':' {
		return ErrSyntax
	}
	s.at++
	s.space()
	start = s.at
	if err := s.value(); err != nil {
		return err
	}
	if s.members != nil && s.depth == 1 {
		s.members[string(name)] = s.data[start:s.at:s.at]
	}
	if s.names == nil {
		s.names = make([][]byte, 0, 16)
	}
	s.names = append(s.names, fold(name))
	return nil
}

// text reads a string. It is plain when its bytes are its value.
func (s *scanner) text() (plain bool, err error) {
	plain = true
	for s.at++; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return plain, nil
		case c < ' ':
			return false, ErrSyntax
		case c == '\\':
			plain = false
			if err := s.escape(); err != nil {
				return false, err
			}
		}
	}
	return false, ErrSyntax
}

// escape reads all of an escape but its last byte. Lone surrogates are
// refused: decoders make U+FFFD of them, so two different texts would decode to
// the same string.
func (s *scanner) escape() error {
	s.at++
	if s.at == len(s.data) {
		return ErrSyntax
	}
	switch s.data[s.at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
	default:
		return ErrSyntax
	}
	first, ok := s.unit(s.at + 1)
	if !ok {
		return ErrSyntax
	}
	s.at += 4
	if !utf16.IsSurrogate(first) {
		return nil
	}
	second, ok := s.unit(s.at + 3)
	if !ok || s.data[s.at+1] != '\\' || s.data[s.at+2] != 'u' || utf16.DecodeRune(first, second) == unicode.ReplacementChar {
		return ErrEncoding
	}
	s.at += 6
	return nil
}

// unit gives the UTF-16 code unit of four hexadecimal digits.
func (s *scanner) unit(at int) (rune, bool) {
	if at+4 > len(s.data) {
		return 0, false
	}
	var unit rune
	for _, c := range s.data[at : at+4] {
		switch {
		case c >= '0' && c <= '9':
			unit = unit<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			unit = unit<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return unit, true
}

func (s *scanner) literal(word string) error {
	if !bytes.HasPrefix(s.data[s.at:], []byte(word)) {
		return ErrSyntax
	}
	s.at += len(word)
	return nil
}

// number reads [ minus ] int [ frac ] [ exp ] (RFC 8259 §6).
func (s *scanner) number() error {
	s.accept("-")
	if !s.accept("0") && !s.digits() {
		return ErrSyntax
	}
	if s.accept(".") && !s.digits() {
		return ErrSyntax
	}
	if s.accept("eE") {
		if s.accept("+-"); !s.digits() {
			return ErrSyntax
		}
	}
	return nil
}

// accept reads one byte if it is one of those.
func (s *scanner) accept(those string) bool {
	if s.at == len(s.data) || strings.IndexByte(those, s.data[s.at]) < 0 {
		return false
	}
	s.at++
	return true
}

// digits reads at least one.
func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

// fold gives one spelling to all names that strings.EqualFold holds equal, as
// encoding/json matches struct fields: the Kelvin sign would otherwise be a
// second spelling of "k". Lower case stands for itself.
func fold(name []byte) []byte {
	for _, c := range name {
		if c >= 0x80 || c >= 'A' && c <= 'Z' {
			return bytes.Map(foldRune, name)
		}
	}
	return name
}

func foldRune(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	if least >= 'A' && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}
