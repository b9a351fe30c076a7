package signing

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
)

// ErrWrongKey means that a sealed key does not open: CAMBIO_SECRET_KEY is not
// the one it was sealed under, or the row was tampered with.
var ErrWrongKey = errors.New("a signing key does not open: CAMBIO_SECRET_KEY is not the one it was sealed under, or the row was changed")

// Sealer seals private keys with AES-256-GCM. The id of the row is part of
// what is authenticated, so that a sealed key cannot be moved to another row.
type Sealer struct {
	aead cipher.AEAD
}

// NewSealer makes a sealer of exactly 32 bytes of key.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("sealing takes a key of 32 bytes, not %d", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &Sealer{aead: aead}, err
}

// Seal encrypts secret for one row.
func (s *Sealer) Seal(id string, secret []byte) ([]byte, error) {
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(secret)+s.aead.Overhead())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return s.aead.Seal(nonce, nonce, secret, associated(id)), nil
}

// Open decrypts what Seal made for the same row.
func (s *Sealer) Open(id string, sealed []byte) ([]byte, error) {
	if len(sealed) < s.aead.NonceSize() {
		return nil, ErrWrongKey
	}
	secret, err := s.aead.Open(nil, sealed[:s.aead.NonceSize()], sealed[s.aead.NonceSize():], associated(id))
	if err != nil {
		return nil, ErrWrongKey
	}
	return secret, nil
}

func associated(id string) []byte { return []byte("cambio signing key " + id) }
