// Package chaos holds the faults that Cambio has to survive, as runnable
// scenarios: the binary, killed, frozen and cut off under load, and afterwards
// held to what it had acknowledged. No production code.
//
// `go test` runs a short set. `make chaos` (the build tag chaos) runs it in full
// size, with what cannot be in the short set: a scenario that is not met
// (TestR04OldPrimaryReturns) and one that needs the machine for itself
// (TestR14Overload). It prints the figures that docs/reliability.md shows.
//
// The rig freezes, limits and unmounts by means that only Linux has: elsewhere
// the package has no tests.
package chaos
