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
	aead     cipher.AEAD
	previous []cipher.AEAD // open, and seal nothing
}

// NewSealer makes a sealer of exactly 32 bytes of key. What was sealed under a
// previous key still opens.
func NewSealer(key []byte, previous ...[]byte) (*Sealer, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	sealer := &Sealer{aead: aead}
	for _, key := range previous {
		aead, err := newAEAD(key)
		if err != nil {
			return nil, err
		}
		sealer.previous = append(sealer.previous, aead)
	}
	return sealer, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("sealing takes a key of 32 bytes, not %d", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
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
	if secret, ok := open(s.aead, id, sealed); ok {
		return secret, nil
	}
	for _, aead := range s.previous {
		if secret, ok := open(aead, id, sealed); ok {
			return secret, nil
		}
	}
	return nil, ErrWrongKey
}

// Reseal gives what was sealed under a previous key under the present one. It
// tells whether that was needed.
func (s *Sealer) Reseal(id string, sealed []byte) (resealed []byte, needed bool, err error) {
	if _, ok := open(s.aead, id, sealed); ok {
		return nil, false, nil
	}
	secret, err := s.Open(id, sealed)
	if err != nil {
		return nil, false, err
	}
	resealed, err = s.Seal(id, secret)
	return resealed, true, err
}

func open(aead cipher.AEAD, id string, sealed []byte) ([]byte, bool) {
	if len(sealed) < aead.NonceSize() {
		return nil, false
	}
	secret, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], associated(id))
	return secret, err == nil
}

func associated(id string) []byte { return []byte("cambio signing key " + id) }
