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
	if refusal := token.checkKind(policy.AllowIDToken); refusal != nil {
		return nil, refusal
	}
	// RFC 8725 §3.1: the policy names the algorithms, the token merely picks.
	if !slices.Contains(policy.Algorithms, token.signed.Algorithm) {
		return nil, grants.RefuseToken(grants.AlgNotAllowed, "the key URL does not allow the signature algorithm of the subject token",
			strings.Join(policy.Algorithms, " "), fmt.Sprintf("alg %q", token.signed.Algorithm))
	}
	claims, refusal := token.checkClaims(policy, v.Now())
	if refusal != nil {
		return nil, refusal
	}
	if refusal := v.checkSignature(ctx, token, policy); refusal != nil {
		return nil, refusal
	}
	return claims, nil
}

func (v *Verifier) checkSignature(ctx context.Context, token *Token, policy *Policy) *grants.Refusal {
	query := KeyQuery{Ref: policy.Keys, KeyID: token.KeyID()}
	keys, refusal := v.candidates(ctx, token, query)
	if refusal != nil {
		return refusal
	}
	if verifiesWithOneOf(token, keys) {
		return nil
	}
	// Without a key id nothing shows that a key was replaced, so a signature
	// that fails is the only sign of rotation. Named keys need no second look.
	if keys[0].Unnamed || query.KeyID == "" {
		query.Renew = true
		if keys, refusal = v.candidates(ctx, token, query); refusal != nil {
			return refusal
		}
		if verifiesWithOneOf(token, keys) {
			return nil
		}
	}
	return grants.RefuseToken(grants.SignatureInvalid, "the signature does not verify with the key found at the key URL",
		"a signature by a key of "+policy.Keys.place(), fmt.Sprintf("kid %q, alg %s", token.KeyID(), token.signed.Algorithm))
}

func verifiesWithOneOf(token *Token, keys []Key) bool {
	return slices.ContainsFunc(keys, func(key Key) bool {
		return token.signed.Verify(token.signed.Algorithm, key.Public) == nil
	})
}

// candidates gives the keys worth trying: one, or a few when the format has no
// key ids. Never more, or one token could cost many verifications.
func (v *Verifier) candidates(ctx context.Context, token *Token, query KeyQuery) ([]Key, *grants.Refusal) {
	found, err := v.Keys.Find(ctx, query)
	if err != nil {
		return nil, grants.Unavailable(grants.KeysUnavailable, "the keys of the issuer cannot be fetched at the moment", err)
	}
	named := fmt.Sprintf("kid %q", query.KeyID)
	if len(found) == 0 {
		return nil, grants.RefuseToken(grants.KeyNotFound, "the key URL has no key for this token", "a key at "+query.Ref.place(), named)
	}
	algorithm := token.signed.Algorithm
	usable := make([]Key, 0, len(found))
	problem := "no key fits " + algorithm
	for _, key := range found {
		switch {
		case key.Problem != "":
			problem = key.Problem
		case key.Algorithm != "" && key.Algorithm != algorithm: // RFC 7517 §4.4
			problem = "the key is for " + key.Algorithm
		case !fits(algorithm, key.Public):
		default:
			usable = append(usable, key)
		}
	}
	switch {
	case len(usable) == 0:
		return nil, grants.RefuseToken(grants.KeyUnusable, "the key for this token must not verify it: "+problem, "a key for "+algorithm, named)
	case len(usable) > 1 && !usable[0].Unnamed, len(usable) > maxKeyAttempts:
		return nil, grants.RefuseToken(grants.KeyAmbiguous, "more than one key could have signed this token",
			"a kid that names one key", fmt.Sprintf("%s, %d keys", named, len(usable)))
	}
	return usable, nil
}

// fits tells whether a key is of the type, and for ECDSA of the curve, that an
// algorithm requires (RFC 7518 §3.3 to §3.5, RFC 8037 §3.1).
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
	case "EdDSA":
		_, ok := key.(ed25519.PublicKey)
		return ok
	}
	return false
}

func onCurve(key any, curve elliptic.Curve) bool {
	public, ok := key.(*ecdsa.PublicKey)
	return ok && public.Curve == curve
}
