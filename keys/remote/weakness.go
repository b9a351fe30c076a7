package remote

import (
	"crypto"
	"crypto/rsa"
	"fmt"
	"math/big"
)

// moduli remembers what was found out about the RSA keys of one document.
type moduli struct {
	tested []testedModulus
	spent  uint64 // on tests of primality, in bits³
}

type testedModulus struct {
	n     *big.Int
	prime bool
}

// problem says why a key must not verify anything, or nothing.
func (m *moduli) problem(public crypto.PublicKey) string {
	if problem := materialProblem(public); problem != "" {
		return problem
	}
	if key, ok := public.(*rsa.PublicKey); ok && m.isPrime(key.N) {
		return "RSA modulus is prime"
	}
	return ""
}

// primalityBudget is two moduli of 2048 bits for each document. A test is a
// modular exponentiation: 2.3 ms for 2048 bits, 7.6 ms for 3072 and 18 ms for
// 4096, where all other checks together take 0.03 ms. Larger moduli, and a
// third one, go untested. That is safe: the factors of such a key are known to
// all, so whoever publishes it lets others sign as its own issuer and harms
// nobody else; and no generator makes one by accident.
const primalityBudget = 2 * 2048 * 2048 * 2048

// isPrime tests a modulus once, if there is budget left.
func (m *moduli) isPrime(n *big.Int) bool {
	for _, known := range m.tested {
		if known.n.Cmp(n) == 0 {
			return known.prime
		}
	}
	bits := uint64(n.BitLen())
	cost := bits * bits * bits
	if cost > primalityBudget-m.spent {
		return false
	}
	m.spent += cost
	prime := isPrime(n)
	m.tested = append(m.tested, testedModulus{n, prime})
	return prime
}

// materialProblem says why a key must not verify anything, as far as that is
// cheap to tell, or nothing.
func materialProblem(public crypto.PublicKey) string {
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return ""
	}
	switch bits := key.N.BitLen(); {
	case bits < minModulusBits || bits > maxModulusBits:
		return fmt.Sprintf("RSA modulus of %d bits, expected %d to %d", bits, minModulusBits, maxModulusBits)
	case key.E != publicExponent:
		return fmt.Sprintf("RSA exponent is not %d", publicExponent)
	}
	return weakness(key.N)
}

// isPrime is Fermat's test to the base of 2, which primes pass. An RSA modulus
// passes by chance once in 2^1000. Further rounds, as ProbablyPrime has, would
// cost four times as much for primes, which strangers choose.
func isPrime(n *big.Int) bool {
	one := big.NewInt(1)
	exponent := new(big.Int).Sub(n, one)
	return new(big.Int).Exp(big.NewInt(2), exponent, n).Cmp(one) == 0
}

// weakness finds moduli that somebody could factor at once: what
// github.com/letsencrypt/boulder refuses, and all ones, which is what an
// uninitialised or stubbed device gives. n is longer than its small factors.
func weakness(n *big.Int) string {
	switch {
	case n.Bit(0) == 0:
		return "RSA modulus is even"
	case isAllOnes(n):
		return "RSA modulus is all ones"
	}
	if problem := smallFactors(n); problem != "" {
		return problem
	}
	return closeFactors(n)
}

func isAllOnes(n *big.Int) bool {
	next := new(big.Int).Add(n, big.NewInt(1))
	return next.TrailingZeroBits() == uint(n.BitLen())
}

// smallFactors finds moduli with a small factor, and those of the broken
// generator of CVE-2017-15361: modulo every small prime they are a power of
// 65537, which others are by chance once in 2^167.
func smallFactors(n *big.Int) string {
	broken := true
	var quotient, rest big.Int // reused: allocated once
	for _, group := range smallPrimes {
		quotient.QuoRem(n, group.product, &rest)
		for _, prime := range group.primes {
			r := rest.Uint64() % prime.value
			if r == 0 {
				return "RSA modulus has a small factor"
			}
			broken = broken && prime.isPower(r)
		}
	}
	if broken {
		return "RSA modulus was made by a broken generator (CVE-2017-15361)"
	}
	return ""
}

const maxTrialDivisor = 701 // the largest prime of CVE-2017-15361 for 2048-bit keys

// smallPrimes are the odd primes up to maxTrialDivisor, in groups whose product
// fits in 64 bits, so that one division of a modulus serves a whole group.
var smallPrimes = groupSmallPrimes()

type primeGroup struct {
	product *big.Int
	primes  []smallPrime
}

type smallPrime struct {
	value uint64
	order uint64 // of 65537 modulo value: the least positive x with 65537^x = 1
}

// isPower tells whether r is a power of 65537 modulo p. The powers are the
// only subgroup of their size, so they are the roots of r^order = 1.
func (p smallPrime) isPower(r uint64) bool {
	power := uint64(1)
	for exponent := p.order; exponent > 0; exponent >>= 1 {
		if exponent&1 == 1 {
			power = power * r % p.value
		}
		r = r * r % p.value
	}
	return power == 1
}

func groupSmallPrimes() []primeGroup {
	var groups []primeGroup
	var primes []smallPrime
	product := uint64(1)
	composite := [maxTrialDivisor + 1]bool{}
	for candidate := uint64(3); candidate <= maxTrialDivisor; candidate += 2 {
		if composite[candidate] {
			continue
		}
		for multiple := candidate * candidate; multiple <= maxTrialDivisor; multiple += candidate {
			composite[multiple] = true
		}
		if product > 1<<64/maxTrialDivisor-1 {
			groups = append(groups, primeGroup{new(big.Int).SetUint64(product), primes})
			product, primes = 1, nil
		}
		order, power := uint64(1), publicExponent%candidate
		for power != 1 {
			order, power = order+1, power*publicExponent%candidate
		}
		product, primes = product*candidate, append(primes, smallPrime{candidate, order})
	}
	return append(groups, primeGroup{new(big.Int).SetUint64(product), primes})
}
