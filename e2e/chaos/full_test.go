//go:build linux && chaos

package chaos

// full: everything, in the size that docs/reliability.md shows.
const full = true
