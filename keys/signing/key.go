package signing

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/registry"
)

// States of a signing key, in the order of its life.
const (
	StateNext    = "next"    // published, so that verifiers know it before it is used
	StateActive  = "active"  // signs
	StateRetired = "retired" // verifies until the last token it signed has expired
)

// Algorithms that can be configured.
const (
	ES256 = "ES256"
	RS256 = "RS256"
	EdDSA = "EdDSA"
)

// key is a signing key in use.
type key struct {
	row     registry.SigningKey
	public  jose.JSONWebKey
	private jose.JSONWebKey
	heads   sync.Map // typ → the encoded header
}

// newKey makes a key and seals its private half.
func newKey(algorithm, state string, sealer *Sealer, now time.Time) (registry.SigningKey, error) {
	private, err := generate(algorithm)
	if err != nil {
		return registry.SigningKey{}, err
	}
	jwk := jose.JSONWebKey{Key: private, Algorithm: algorithm, Use: "sig"}
	thumbprint, err := jwk.Thumbprint(crypto.SHA256) // RFC 7638
	if err != nil {
		return registry.SigningKey{}, err
	}
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	public, err := json.Marshal(jwk.Public())
	if err != nil {
		return registry.SigningKey{}, err
	}
	secret, err := json.Marshal(jwk)
	if err != nil {
		return registry.SigningKey{}, err
	}
	sealed, err := sealer.Seal(jwk.KeyID, secret)
	return registry.SigningKey{ID: jwk.KeyID, Algorithm: algorithm, State: state, Public: public, Sealed: sealed, CreatedAt: now}, err
}

func generate(algorithm string) (any, error) {
	switch algorithm {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		return rsa.GenerateKey(rand.Reader, 2048)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("no signing algorithm %q: want ES256, RS256 or EdDSA", algorithm)
}

// openKey unseals a row. What was sealed proves the rest: the column with the
// public half is authenticated by nothing else.
func openKey(row registry.SigningKey, sealer *Sealer) (*key, error) {
	secret, err := sealer.Open(row.ID, row.Sealed)
	if err != nil {
		return nil, err
	}
	row.Public, row.Sealed = bytes.Clone(row.Public), bytes.Clone(row.Sealed)
	k := &key{row: row}
	if err := json.Unmarshal(secret, &k.private); err != nil {
		return nil, fmt.Errorf("signing key %s cannot be read", row.ID)
	}
	k.public = k.private.Public()
	public, err := json.Marshal(k.public)
	if err != nil || k.private.KeyID != row.ID || k.private.Algorithm != row.Algorithm || !bytes.Equal(public, row.Public) {
		return nil, fmt.Errorf("signing key %s: the row holds another key", row.ID)
	}
	return k, nil
}

// sign makes a compact JWS (RFC 7515 §7.1) with kid and typ in its header. The
// arithmetic is the standard library's; a general library would look at every
// token for what the key has settled once.
func (k *key) sign(typ string, payload []byte) (string, error) {
	head, err := k.head(typ)
	if err != nil {
		return "", err
	}
	token := make([]byte, 0, len(head)+base64.RawURLEncoding.EncodedLen(len(payload))+base64.RawURLEncoding.EncodedLen(maxSignatureBytes)+2)
	token = append(append(token, head...), '.')
	token = base64.RawURLEncoding.AppendEncode(token, payload)
	signature, err := k.signature(token)
	if err != nil {
		return "", err
	}
	return string(base64.RawURLEncoding.AppendEncode(append(token, '.'), signature)), nil
}

// maxSignatureBytes is that of RS256.
const maxSignatureBytes = 256

// head gives the encoded header of this key's tokens of a type.
func (k *key) head(typ string) (string, error) {
	if head, ok := k.heads.Load(typ); ok {
		return head.(string), nil
	}
	header, err := json.Marshal(map[string]string{"alg": k.row.Algorithm, "kid": k.row.ID, "typ": typ})
	if err != nil {
		return "", err
	}
	head := base64.RawURLEncoding.EncodeToString(header)
	k.heads.Store(typ, head)
	return head, nil
}

func (k *key) signature(signed []byte) ([]byte, error) {
	switch private := k.private.Key.(type) {
	case *ecdsa.PrivateKey: // RFC 7518 §3.4
		hash := sha256.Sum256(signed)
		r, s, err := ecdsa.Sign(rand.Reader, private, hash[:])
		if err != nil {
			return nil, err
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return signature, nil
	case *rsa.PrivateKey: // RFC 7518 §3.3
		hash := sha256.Sum256(signed)
		return rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, hash[:])
	case ed25519.PrivateKey: // RFC 8037 §3.1
		return ed25519.Sign(private, signed), nil
	}
	return nil, fmt.Errorf("signing key %s is of a kind that cannot sign", k.row.ID)
}
