package assertion

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/jws"
)

// Verifier verifies subject tokens.
type Verifier struct {
	Keys Keys
	Now  func() time.Time
}

// Verify judges a token under one policy: first all that costs nothing, then
// the key, which may cost a request, then the signature, which costs
// arithmetic.
func (v *Verifier) Verify(ctx context.Context, token *Token, policy *Policy) (*Claims, *grants.Refusal) {
	if refusal := token.checkKind(policy); refusal != nil {
		return nil, refusal
	}
	if refusal := checkAlgorithm(token.signed, policy); refusal != nil {
		return nil, refusal
	}
	claims, refusal := token.checkClaims(policy, v.Now())
	if refusal != nil {
		return nil, refusal
	}
	if refusal := v.VerifySignature(ctx, token.signed, policy); refusal != nil {
		return nil, refusal
	}
	return claims, nil
}

// checkAlgorithm: the policy names the algorithms, the token merely picks (RFC
// 8725 §3.1).
func checkAlgorithm(signed *jws.Token, policy *Policy) *grants.Refusal {
	if slices.Contains(policy.Algorithms, signed.Algorithm) {
		return nil
	}
	return grants.RefuseToken(grants.AlgNotAllowed, "the key URL does not allow the signature algorithm of the subject token",
		strings.Join(policy.Algorithms, " "), `alg "`+grants.Shown(signed.Algorithm)+`"`)
}

// VerifySignature judges the signature alone, whatever it is that was signed:
// algorithm, key, arithmetic.
func (v *Verifier) VerifySignature(ctx context.Context, signed *jws.Token, policy *Policy) *grants.Refusal {
	if refusal := checkAlgorithm(signed, policy); refusal != nil {
		return refusal
	}
	query := KeyQuery{Ref: policy.Keys, KeyID: signed.KeyID, Epoch: policy.KeysEpoch}
	keys, refusal := v.candidates(ctx, signed, query)
	if refusal != nil {
		return refusal
	}
	if v.verifiesWithOneOf(signed, keys) {
		return nil
	}
	// Without a key id nothing shows that a key was replaced, so a signature
	// that fails is the only sign of rotation. Named keys need no second look.
	if keys[0].Unnamed || query.KeyID == "" {
		query.Renew = true
		if keys, refusal = v.candidates(ctx, signed, query); refusal != nil {
			return refusal
		}
		if v.verifiesWithOneOf(signed, keys) {
			return nil
		}
	}
	return grants.RefuseToken(grants.SignatureInvalid, "the signature does not verify with the key found at the key URL",
		"a signature by a key of "+policy.Keys.place(), named(signed.KeyID)+", alg "+signed.Algorithm)
}

func (v *Verifier) verifiesWithOneOf(signed *jws.Token, keys []Key) bool {
	for _, key := range keys {
		if signed.Verify(signed.Algorithm, key.Public) == nil {
			if key.Used != nil {
				key.Used(v.Now())
			}
			return true
		}
	}
	return false
}

// candidates gives the keys worth trying: one, or a few when the format has no
// key ids. Never more, or one token could cost many verifications.
func (v *Verifier) candidates(ctx context.Context, signed *jws.Token, query KeyQuery) ([]Key, *grants.Refusal) {
	found, err := v.Keys.Find(ctx, query)
	if err != nil {
		return nil, grants.Unavailable(grants.KeysUnavailable, "the keys of the issuer cannot be used at the moment: health of the key URL in the admin API says why", err)
	}
	if len(found) == 0 {
		return nil, grants.RefuseToken(grants.KeyNotFound, "the key URL has no key for this token", "a key at "+query.Ref.place(), named(query.KeyID))
	}
	algorithm := signed.Algorithm
	usable := make([]Key, 0, len(found))
	problem := "no key fits " + algorithm
	for _, key := range found {
		switch {
		case key.Problem != "":
			problem = key.Problem
		case key.Algorithm != "" && !sameAlgorithm(key.Algorithm, algorithm): // RFC 7517 §4.4
			problem = "the key is for " + key.Algorithm
		case !fits(algorithm, key.Public):
		default:
			usable = append(usable, key)
		}
	}
	switch {
	case len(usable) == 0:
		return nil, grants.RefuseToken(grants.KeyUnusable, "the key for this token must not verify it: "+problem, "a key for "+algorithm, named(query.KeyID))
	case len(usable) > 1 && !usable[0].Unnamed, len(usable) > maxKeyAttempts:
		return nil, grants.RefuseToken(grants.KeyAmbiguous, "more than one key could have signed this token",
			"a kid that names one key", fmt.Sprintf("%s, %d keys", named(query.KeyID), len(usable)))
	}
	return usable, nil
}

func named(keyID string) string {
	if keyID == "" {
		return "no kid"
	}
	return fmt.Sprintf("kid %q", keyID)
}

// sameAlgorithm: EdDSA with an Ed25519 key, the only kind there is here, and
// Ed25519 are two names of one algorithm (RFC 9864 §2.2).
func sameAlgorithm(a, b string) bool {
	edwards := func(name string) bool { return name == "EdDSA" || name == "Ed25519" }
	return a == b || edwards(a) && edwards(b)
}

// fits tells whether a key is of the type, and for ECDSA of the curve, that an
// algorithm requires (RFC 7518 §3.3 to §3.5, RFC 8037 §3.1, RFC 9864 §2.2).
func fits(algorithm string, key any) bool {
	switch algorithm {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		_, ok := key.(*rsa.PublicKey)
		return ok
	case "ES256":
		return onCurve(key, elliptic.P256())
	case "ES384":
		return onCurve(key, elliptic.P384())
	case "ES512":
		return onCurve(key, elliptic.P521())
	case "EdDSA", "Ed25519":
		_, ok := key.(ed25519.PublicKey)
		return ok
	}
	return false
}

func onCurve(key any, curve elliptic.Curve) bool {
	public, ok := key.(*ecdsa.PublicKey)
	return ok && public.Curve == curve
}
