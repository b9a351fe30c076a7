package assertion_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
)

// A claim has no look-alike: neither for software that stops at NUL, trims,
// drops what cannot be seen or normalises, nor for whoever reads the record.
// The twin says what the claim says, and is refused for being there, beside the
// claim or in its place.
func TestClaimsThatReadLikeOthers(t *testing.T) {
	for _, test := range []struct{ name, twin, claim string }{
		{"NUL after", "iss\x00", "iss"}, {"NUL before", "\x00iss", "iss"}, {"a space after", "iss ", "iss"}, {"a space before", " iss", "iss"},
		{"a tab after", "exp\t", "exp"}, {"a line feed after", "aud\n", "aud"}, {"DEL after", "aud\x7f", "aud"}, {"a space within", "i s s", "iss"},
		{"a no-break space", "aud\u00a0", "aud"}, {"an ideographic space", "\u3000sub", "sub"}, {"a line separator", "sub\u2028", "sub"},
		{"a zero-width space", "s\u200bub", "sub"}, {"a zero-width joiner", "iss\u200d", "iss"}, {"a byte order mark", "\ufeffiss", "iss"},
		{"a soft hyphen", "permis\u00adsions", "permissions"}, {"a right-to-left override", "\u202eaud", "aud"}, {"a variation selector", "nbf\ufe0f", "nbf"},
		{"a tag", "iat\U000e0061", "iat"}, {"a combining mark", "i\u0301ss", "iss"}, {"the replacement character", "iss\ufffd", "iss"},
		{"Cyrillic і", "\u0456ss", "iss"}, {"Cyrillic ѕ", "is\u0455", "iss"}, {"Cyrillic ехр", "\u0435\u0445\u0440", "exp"}, {"Cyrillic јті", "\u0458\u0442\u0456", "jti"},
		{"Cyrillic а", "\u0430ud", "aud"}, {"Cyrillic, capital", "\u0406SS", "iss"}, {"Greek ι", "\u03b9at", "iat"}, {"Greek υ", "s\u03c5b", "sub"},
		{"dotless i", "\u0131ss", "iss"}, {"dotted capital I", "\u0130ss", "iss"}, {"a Roman numeral", "\u2170ss", "iss"}, {"Latin alpha", "\u0251ud", "aud"},
		{"Armenian ո", "\u0578bf", "nbf"}, {"fullwidth", "\uff49\uff53\uff53", "iss"}, {"fullwidth, one letter", "is\uff53", "iss"},
		{"fullwidth, capital", "\uff29\uff33\uff33", "iss"}, {"fullwidth in Cyrillic company", "\uff45\u0445p", "exp"},
		{"mathematical", "\U0001d5c2\U0001d5cc\U0001d5cc", "iss"}, {"mathematical, bold and capital", "\U0001d400\U0001d414\U0001d403", "aud"},
		{"permissions in Cyrillic", "\u0440\u0435rmissi\u043ens", "permissions"},
	} {
		value := soundClaims.with("nbf", "1799999990", "jti", `"id"`)[test.claim]
		text := "reads like " + test.claim + "; expected " + test.claim + "; found " + strings.Trim(strconv.QuoteToASCII(test.twin), `"`)
		t.Run(test.name, func(t *testing.T) {
			refused(t, sign(soundHeader, soundClaims.with(test.claim, value, test.twin, value)), grants.Malformed, text)
			refused(t, sign(soundHeader, soundClaims.with(test.claim, "", test.twin, value)), grants.Malformed, text)
			accepted(t, sign(soundHeader, soundClaims.with(test.claim, value)))
		})
	}
}

// Whoever names claims in another script, or in words that hold a registered
// name, is not refused for it.
func TestClaimsThatOnlyResembleOthers(t *testing.T) {
	for _, name := range []string{
		"issuer", "subject", "isss", "is", "i-ss", "iss_", "iss.", "_iss", "https://acme.example/iss", "permission", "Roles", "jti2", "0", "",
		"\u0441\u0443\u0431", "имя", "名前", "sub名", "süb", "éxp", "aud\u00edo", "Østlie", "issé", "iss\u0131", "urn:iss ", "my permissions", "\U0001f600", " ", "\x00",
	} {
		t.Run(name, func(t *testing.T) { accepted(t, sign(soundHeader, soundClaims.with(name, `"x"`))) })
	}
	t.Run("within another claim", func(t *testing.T) {
		accepted(t, sign(soundHeader, soundClaims.with("realm_access", `{"iss ":1,"\u0456ss":2}`)))
	})
	t.Run("a value", func(t *testing.T) { accepted(t, sign(soundHeader, soundClaims.with("x", `"iss\u0000"`))) })
}
