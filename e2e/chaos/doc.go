// Package chaos holds the faults that Cambio has to survive, as runnable
// scenarios: the binary, killed, frozen and cut off under load, and afterwards
// held to what it had acknowledged. No production code.
//
// `go test` runs a short set; `make chaos` runs all of it in full size and
// prints the figures that docs/reliability.md shows.
package chaos
