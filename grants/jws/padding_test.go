package jws_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
)

// oidSHA256 is DigestInfo of SHA-256 up to the digest (RFC 8017 §9.2, note 1).
const oidSHA256 = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"

// exponentiate is RSA's private operation on whatever block it is given.
func exponentiate(block []byte) string {
	key := rsaKey()
	return b64(string(new(big.Int).Exp(new(big.Int).SetBytes(block), key.D, key.N).FillBytes(make([]byte, 256))))
}

// pad fills 256 bytes: 00, the block type, ones, 00 and the rest.
func pad(kind byte, rest string) []byte {
	block := append([]byte{0, kind}, bytes.Repeat([]byte{0xff}, 253-len(rest))...)
	return append(append(block, 0), rest...)
}

// JWT-04: RFC 8017 §8.2.2. The padding is compared whole; a verifier that parses
// it can be satisfied without the key (CVE-2006-4339). What is altered here is
// inside the signature, which holds under the key.
func TestPaddingThatIsAltered(t *testing.T) {
	signed := b64(`{"alg":"RS256"}`) + "." + b64(`{"sub":"a"}`)
	sum := sha256.Sum256([]byte(signed))
	digest := string(sum[:])
	sound := pad(1, oidSHA256+digest)
	if err := parse(t, signed+"."+exponentiate(sound)).Verify("RS256", &rsaKey().PublicKey); err != nil {
		t.Fatal(err)
	}
	filler := strings.Repeat("\x01", 100)
	short := append([]byte("\x00\x01"+strings.Repeat("\xff", 8)+"\x00"), oidSHA256+digest...)
	blocks := map[string][]byte{
		"block type 2": pad(2, oidSHA256+digest), "block type 0": pad(0, oidSHA256+digest), "no DigestInfo": pad(1, digest),
		"parameters left out":          pad(1, "\x30\x2f\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x04\x20"+digest),
		"parameters of another type":   pad(1, strings.Replace(oidSHA256, "\x05\x00", "\x30\x00", 1)+digest),
		"parameters with a value":      pad(1, "\x30\x33\x30\x0f\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x02\x00\x00\x04\x20"+digest),
		"SHA-384 by name":              pad(1, strings.Replace(oidSHA256, "\x04\x02\x01", "\x04\x02\x02", 1)+digest),
		"SHA-224 by name":              pad(1, strings.Replace(oidSHA256, "\x04\x02\x01", "\x04\x02\x04", 1)+digest),
		"SHA-1":                        pad(1, "\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14"+digest[:20]),
		"a length in two bytes":        pad(1, "\x30\x81\x31"+oidSHA256[2:]+digest),
		"a length of the digest less":  pad(1, oidSHA256[:18]+"\x1f"+digest),
		"an indefinite length":         pad(1, "\x30\x80"+oidSHA256[2:]+digest+"\x00\x00"),
		"bytes after the digest":       pad(1, oidSHA256+digest+"\x00"),
		"bytes instead of the padding": append(slices.Clone(short), strings.Repeat("\x00", 256-len(short))...),
		"a filler within DigestInfo":   pad(1, "\x30\x81\x95"+oidSHA256[2:]+digest+filler),
		"no separator":                 append([]byte{0, 1}, append(bytes.Repeat([]byte{0xff}, 254-len(oidSHA256+digest)), oidSHA256+digest...)...),
		"an early separator":           append([]byte("\x00\x01\xff\x00"), sound[4:]...),
		"ones less":                    append([]byte("\x00\x00\x01"), sound[3:]...),
		"the digest of nothing":        pad(1, oidSHA256+string(sha256.New().Sum(nil))),
		"the digest in hexadecimal":    pad(1, fmt.Sprintf("%s%x", oidSHA256, digest)),
		"the digest alone, no padding": append(make([]byte, 256-len(digest)), digest...),
	}
	for i := 1; i < 256; i++ { // the first byte is zero, or the block would not be less than the modulus
		if i > 4 && i < 200 && i%16 != 0 {
			continue
		}
		altered := slices.Clone(sound)
		altered[i] ^= 0x10
		blocks[fmt.Sprintf("byte %d", i)] = altered
	}
	for name, block := range blocks {
		t.Run(name, func(t *testing.T) {
			wantSignatureError(t, parse(t, signed+"."+exponentiate(block)), "RS256", &rsaKey().PublicKey)
		})
	}
}
