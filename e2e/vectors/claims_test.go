package vectors_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"strings"
	"sync"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/grants"
)

// resignedMutations sign what is wrong with the right key, so that nothing but
// the check in question can refuse it, and what is right with the wrong key.
func resignedMutations() []mutation {
	var all []mutation
	claims := func(want grants.Reason, pairs ...string) {
		all = append(all, mutation{"signed anew: " + strings.Join(pairs, " "), func(f *forge) string {
			return f.signed(f.header.String(), f.claims.with(pairs...).String())
		}, want})
	}
	claims(grants.IssuerUnknown, "iss", `"https://acme.example"`)
	claims(grants.ClaimMissing, "iss", "")
	claims(grants.AudienceMismatch, "aud", `["api.cambio.example/"]`)
	claims(grants.AudienceMismatch, "aud", "[]")
	claims(grants.ClaimMissing, "aud", "")
	claims(grants.TokenExpired, "exp", "1800000000") // this very second
	claims(grants.ClaimMissing, "exp", "")
	claims(grants.ClaimInvalid, "exp", `"1800003600"`)
	claims(grants.ClaimMissing, "iat", "")
	claims(grants.TokenNotYetValid, "iat", "1800000061")
	claims(grants.TokenNotYetValid, "nbf", "1800000061")
	claims(grants.LifetimeTooLong, "exp", "1800086391") // a day and a second after iat
	claims(grants.ClaimMissing, "sub", "")
	claims(grants.ClaimInvalid, "sub", `" "`)
	claims(grants.ClaimInvalid, "jti", "1")
	claims(grants.WrongTokenKind, "cnf", `{"jkt":"x"}`)
	claims(grants.WrongTokenKind, "events", "{}")
	claims(grants.WrongTokenKind, "nonce", `"n"`)
	header := func(want grants.Reason, pairs ...string) {
		all = append(all, mutation{"signed anew: header " + strings.Join(pairs, " "), func(f *forge) string {
			return f.signed(f.header.with(pairs...).String(), f.claims.String())
		}, want})
	}
	header(grants.AlgNotAllowed, "alg", `"none"`)
	header(grants.AlgNotAllowed, "alg", "")
	header(grants.KeyNotFound, "kid", `"another"`)
	header(grants.TypNotAllowed, "typ", `"dpop+jwt"`)
	header(grants.HeaderNotAllowed, "crit", `["filler"]`)
	header(grants.HeaderNotAllowed, "b64", "true")
	header(grants.HeaderNotAllowed, "zip", `"DEF"`)
	header(grants.HeaderNotAllowed, "cty", `"JWT"`)
	return append(all, writtenMutations()...)
}

func writtenMutations() []mutation {
	anew := func(name string, want grants.Reason, header, payload func(text string) string) mutation {
		return mutation{"signed anew: " + name, func(f *forge) string { return f.signed(header(f.header.String()), payload(f.claims.String())) }, want}
	}
	same := func(text string) string { return text }
	return []mutation{
		anew("sub twice", grants.Malformed, same, func(claims string) string { return `{"sub":"user-1",` + claims[1:] }),
		anew("an array", grants.Malformed, same, func(claims string) string { return "[" + claims + "]" }),
		anew("nothing", grants.Malformed, same, func(string) string { return "" }),
		anew("a byte order mark", grants.Malformed, same, func(claims string) string { return "\xef\xbb\xbf" + claims }),
		anew("kid twice", grants.Malformed, func(header string) string { return `{"kid":"k",` + header[1:] }, same),
		{"signed anew: by another key", func(f *forge) string { return stranger(f, false) }, grants.SignatureInvalid},
		{"signed anew: by another key, sent along", func(f *forge) string { return stranger(f, true) }, grants.SignatureInvalid},
		{"signed anew: the payload as it is (RFC 7797)", func(f *forge) string {
			return f.base[0] + "." + f.base[1] + "." + encode(string(f.key.sign(f.algorithm, f.base[0]+"."+decode(f.base[1]))))
		}, grants.SignatureInvalid},
	}
}

var strangerRSA = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

// strangerKey is a key of the same kind that nobody published.
func strangerKey(f *forge) *privateJWK {
	other := *f.key
	if f.key.Type == "EC" {
		other.D = base64Int(*new(big.Int).Rsh(f.key.D.int(), 1))
		return &other
	}
	key := strangerRSA()
	other.N, other.D = base64Int(*key.N), base64Int(*key.D)
	other.P, other.Q = base64Int(*key.Primes[0]), base64Int(*key.Primes[1])
	return &other
}

// stranger signs with that key and, if asked, sends it along (CVE-2018-0114).
func stranger(f *forge, embed bool) string {
	other := *f
	other.key = strangerKey(f)
	header := f.header
	if embed {
		public := jose.JSONWebKey{KeyID: f.key.ID, Algorithm: f.algorithm}
		if f.key.Type == "EC" {
			public.Key = &other.key.ecdsa(f.algorithm).PublicKey
		} else {
			public.Key = &strangerRSA().PublicKey
		}
		header = header.with("jwk", string(must(json.Marshal(public))))
	}
	return other.signed(header.String(), f.claims.String())
}
