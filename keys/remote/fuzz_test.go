package remote

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants/assertion"
)

// FuzzKeyDocument (JWK-24): whatever the bytes, no panic, no key without a
// problem that the policy does not allow, nothing of a private key, few and
// short warnings, no key material in any text, and the same outcome each time.
func FuzzKeyDocument(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed, "auto")
	}
	f.Add([]byte(spki(edKey())), "pem")
	f.Add(named("a", "b"), "jwks")
	f.Fuzz(func(t *testing.T, data []byte, format string) {
		now := timeOf(2026, 6)
		document, err := parse(data, format, now)
		again, errAgain := parse(bytes.Clone(data), format, now)
		if !reflect.DeepEqual(document, again) || !reflect.DeepEqual(err, errAgain) {
			t.Fatalf("two outcomes: %+v, %v and %+v, %v", document, err, again, errAgain)
		}
		if err != nil {
			if document != nil {
				t.Fatal("an error and a document")
			}
			var discovery *DiscoveryError
			if errors.As(err, &discovery) && (len(discovery.JWKSURI) > maxJWKSURIBytes || !printable(discovery.JWKSURI)) {
				t.Fatalf("%q is no URL", discovery.JWKSURI)
			}
			wantNoMaterial(t, err.Error(), data)
			return
		}
		if hasPrivateMember(data) {
			t.Fatal("a private key was let through")
		}
		if len(document.Keys) > MaxKeys {
			t.Fatal("too many keys")
		}
		wantSoundWarnings(t, document, MaxKeys)
		for _, warning := range document.Warnings {
			wantNoMaterial(t, warning.Detail, data)
		}
		for _, key := range document.Keys {
			wantAllowed(t, key)
			wantNoMaterial(t, key.Problem, data)
			if key.Unnamed != (document.Format == FormatPEM) || !soundKeyID(key.ID) || key.Used != nil {
				t.Fatalf("%+v in a %s document", key, document.Format)
			}
		}
	})
}

// wantAllowed requires a key of the policy, whose words are repeated here.
func wantAllowed(t *testing.T, key assertion.Key) {
	t.Helper()
	if key.Public == nil {
		t.Fatal("a key without a key")
	}
	if key.Problem != "" {
		return
	}
	switch public := key.Public.(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < 2048 || bits > 4096 || public.E != 65537 || public.N.Bit(0) == 0 {
			t.Fatalf("RSA key of %d bits, e = %d", bits, public.E)
		}
	case *ecdsa.PublicKey:
		if !slices.Contains([]elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()}, public.Curve) {
			t.Fatal("a curve that is not allowed")
		}
		if _, err := public.Bytes(); err != nil {
			t.Fatal("a point that is not on its curve")
		}
	case ed25519.PublicKey:
		if len(public) != ed25519.PublicKeySize {
			t.Fatal("an Ed25519 key of a wrong size")
		}
	default:
		t.Fatalf("a key of type %T", public)
	}
}

var (
	quotedID   = regexp.MustCompile(`\(kid "(\\.|[^"\\])*"\)`)
	base64Run  = regexp.MustCompile(`[A-Za-z0-9+/_-]{40,}`)
	privatePEM = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY`)
)

// wantNoMaterial requires that a text has no 40 characters in common with what
// could be a key of the document. A kid may look like one.
func wantNoMaterial(t *testing.T, text string, data []byte) {
	t.Helper()
	for _, run := range base64Run.FindAllString(quotedID.ReplaceAllString(text, ""), -1) {
		for i := 0; i+40 <= len(run); i++ {
			if bytes.Contains(data, []byte(run[i:i+40])) {
				t.Fatalf("%q quotes the document", text)
			}
		}
	}
}

// hasPrivateMember finds private keys in another way than the parser.
func hasPrivateMember(data []byte) bool {
	if privatePEM.Match(data) {
		return true
	}
	var walk func(value any) bool
	walk = func(value any) bool {
		list, _ := value.([]any)
		object, _ := value.(map[string]any)
		for name, member := range object {
			text, isText := member.(string)
			isName := isText && (text == "" || strings.HasPrefix(text, "-----BEGIN "))
			if slices.Contains([]string{"d", "p", "q", "dp", "dq", "qi", "oth", "priv"}, name) && !isName &&
				member != nil && !reflect.DeepEqual(member, []any{}) {
				return true
			}
			if walk(member) {
				return true
			}
		}
		text, _ := value.(string)
		return privatePEM.MatchString(text) || slices.ContainsFunc(list, walk)
	}
	var value any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode(&value) == nil && walk(value)
}

// seeds are documents of the rows JWK-01 to JWK-23.
func seeds() [][]byte {
	ec, ed, large := ecKey(elliptic.P256()), edKey(), rsaKey(2048)
	certificate := certify(ec, timeOf(2026, 5))
	public := ec.Public()
	key := func(name string, value any) map[string]any { return jwk(public, map[string]any{name: value}) }
	all := [][]byte{
		jwks(jwk(large, map[string]any{"kid": "a", "alg": "RS256"}), jwk(ed, nil), jwk(ecKey(elliptic.P521()).Public(), nil)),
		jwks(key("use", "enc"), key("use", ""), key("use", []any{"sig"}), key("key_ops", []any{"verify", "verify"})),
		jwks(key("alg", "HS256"), key("alg", "ES256"), key("alg", ""), map[string]any{"kty": "oct", "k": "AQAB"}),
		jwks(jwk(rsaKey(1024), map[string]any{"use": "enc"}), jwk(rsaKey(4097), nil), jwk(rsaOf(rocaModulus()), nil)),
		jwks(jwk(rsaOf(knownPrime(1919)), nil), jwk(rsaOf(allOnes(2203)), nil), jwk(rsaOf(closeProduct(rsaKey(1025).N)), nil)),
		jwks(jwk(large, map[string]any{"d": "AQAB"}), key("oth", []any{1}), key("priv", "")),
		jwks(key("kid", "x"), key("kid", "x"), jwk(ed, map[string]any{"kid": "x"}), key("kid", 5), key("kid", "\x00")),
		jwks(key("x5c", []any{b64(certificate)}), key("x5c", x5cOf(timeOf(2020, 1))), key("x5u", "http://a.test/")),
		jwks(),
		[]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","x5c":[1]},null,[],{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}]}`),
		[]byte(`{"keys":[{"kty":"EC","KTY":"EC"}]}`), []byte(`{"keys":[]}{"keys":[]}`), []byte("\xef\xbb\xbf{}"),
		[]byte(`{"keys":` + strings.Repeat("[", 100)), []byte(`{"keys":null}`), []byte(`<html>`),
		[]byte(`{"issuer":"https://a.test","jwks_uri":"https://a.test/keys"}`), []byte(`{"jwks_uri":"\u0000"}`),
		must(mapOf("a", block("CERTIFICATE", certificate), "d", spki(large))),
		must(mapOf("a", "junk", "b", spki(ed), "", spki(ed), "c", spki(ed)+spki(ed))),
		must(mapOf("a", spki(ed), "b", block("PRIVATE KEY", []byte{1}))),
		[]byte("text\r\n" + spki(large) + block("RSA PUBLIC KEY", marshalPKCS1(rsaKey(3072))) + block("CERTIFICATE", certificate) + "junk\n" + spki(ed)),
		[]byte(spki(ecKey(elliptic.P224()).Public()) + block("PUBLIC KEY", spkiOf(oidEC)) + block("CERTIFICATE REQUEST", []byte{1})),
		[]byte(block("PUBLIC KEY", indefinite(derOf(spki(public)))) + block("PUBLIC KEY", nested(100)) + block("CERTIFICATE", nested(100))),
		[]byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: 1\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n"),
		bytes.Repeat([]byte("-----BEGIN "), 100),
	}
	for _, kind := range []string{"PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", "DSA PUBLIC KEY"} {
		all = append(all, []byte(block(kind, []byte{1, 2, 3})+spki(ed)))
	}
	return all
}
