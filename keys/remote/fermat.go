package remote

import "math/big"

const fermatRounds = 100

// closeFactors looks for n = (a-b)(a+b) with the hundred smallest a: factors
// that are equal or close together, as broken generators make them
// (CVE-2022-26320).
func closeFactors(n *big.Int) string {
	a := new(big.Int).Sqrt(n)
	var square, root big.Int
	if square.Mul(a, a).Cmp(n) == 0 {
		return "RSA modulus is a square"
	}
	smallA := root.Mod(a, squareFilterProduct).Uint64()
	smallN := root.Mod(n, squareFilterProduct).Uint64()
	for round := uint64(1); round <= fermatRounds; round++ {
		if !mayBeSquare(smallA+round, smallN) {
			continue
		}
		square.Add(a, root.SetUint64(round))
		square.Mul(&square, &square).Sub(&square, n)
		if root.Sqrt(&square); root.Mul(&root, &root).Cmp(&square) == 0 {
			return "RSA modulus has two factors close together"
		}
	}
	return ""
}

// mayBeSquare tells from remainders whether a² - n can be a square. One number
// in ten thousand passes that is none, so that hardly any round needs
// arithmetic on large numbers. Nor can an attacker choose n so that many do:
// n has no small factor, and then modulo each filter half of all a fail.
func mayBeSquare(a, n uint64) bool {
	for i := range squareFilters {
		filter := &squareFilters[i]
		a := a % filter.modulus
		if !filter.square[(a*a+filter.modulus-n%filter.modulus)%filter.modulus] {
			return false
		}
	}
	return true
}

// squareFilters know which remainders squares have.
var (
	squareFilters       = newSquareFilters(64, 63, 65, 11, 17, 19, 23, 29, 31, 37, 41, 43)
	squareFilterProduct = productOf(squareFilters)
)

type squareFilter struct {
	modulus uint64
	square  []bool // by remainder
}

func newSquareFilters(moduli ...uint64) []squareFilter {
	filters := make([]squareFilter, 0, len(moduli))
	for _, modulus := range moduli {
		square := make([]bool, modulus)
		for x := range modulus {
			square[x*x%modulus] = true
		}
		filters = append(filters, squareFilter{modulus, square})
	}
	return filters
}

// productOf gives a number that fits in 63 bits, so that mayBeSquare can add
// to a remainder.
func productOf(filters []squareFilter) *big.Int {
	product := big.NewInt(1)
	for _, filter := range filters {
		product.Mul(product, new(big.Int).SetUint64(filter.modulus))
	}
	return product
}
