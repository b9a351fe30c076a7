//go:build linux && !chaos

package chaos

// full: no, this is the set of `make test`.
const full = false
