package assertion

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// homoglyphs are pairs of a Cyrillic, Greek, Armenian, Latin or Roman-numeral
// letter and the letter of a registered claim that it looks like.
const homoglyphs = "\u0430a\u03b1a\u0251a\u044cb\u0501d\u217ed\u0435e\u03f5e\u0456i\u03b9i\u0131i\u2170i\u0458j\u03f3j\u043cm\u217fm\u0578n" +
	"\u043eo\u03bfo\u0585o\u0440p\u03c1p\u0433r\u0455s\ua731s\u0442t\u03c4t\u03c5u\u057du\u0445x\u03c7x\u2179x"

// twinOf gives the registered claim that a name reads like without being it:
// to eyes, or to software that stops at NUL, trims, drops what cannot be seen
// or normalises. A plain name is nobody's twin; its case is for strictjson.
func twinOf(name string) (string, bool) {
	if !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", false
	}
	claim := strings.Map(func(r rune) rune {
		r = unicode.ToLower(r)
		switch i := strings.IndexRune(homoglyphs, r); {
		case r > ' ' && r <= '~':
			return r
		case r >= '\uff01' && r <= '\uff5e': // fullwidth forms of ASCII
			return r - '\uff01' + '!'
		case r >= 0x1d400 && r < 0x1d6a4: // mathematical alphabets, 26 letters each
			return 'a' + (r-0x1d400)%26
		case i >= 0:
			return rune(homoglyphs[i+utf8.RuneLen(r)])
		case unicode.IsLetter(r):
			return r
		}
		return -1
	}, name)
	return claim, slices.Contains([]string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "permissions"}, claim)
}
