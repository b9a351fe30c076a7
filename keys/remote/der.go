package remote

import (
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"time"
)

var (
	errUnsupportedBlock = errors.New("expected PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE")
	errNotDER           = errors.New("not valid DER")
)

// publicBlock reads the key of a block and, for a certificate, when it expires.
func publicBlock(block *pem.Block) (public crypto.PublicKey, expires time.Time, err error) {
	switch block.Type {
	case "PUBLIC KEY":
		public, err = readPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var key []byte
		if key, expires, err = readCertificate(block.Bytes); err == nil {
			public, err = readPublicKey(key)
		}
	default:
		err = errUnsupportedBlock
	}
	return public, expires, err
}

// certificateBody is the beginning of RFC 5280 §4.1 TBSCertificate.
type certificateBody struct {
	Version            int `asn1:"optional,explicit,tag:0"`
	Serial             asn1.RawValue
	SignatureAlgorithm asn1.RawValue
	Issuer             asn1.RawValue
	Validity           struct{ NotBefore, NotAfter time.Time }
	Subject            asn1.RawValue
	PublicKey          asn1.RawValue
}

// readCertificate gives the encoded key of a certificate and when it expires.
// Nothing else of it is read: it is trusted for its place, not for its issuer,
// and crypto/x509 turns 256 KiB of names into many megabytes (CVE-2025-58187).
func readCertificate(der []byte) (key []byte, expires time.Time, err error) {
	var certificate struct {
		Body                 certificateBody
		Algorithm, Signature asn1.RawValue
	}
	if rest, err := asn1.Unmarshal(der, &certificate); err != nil || len(rest) > 0 {
		return nil, time.Time{}, errNotDER
	}
	return certificate.Body.PublicKey.FullBytes, certificate.Body.Validity.NotAfter, nil
}

// Object identifiers as DER has them: RFC 3279 §2.3.1, RFC 5480 §2.1.1, RFC
// 8410 §3.
const (
	oidRSA     = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
	oidEC      = "\x2a\x86\x48\xce\x3d\x02\x01"
	oidP256    = "\x2a\x86\x48\xce\x3d\x03\x01\x07"
	oidP384    = "\x2b\x81\x04\x00\x22"
	oidP521    = "\x2b\x81\x04\x00\x23"
	oidEd25519 = "\x2b\x65\x70"
)

// readPublicKey reads SubjectPublicKeyInfo (RFC 5280 §4.1). Only crypto/x509
// knows how; but first what it would refuse as unknown is told from what is
// broken.
func readPublicKey(der []byte) (crypto.PublicKey, error) {
	var info struct {
		Algorithm struct {
			ID         asn1.RawValue
			Parameters asn1.RawValue `asn1:"optional"`
		}
		Key asn1.RawValue
	}
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 || info.Algorithm.ID.Tag != asn1.TagOID {
		return nil, errNotDER
	}
	switch string(info.Algorithm.ID.Bytes) {
	case oidRSA, oidEd25519:
	case oidEC:
		switch string(info.Algorithm.Parameters.Bytes) {
		case oidP256, oidP384, oidP521:
		default:
			return nil, errUnsupportedKey
		}
	default:
		return nil, errUnsupportedKey
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errNotDER
	}
	if edwards, ok := public.(ed25519.PublicKey); ok { // crypto/x509 lets points of small order pass
		return curveJWK(map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(edwards)})
	}
	if !supported(public) {
		return nil, errUnsupportedKey
	}
	return public, nil
}
