package remote

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"
)

// JWK-07. The rows that are about how a modulus is written are in key_test.go
// and document_test.go; Debian's weak keys of 2008 are not looked for.
func TestWeakModuliAreRecognised(t *testing.T) {
	sound := rsaKey(2048).N
	half := rsaKey(1025).N
	for _, c := range []struct {
		rule string
		n    *big.Int
		want string
	}{
		{"sound", sound, ""},
		{"even", new(big.Int).Sub(sound, big.NewInt(1)), "even"},
		{"divisible by 3", new(big.Int).Mul(rsaKey(2047).N, big.NewInt(3)), "small factor"},
		{"divisible by 701", new(big.Int).Mul(rsaKey(2040).N, big.NewInt(701)), "small factor"},
		{"CVE-2017-15361 (ROCA)", rocaModulus(), "CVE-2017-15361"},
		{"all ones", allOnes(2053), "all ones"},
		{"all ones, with small factors", allOnes(2048), "all ones"},
		{"a square", new(big.Int).Mul(half, half), "square"},
		{"CVE-2022-26320, the closest factors", closeProduct(half), "close together"},
		{"a Mersenne prime", allOnes(2203), "all ones"},
		{"a prime", knownPrime(1919), "prime"},
	} {
		t.Run("JWK-07 "+c.rule, func(t *testing.T) {
			if bits := c.n.BitLen(); bits < minModulusBits || bits > maxModulusBits {
				t.Fatalf("a modulus of %d bits shows nothing", bits)
			}
			got := (&moduli{}).problem(rsaOf(c.n))
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Each round of Fermat's method is needed: factors that the last one finds are
// found, those of the next are not.
func TestFermatTakesAHundredRounds(t *testing.T) {
	root := new(big.Int).Lsh(big.NewInt(1), 1024) // n = a² - b² with a = root + round
	for round, want := range map[int64]bool{1: true, 50: true, 100: true, 101: false} {
		a := new(big.Int).Add(root, big.NewInt(round))
		// The largest b for which sqrt(n) is just above root.
		b := new(big.Int).Sqrt(new(big.Int).Sub(new(big.Int).Mul(a, a), new(big.Int).Mul(root, root)))
		n := new(big.Int).Mul(new(big.Int).Sub(a, b), new(big.Int).Add(a, b))
		if got := closeFactors(n) != ""; got != want || new(big.Int).Sqrt(n).Cmp(root) != 0 {
			t.Errorf("round %d: got %t", round, got)
		}
	}
}

// No filter loses a square.
func TestSquaresPassTheFilter(t *testing.T) {
	if !squareFilterProduct.IsInt64() {
		t.Fatal("the product of the filters does not fit in 63 bits")
	}
	passed := 0
	for a := range uint64(20_000) {
		for _, b := range []uint64{0, 1, 2, 7, 41, 1000, a} {
			if n := a*a - b*b; b <= a && !mayBeSquare(a, n%squareFilterProduct.Uint64()) {
				t.Fatalf("%d² - %d is %d²", a, n, b)
			}
		}
		if mayBeSquare(a, 1_000_003) {
			passed++
		}
	}
	if passed > 20 {
		t.Errorf("%d of 20000 pass", passed)
	}
}

func TestSmallPrimesAreAllThere(t *testing.T) {
	var found []uint64
	for _, group := range smallPrimes {
		if !group.product.IsUint64() {
			t.Error("a product does not fit in 64 bits")
		}
		for _, prime := range group.primes {
			found = append(found, prime.value)
			isPower := map[uint64]bool{}
			for power := uint64(1); !isPower[power]; power = power * publicExponent % prime.value {
				isPower[power] = true
			}
			for r := uint64(1); r < prime.value; r++ {
				if prime.isPower(r) != isPower[r] {
					t.Fatalf("%d modulo %d", r, prime.value)
				}
			}
		}
	}
	if len(found) != 125 || found[0] != 3 || found[124] != maxTrialDivisor { // the 126th prime is 701
		t.Errorf("%d primes from %d to %d", len(found), found[0], found[len(found)-1])
	}
}

// JWK-07: what primality tests may cost is fixed for a document, and one
// modulus has one verdict also after that is spent.
func TestPrimalityTestsHaveABudget(t *testing.T) {
	prime, other, third := knownPrime(1919), knownPrime(2111), knownPrime(2895)
	m := &moduli{}
	for i, c := range []struct {
		n      *big.Int
		tested bool
	}{
		{rsaKey(4096).N, false}, {rsaKey(3072).N, false}, // too dear, and so not charged
		{rsaKey(1024).N, false}, {new(big.Int).Lsh(prime, 1), false}, // refused without a test
		{prime, true}, {other, true}, {prime, false},
		{third, false}, {rsaKey(2048).N, false},
	} {
		before := m.spent
		problem := m.problem(rsaOf(c.n))
		if tested := m.spent != before; tested != c.tested {
			t.Errorf("modulus %d: tested %t", i, tested)
		}
		if wantPrime := c.n == prime || c.n == other; (problem == "RSA modulus is prime") != wantPrime {
			t.Errorf("modulus %d: %q", i, problem)
		}
	}
	if !third.ProbablyPrime(0) {
		t.Error("a composite number shows nothing")
	}
	if m.spent > primalityBudget {
		t.Error("overspent")
	}
}

func rsaOf(n *big.Int) *rsa.PublicKey { return &rsa.PublicKey{N: n, E: publicExponent} }

// knownPrime is one of 2048 bits, near 2^2047.
func knownPrime(offset int64) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), 2047)
	return n.Add(n, big.NewInt(offset))
}

func allOnes(bits uint) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), bits)
	return n.Sub(n, big.NewInt(1))
}

// closeProduct is the product of an odd number and the next one without small
// factors.
func closeProduct(p *big.Int) *big.Int {
	for q := new(big.Int).Set(p); ; {
		q.Add(q, big.NewInt(2))
		if n := new(big.Int).Mul(p, q); smallFactors(n) == "" {
			return n
		}
	}
}

// rocaModulus makes a number of 2101 bits that is a power of 65537
// modulo every small prime, and has no small factor.
func rocaModulus() *big.Int {
	product := big.NewInt(1)
	for _, group := range smallPrimes {
		product.Mul(product, group.product)
	}
	n := new(big.Int).Exp(big.NewInt(publicExponent), big.NewInt(12345), product)
	shift := new(big.Int).Lsh(big.NewInt(1), 2100)
	n.Add(n, shift.Sub(shift, new(big.Int).Mod(shift, product)))
	if n.Bit(0) == 0 {
		n.Add(n, product)
	}
	return n
}

func BenchmarkParseWorstDocument(b *testing.B) {
	distinct := func(n int, bits int) []any {
		keys := []any{}
		for range n {
			keys = append(keys, jwk(rsaKey(bits), nil))
		}
		return keys
	}
	for name, keys := range map[string][]any{
		"64 of 4096 bits": distinct(MaxKeys, 4096),
		// Nothing costs more: the whole budget of primality tests, and the
		// largest moduli for the rest.
		"2 of 2048 and 62 of 4096 bits": append(distinct(2, 2048), distinct(MaxKeys-2, 4096)...),
		"64 of CVE-2017-15361":          repeatedROCA(MaxKeys),
	} {
		b.Run(name, func(b *testing.B) {
			data := jwks(keys...)
			b.ReportAllocs()
			for b.Loop() {
				if document, err := Parse(bytes.Clone(data), "auto"); err != nil || len(document.Keys) != MaxKeys {
					b.Fatal(err)
				}
			}
		})
	}
}

// repeatedROCA makes different moduli of the broken generator.
func repeatedROCA(count int) []any {
	product := big.NewInt(2)
	for _, group := range smallPrimes {
		product.Mul(product, group.product)
	}
	keys, n := []any{}, rocaModulus()
	for range count {
		n = new(big.Int).Add(n, product)
		keys = append(keys, jwk(rsaOf(n), nil))
	}
	return keys
}

func BenchmarkWeakness(b *testing.B) {
	n := rsaKey(4096).N
	for b.Loop() {
		if weakness(n) != "" {
			b.Fatal()
		}
	}
}

func BenchmarkPrimality(b *testing.B) {
	for name, bits := range map[string]int{"2048": 2048, "4096": 4096} {
		n := must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits))))
		n.SetBit(n, bits-1, 1).SetBit(n, 0, 1)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				isPrime(n)
			}
		})
	}
}
