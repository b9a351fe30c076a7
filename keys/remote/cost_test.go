package remote

import (
	"bytes"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const maxParseBytes = 4 << 20

// JWK-21, JWK-24: what a document of 256 KiB can cost has a bound. Its 10 ms
// are for BenchmarkHostileDocument and BenchmarkParseWorstDocument to show.
func TestTheCostOfHostileDocuments(t *testing.T) {
	for rule, data := range hostileDocuments() {
		t.Run(rule, func(t *testing.T) {
			if len(data) > MaxDocumentBytes {
				t.Fatalf("%d bytes are refused before they cost anything", len(data))
			}
			var allocated uint64
			for run := range 3 { // the least of three: other goroutines allocate too
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, _ = Parse(data, "auto")
				runtime.ReadMemStats(&after)
				if bytes := after.TotalAlloc - before.TotalAlloc; run == 0 || bytes < allocated {
					allocated = bytes
				}
			}
			t.Logf("%d KiB", allocated>>10)
			if allocated > maxParseBytes {
				t.Errorf("%d bytes are allocated", allocated)
			}
		})
	}
}

func BenchmarkHostileDocument(b *testing.B) {
	for rule, data := range hostileDocuments() {
		b.Run(rule, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Parse(data, "auto")
			}
		})
	}
}

// fill repeats a unit between a beginning and an end, up to the largest size.
func fill(begin, unit, end string) []byte {
	room := MaxDocumentBytes - len(begin) - len(end)
	return []byte(begin + strings.Repeat(unit, room/len(unit)) + end)
}

// pemOf is a block as large as fits, or a document of so many of them.
func pemOf(kind string, blocks int, der func(size int) []byte) []byte {
	size := MaxDocumentBytes/blocks*3/4 - 4<<10/blocks - 100
	return bytes.Repeat([]byte(block(kind, der(size))), blocks)
}

func hostileDocuments() map[string][]byte {
	large, point := rsaKey(4096), ecKey(elliptic.P521()).Public()
	many := func(make func(i int) any) []byte {
		keys := []any{}
		for i := range MaxKeys {
			keys = append(keys, make(i))
		}
		return jwks(keys...)
	}
	headers := &strings.Builder{}
	for i := 0; headers.Len() < MaxDocumentBytes-1000; i++ {
		fmt.Fprintf(headers, "%d:\n", i)
	}
	x5c := base64.StdEncoding.EncodeToString(nested(30_000))
	return map[string][]byte{
		"64 moduli of 4096 bits": many(func(int) any { return jwk(rsaKey(4096), nil) }),
		"64 moduli of 2048 bits": many(func(int) any { return jwk(rsaKey(2048), nil) }),
		"64 points of P-521":     many(func(int) any { return jwk(ecKey(elliptic.P521()).Public(), nil) }),
		"64 long kids of one key": many(func(i int) any {
			return jwk(large, map[string]any{"kid": strings.Repeat("k", 200) + fmt.Sprint(i)})
		}),
		"a modulus of 1.5 million bits": jwks(jwk(rsaOf(new(big.Int).Lsh(large.N, 1_500_000)), nil)),
		"a coordinate of 256 KiB":       jwks(jwk(point, map[string]any{"x": strings.Repeat("A", MaxDocumentBytes-1000)})),
		"x5c of nested ASN.1":           jwks(jwk(point, map[string]any{"x5c": []any{x5c}})),

		"nested JSON":          fill("", `{"a":[`, ""),
		"nested JSON, allowed": fill(`{"keys":[`, `{"a":{"a":{"a":{"a":[[[[[[[[[[]]]]]]]]]]}}}},`, `{}]}`),
		"JSON of numbers":      fill(`{"keys":[{"a":[`, "0,", "0]}]}"),
		"JSON of few numbers":  []byte(`{"keys":[{"a":[` + strings.Repeat("0"+strings.Repeat(" ", 50)+",", maxCommas) + "0]}]}"),
		"JSON of objects":      fill(`{"keys":[{"a":[`, "{},", "{}]}]}"),
		"JSON of few objects":  []byte(`{"keys":[` + strings.Repeat(`[[[[[[[[[[[[[{"":0}]]]]]]]]]]]]],`, maxCommas) + "0]}"),
		"JSON of members":      []byte(`{"keys":[{` + members(maxCommas-1) + `}]}`),
		"JSON of one string":   fill(`{"keys":["`, "a", `"]}`),
		"JSON of escapes":      fill(`{"keys":["`, `\u0041`, `"]}`),
		"JSON of BEGIN":        fill(`{"keys":["`, "-----BEGIN ", `"]}`),
		"JSON of long names":   fill(`{"`, "-----BEGIN PUBLIC KEY-----", `":"-----BEGIN PUBLIC KEY-----"}`),
		"a map of one block":   fill(`{"a":"-----BEGIN PUBLIC KEY-----\n`, "AAAA", `\n-----END PUBLIC KEY-----\n"}`),
		"a map of headers":     fill(`{"a":"-----BEGIN PUBLIC KEY-----\n`, `a:\n`, `AAAA\n-----END PUBLIC KEY-----\n"}`),

		"BEGIN":                     fill("", "-----BEGIN ", ""),
		"BEGIN lines":               fill("", "-----BEGIN PUBLIC KEY-----\n", ""),
		"64 BEGIN without a line":   fill(strings.Repeat("-----BEGIN A-----", MaxKeys), "a:", ""),
		"END lines":                 fill("-----BEGIN A-----\n", "\n-----END ", ""),
		"64 blocks without an end":  fill(strings.Repeat("-----BEGIN A-----\n", MaxKeys), "AAAA\n", ""),
		"10^5 header lines":         []byte("-----BEGIN A-----\n" + headers.String() + "\nAAAA\n-----END A-----\n"),
		"one header line":           fill("-----BEGIN A-----\n", "a:", "\n\nAAAA\n-----END A-----\n"),
		"DER of zeros":              pemOf("PUBLIC KEY", 1, func(size int) []byte { return make([]byte, size) }),
		"deep ASN.1":                pemOf("PUBLIC KEY", 1, func(size int) []byte { return nested(size / 5) }),
		"deep ASN.1 in certificate": pemOf("CERTIFICATE", 1, func(size int) []byte { return nested(size / 5) }),
		"64 times deep ASN.1":       pemOf("CERTIFICATE", MaxKeys, func(size int) []byte { return nested(size / 5) }),
		"an algorithm of 180 KiB": pemOf("PUBLIC KEY", 1, func(size int) []byte {
			oid := sequence(6, make([]byte, size-20))
			return sequence(0x30, append(sequence(0x30, oid), 3, 2, 0, 0))
		}),
		"a PKCS#1 modulus of 180 KiB": pemOf("RSA PUBLIC KEY", 1, func(size int) []byte {
			return marshalPKCS1(rsaOf(new(big.Int).Lsh(large.N, uint(size-600)*8)))
		}),
		"a certificate of 10^4 names": pemOf("CERTIFICATE", 1, certificateOfNames),
	}
}

func members(count int) string {
	text := &strings.Builder{}
	for i := range count {
		fmt.Fprintf(text, `"%d":"",`, i)
	}
	return text.String() + `"a":0`
}

// sequence is an element of DER, of any tag.
func sequence(tag byte, content []byte) []byte {
	n := len(content)
	head := []byte{tag, byte(n)}
	switch {
	case n >= 0x10000:
		head = []byte{tag, 0x83, byte(n >> 16), byte(n >> 8), byte(n)}
	case n >= 0x100:
		head = []byte{tag, 0x82, byte(n >> 8), byte(n)}
	case n >= 0x80:
		head = []byte{tag, 0x81, byte(n)}
	}
	return append(head, content...)
}

// certificateOfNames has a subject of which crypto/x509 makes many megabytes.
func certificateOfNames(size int) []byte {
	var certificate struct{ Body, Algorithm, Signature asn1.RawValue }
	var parts []asn1.RawValue
	must(asn1.Unmarshal(certify(ecKey(elliptic.P256()), timeOf(2026, 7)), &certificate))
	must(asn1.Unmarshal(certificate.Body.FullBytes, &parts))
	attribute := sequence(0x31, sequence(0x30, []byte{6, 3, 0x55, 4, 3, 0x0c, 1, 'a'}))
	parts[5].FullBytes = sequence(0x30, bytes.Repeat(attribute, (size-1000)/len(attribute)))
	var body []byte
	for _, part := range parts {
		body = append(body, part.FullBytes...)
	}
	return sequence(0x30, slices.Concat(sequence(0x30, body), certificate.Algorithm.FullBytes, certificate.Signature.FullBytes))
}
