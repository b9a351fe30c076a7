package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes that algorithmOf names
	_ "crypto/sha512"
	"math/big"
)

// algorithm is how one JWS algorithm verifies.
type algorithm struct {
	hash   crypto.Hash
	verify func(key any, hash crypto.Hash, digest, signature []byte) bool
}

// algorithmOf knows the asymmetric ones of RFC 7518 §3.1, RFC 8037 §3.1 and RFC
// 9864 §2.2, where EdDSA with the only curve there is here got its own name.
// Those of any other name verify nothing.
func algorithmOf(name string) algorithm {
	switch name {
	case "RS256":
		return algorithm{crypto.SHA256, verifyPKCS1}
	case "RS384":
		return algorithm{crypto.SHA384, verifyPKCS1}
	case "RS512":
		return algorithm{crypto.SHA512, verifyPKCS1}
	case "PS256":
		return algorithm{crypto.SHA256, verifyPSS}
	case "PS384":
		return algorithm{crypto.SHA384, verifyPSS}
	case "PS512":
		return algorithm{crypto.SHA512, verifyPSS}
	case "ES256":
		return algorithm{crypto.SHA256, verifyECDSA}
	case "ES384":
		return algorithm{crypto.SHA384, verifyECDSA}
	case "ES512":
		return algorithm{crypto.SHA512, verifyECDSA}
	case "EdDSA", "Ed25519":
		return algorithm{0, verifyEd25519}
	}
	return algorithm{}
}

// Verify checks the signature with one public key under one algorithm, both
// chosen by the caller's policy and never by the token (RFC 8725 §3.1). It
// looks at the three parts and at nothing the header says: a library that
// reads embedded keys on the way refuses good tokens for bad certificates.
func (t *Token) Verify(name string, publicKey any) error {
	chosen := algorithmOf(name)
	if chosen.verify == nil || t.Algorithm != name {
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

// verifyECDSA: RFC 7518 §3.4, each hash goes with one curve, and R and S stand
// side by side, each as long as the curve.
func verifyECDSA(key any, hash crypto.Hash, digest, signature []byte) bool {
	curve := elliptic.P256()
	switch hash {
	case crypto.SHA384:
		curve = elliptic.P384()
	case crypto.SHA512:
		curve = elliptic.P521()
	}
	size := (curve.Params().BitSize + 7) / 8
	public, ok := key.(*ecdsa.PublicKey)
	if !ok || public == nil || public.Curve != curve || len(signature) != 2*size {
		return false
	}
	return ecdsa.Verify(public, digest, new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:]))
}

func verifyEd25519(key any, _ crypto.Hash, message, signature []byte) bool {
	public, ok := key.(ed25519.PublicKey)
	return ok && len(public) == ed25519.PublicKeySize && ed25519.Verify(public, message, signature)
}
