package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes that algorithms names
	_ "crypto/sha512"
	"math/big"
)

// algorithm is how one JWS algorithm verifies (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2).
type algorithm struct {
	hash   crypto.Hash
	verify func(key any, hash crypto.Hash, digest, signature []byte) bool
}

func algorithms() map[string]algorithm {
	return map[string]algorithm{
		"RS256": {crypto.SHA256, verifyPKCS1}, "RS384": {crypto.SHA384, verifyPKCS1}, "RS512": {crypto.SHA512, verifyPKCS1},
		"PS256": {crypto.SHA256, verifyPSS}, "PS384": {crypto.SHA384, verifyPSS}, "PS512": {crypto.SHA512, verifyPSS},
		"ES256": {crypto.SHA256, verifyECDSA(elliptic.P256())},
		"ES384": {crypto.SHA384, verifyECDSA(elliptic.P384())},
		"ES512": {crypto.SHA512, verifyECDSA(elliptic.P521())},
		"EdDSA": {0, verifyEd25519}, "Ed25519": {0, verifyEd25519}, // RFC 9864 §2.2: the same under its own name
	}
}

// Verify checks the signature with one public key under one algorithm, both
// chosen by the caller's policy and never by the token (RFC 8725 §3.1). It
// looks at the three parts and at nothing the header says: a library that
// reads embedded keys on the way refuses good tokens for bad certificates.
func (t *Token) Verify(name string, publicKey any) error {
	chosen, ok := algorithms()[name]
	if !ok || t.Algorithm != name {
		return ErrSignature
	}
	message := t.signed
	if chosen.hash != 0 {
		h := chosen.hash.New()
		h.Write(t.signed)
		message = h.Sum(nil)
	}
	if !chosen.verify(publicKey, chosen.hash, message, t.signature) {
		return ErrSignature
	}
	return nil
}

func verifyPKCS1(key any, hash crypto.Hash, digest, signature []byte) bool {
	public, ok := key.(*rsa.PublicKey)
	return ok && public != nil && rsa.VerifyPKCS1v15(public, hash, digest, signature) == nil
}

// verifyPSS: RFC 7518 §3.5, the salt is as long as the hash.
func verifyPSS(key any, hash crypto.Hash, digest, signature []byte) bool {
	public, ok := key.(*rsa.PublicKey)
	return ok && public != nil && rsa.VerifyPSS(public, hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
}

// verifyECDSA: RFC 7518 §3.4, R and S side by side, each as long as the curve.
func verifyECDSA(curve elliptic.Curve) func(any, crypto.Hash, []byte, []byte) bool {
	size := (curve.Params().BitSize + 7) / 8
	return func(key any, _ crypto.Hash, digest, signature []byte) bool {
		public, ok := key.(*ecdsa.PublicKey)
		if !ok || public == nil || public.Curve != curve || len(signature) != 2*size {
			return false
		}
		return ecdsa.Verify(public, digest, new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:]))
	}
}

func verifyEd25519(key any, _ crypto.Hash, message, signature []byte) bool {
	public, ok := key.(ed25519.PublicKey)
	return ok && len(public) == ed25519.PublicKeySize && ed25519.Verify(public, message, signature)
}
