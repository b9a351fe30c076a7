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

	unnoticed bool // keys are not told that they were used
}

// Unnoticed gives a verifier that tells no key that it was used.
func (v *Verifier) Unnoticed() *Verifier {
	quiet := *v
	quiet.unnoticed = true
	return &quiet
}

// Steps of Verify, in their order.
const (
	StepKind      = "token_kind"
	StepAlgorithm = "algorithm"
	StepIssuer    = "issuer"
	StepAudience  = "audience"
	StepTimes     = "times"
	StepSubject   = "subject"
	StepKey       = "key"
	StepSignature = "signature"
	StepRequired  = "required_claims"
	StepCondition = "condition"
)

// Steps gives the names of the steps of Verify, in their order.
func Steps() []string {
	return []string{StepKind, StepAlgorithm, StepIssuer, StepAudience, StepTimes, StepSubject, StepKey, StepSignature, StepRequired, StepCondition}
}

// Verify judges a token under one policy: first all that costs nothing, then
// the key, which may cost a request, then the signature, which costs
// arithmetic, and what its claims mean only when they are known to be true.
func (v *Verifier) Verify(ctx context.Context, token *Token, policy *Policy) (*Claims, *grants.Refusal) {
	return v.VerifyTraced(ctx, token, policy, nil)
}

// VerifyTraced is Verify with a trace. With one it leaves no trace elsewhere:
// no key is noted as used.
func (v *Verifier) VerifyTraced(ctx context.Context, token *Token, policy *Policy, trace *grants.Trace) (*Claims, *grants.Refusal) {
	claims, refusal := token.judge(policy, v.Now(), trace)
	if refusal == nil {
		refusal = v.checkSignature(ctx, token.signed, policy, trace)
	}
	if refusal == nil && len(policy.Required) > 0 { // a JSON Pointer costs more than a claim
		refusal = claims.checkRequired(policy.Required)
		trace.Check(StepRequired, refusal, func() (string, string) { return expectedClaims(policy.Required), "all of them" })
	}
	if refusal == nil && policy.Condition != nil {
		trace.Skip(StepRequired)
		refusal = checkCondition(token, policy)
		trace.Check(StepCondition, refusal, func() (string, string) { return policy.Condition.String(), "it holds" })
	}
	if trace != nil {
		trace.Skip(Steps()...)
	}
	if refusal != nil {
		return nil, refusal
	}
	return claims, nil
}

// judge makes the checks that need no key.
func (t *Token) judge(policy *Policy, now time.Time, trace *grants.Trace) (*Claims, *grants.Refusal) {
	refusal := t.checkKind(policy)
	if trace.Check(StepKind, refusal, func() (string, string) { return "JWT, at+jwt or no typ", named("typ", t.signed.Type) }) {
		return nil, refusal
	}
	refusal = checkAlgorithm(t.signed, policy)
	if trace.Check(StepAlgorithm, refusal, func() (string, string) { return strings.Join(policy.Algorithms, " "), t.signed.Algorithm }) {
		return nil, refusal
	}
	return t.checkClaims(policy, now, trace)
}

// checkSignature tells the trace apart what VerifySignature does in one go.
func (v *Verifier) checkSignature(ctx context.Context, signed *jws.Token, policy *Policy, trace *grants.Trace) *grants.Refusal {
	if trace != nil {
		v = v.Unnoticed()
	}
	refusal := v.VerifySignature(ctx, signed, policy)
	found := func() (string, string) { return "a key at " + policy.Keys.place(), named("kid", signed.KeyID) }
	if refusal != nil && refusal.Reason != grants.SignatureInvalid {
		trace.Check(StepKey, refusal, nil)
		return refusal
	}
	trace.Check(StepKey, nil, found)
	trace.Check(StepSignature, refusal, func() (string, string) {
		return "a signature by that key", "it verifies"
	})
	return refusal
}

// checkCondition asks the condition of the key URL.
func checkCondition(token *Token, policy *Policy) *grants.Refusal {
	holds, found := policy.Condition.Holds(token.signed.Members)
	if holds {
		return nil
	}
	return grants.RefuseToken(grants.ConditionFailed, "the subject token does not meet the condition of the key URL", grants.Shown(policy.Condition.String()), found)
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
		"a signature by a key of "+policy.Keys.place(), named("kid", signed.KeyID)+", alg "+signed.Algorithm)
}

func (v *Verifier) verifiesWithOneOf(signed *jws.Token, keys []Key) bool {
	for _, key := range keys {
		if signed.Verify(signed.Algorithm, key.Public) == nil {
			if key.Used != nil && !v.unnoticed {
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
		return nil, grants.RefuseToken(grants.KeyNotFound, "the key URL has no key for this token", "a key at "+query.Ref.place(), named("kid", query.KeyID))
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
		return nil, grants.RefuseToken(grants.KeyUnusable, "the key for this token must not verify it: "+problem, "a key for "+algorithm, named("kid", query.KeyID))
	case len(usable) > 1 && !usable[0].Unnamed, len(usable) > maxKeyAttempts:
		return nil, grants.RefuseToken(grants.KeyAmbiguous, "more than one key could have signed this token",
			"a kid that names one key", fmt.Sprintf("%s, %d keys", named("kid", query.KeyID), len(usable)))
	}
	return usable, nil
}

func named(header, value string) string {
	if value == "" {
		return "no " + header
	}
	return fmt.Sprintf("%s %q", header, value)
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
