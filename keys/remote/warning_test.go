package remote

import (
	"crypto/elliptic"
	"slices"
	"strings"
	"testing"
)

// codes lists those of all warnings in order of the alphabet, keyCodes those
// about keys, documentCodes the others.
func codes(document *Document) string         { return codesAbout(document, true, true) }
func keyCodes(document *Document) string      { return codesAbout(document, true, false) }
func documentCodes(document *Document) string { return codesAbout(document, false, true) }

func codesAbout(document *Document, keys, whole bool) string {
	list := []string{}
	for _, warning := range document.Warnings {
		if aboutWhole := strings.HasPrefix(warning.Detail, "the document"); aboutWhole && whole || !aboutWhole && keys {
			list = append(list, warning.Code)
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// wantSoundWarnings requires few and short warnings of known codes, each of
// which begins with what it is about.
func wantSoundWarnings(t *testing.T, document *Document, entries int) {
	t.Helper()
	aboutDocument := []string{WarnKeyWithoutID, WarnKeyWithoutAlgorithm, WarnSingleKey, WarnNoUsableKey}
	aboutKeys := []string{WarnSymmetricKey, WarnUnsupportedKey, WarnUnreadableKey, WarnBadKeyID, WarnUnsupportedBlock,
		WarnUnusableKey, WarnEncryptionKey, WarnAmbiguousKeyID, WarnCertificateExpired}
	if len(document.Warnings) > 2*entries+3 {
		t.Errorf("%d warnings for %d keys", len(document.Warnings), entries)
	}
	ended := false
	for _, warning := range document.Warnings {
		code, detail := warning.Code, warning.Detail
		switch about, _, _ := strings.Cut(detail, ":"); {
		case slices.Contains(aboutDocument, code):
			ended = true
			if about != "the document" {
				t.Errorf("%s: %q", code, detail)
			}
		case !slices.Contains(aboutKeys, code) || ended:
			t.Errorf("an unknown code %s, or after those about the document", code)
		case !strings.HasPrefix(detail, "key ") && !strings.HasPrefix(detail, "block ") && !strings.Contains(about, " blocks"):
			t.Errorf("%s does not say which key: %q", code, detail)
		}
		if len(detail) > maxDetailBytes || !printable(detail) {
			t.Errorf("%s: %d bytes of %q", code, len(detail), detail)
		}
	}
}

func TestAWarningSaysWhichKeyAndWhy(t *testing.T) {
	ec, ed := ecKey(elliptic.P256()).Public(), edKey()
	for _, c := range []struct{ code, want, data string }{
		{WarnUnusableKey, `key 0 (kid "old"): RSA modulus of 1024 bits, expected 2048 to 4096`, string(jwks(jwk(rsaKey(1024), map[string]any{"kid": "old"})))},
		{WarnUnsupportedKey, `key 0: kty "OKP", crv "Ed448"; expected an RSA, EC (P-256, P-384, P-521) or Ed25519 key`, string(jwks(jwk(ed, map[string]any{"crv": "Ed448"})))},
		{WarnUnsupportedKey, `key 0: kty absent, crv not a string; expected an RSA, EC (P-256, P-384, P-521) or Ed25519 key`, `{"keys":[{"crv":5}]}`},
		{WarnEncryptionKey, `key 0: use is not sig`, string(jwks(jwk(ec, map[string]any{"use": "enc"})))},
		{WarnKeyWithoutAlgorithm, `the document: 1 of 1 usable keys name no alg`, string(jwks(jwk(ec, nil)))},
		{WarnKeyWithoutID, `the document: 1 of 2 usable keys have no kid; a token names its key by kid`, string(jwks(jwk(ec, nil), jwk(ed, map[string]any{"kid": "a"})))},
		{WarnSingleKey, `the document: one usable key; publish the next one before it is used to sign`, spki(ed)},
		{WarnNoUsableKey, `the document: no key in it can verify a token`, spki(rsaKey(1024))},
		{WarnUnusableKey, `block 0: RSA modulus of 1024 bits, expected 2048 to 4096`, spki(rsaKey(1024))},
	} {
		document := must(Parse([]byte(c.data), "auto"))
		if !slices.Contains(document.Warnings, Warning{c.code, c.want}) {
			t.Errorf("got %v, want %s %s", document.Warnings, c.code, c.want)
		}
	}
}

func TestWarningsAboutADocument(t *testing.T) {
	a, b, small := ecKey(elliptic.P256()).Public(), ecKey(elliptic.P256()).Public(), rsaKey(1024)
	full := func(id string) map[string]any { return map[string]any{"kid": id, "alg": "ES256"} }
	for _, c := range []struct{ rule, data, want string }{
		{"two good keys", string(jwks(jwk(a, full("a")), jwk(b, full("b")))), ""},
		{"two good keys without alg are one warning", string(jwks(jwk(a, map[string]any{"kid": "a"}), jwk(b, map[string]any{"kid": "b"}))), "key_without_alg"},
		{"a key of no use counts for nothing", string(jwks(jwk(a, full("a")), jwk(small, map[string]any{"kid": "b"}))), "single_key"},
		{"a key without kid beside one of no use", string(jwks(jwk(a, map[string]any{"alg": "ES256"}), jwk(small, map[string]any{"kid": "b"}))), "key_without_kid single_key"},
		{"only secrets", `{"keys":[{"kty":"oct","k":"AQAB"}]}`, "no_usable_key"},
		{"only encryption", string(jwks(jwk(a, map[string]any{"use": "enc"}))), "no_usable_key"},
		{"PEM names neither kid nor alg", spki(a) + spki(b), ""},
		{"one key twice in PEM", spki(a) + spki(a), "single_key"},
		{"PEM of no use", spki(small), "no_usable_key"},
		{"a map", string(must(mapOf("x", spki(a), "y", spki(b)))), ""},
		{"a map of one", string(must(mapOf("x", spki(a)))), "single_key"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			document := must(Parse([]byte(c.data), "auto"))
			if got := documentCodes(document); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			wantSoundWarnings(t, document, len(document.Keys)+1)
		})
	}
}

// The worst that 64 keys can do.
func TestWarningsAreFewAndShort(t *testing.T) {
	long, expired := strings.Repeat(`"\`, 128), x5cOf(timeOf(2020, 1))
	good, bad := []any{}, []any{}
	for range MaxKeys {
		public := ecKey(elliptic.P256()).Public()
		good = append(good, jwk(public, map[string]any{"kid": long, "x5c": expired}))
		bad = append(bad, jwk(public, map[string]any{"kid": long, "x5c": expired, "alg": "none"}))
	}
	for _, keys := range [][]any{good, bad} {
		document := must(Parse(jwks(keys...), "auto"))
		if len(document.Keys) != MaxKeys || len(document.Warnings) < 2*MaxKeys {
			t.Errorf("%d keys, %d warnings", len(document.Keys), len(document.Warnings))
		}
		wantSoundWarnings(t, document, MaxKeys)
	}
}
