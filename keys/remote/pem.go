package remote

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/cambio-oauth/cambio/grants/assertion"
)

const maxLabelBytes = 100 // of a PEM block; the longest in use has 35

var pemBegin = []byte("-----BEGIN ")

// publishesPrivatePEM looks at every BEGIN line, also those of blocks that
// cannot be decoded and those inside of JSON strings.
func publishesPrivatePEM(data []byte) bool {
	for {
		_, after, found := bytes.Cut(data, pemBegin)
		if !found {
			return false
		}
		label := after[:min(len(after), maxLabelBytes)]
		label, _, _ = bytes.Cut(label, []byte("-----"))
		label, _, _ = bytes.Cut(label, []byte("\n"))
		if bytes.Contains(label, []byte("PRIVATE KEY")) {
			return true
		}
		data = after
	}
}

// parsePEM reads blocks of RFC 7468 in any mixture, with text around them.
func parsePEM(data []byte, now time.Time) (*Document, error) {
	// Counted before anything is decoded (CVE-2025-61723).
	begun := bytes.Count(data, pemBegin)
	if begun > MaxKeys {
		return nil, ErrTooManyKeys
	}
	document := &Document{Format: FormatPEM}
	decoded := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		document.addBlock(block, fmt.Sprintf("block %d", decoded), now)
		decoded++
	}
	if decoded < begun {
		document.warn(WarnUnreadableKey, fmt.Sprintf("%d of %d blocks", begun-decoded, begun), "not well-formed PEM")
	}
	if len(document.Keys) == 0 {
		return nil, errors.New("expected a block PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE with an RSA, EC or Ed25519 key, found none")
	}
	return document, nil
}

func (d *Document) addBlock(block *pem.Block, name string, now time.Time) {
	public, expires, err := publicBlock(block)
	switch {
	case errors.Is(err, errUnsupportedBlock):
		d.warn(WarnUnsupportedBlock, name, err.Error())
		return
	case errors.Is(err, errUnsupportedKey):
		d.warn(WarnUnsupportedKey, name, err.Error())
		return
	case err != nil: // which may quote the document
		d.warn(WarnUnreadableKey, name, "not valid DER of its type")
		return
	}
	if !expires.IsZero() && now.After(expires) {
		d.warn(WarnCertificateExpired, name, "expired at "+expires.UTC().Format(time.RFC3339))
	}
	d.add(assertion.Key{Public: public, Unnamed: true, Problem: materialProblem(public)}, name)
}

var errUnsupportedBlock = errors.New("expected PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE")

// publicBlock reads the key of a block and, for a certificate, when it expires.
func publicBlock(block *pem.Block) (public crypto.PublicKey, expires time.Time, err error) {
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			public, expires = certificate.PublicKey, certificate.NotAfter
		}
	default:
		err = errUnsupportedBlock
	}
	if err != nil {
		return nil, expires, err
	}
	if edwards, ok := public.(ed25519.PublicKey); ok { // crypto/x509 lets points of small order pass
		public, err = curveJWK(map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(edwards)})
		return public, expires, err
	}
	if !supported(public) {
		return nil, expires, errUnsupportedKey
	}
	return public, expires, nil
}
