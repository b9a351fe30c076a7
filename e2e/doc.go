// Package e2e holds the tests that see Cambio as its users do: the binary, run
// by scenarios, and other people's programs beside it. No production code.
package e2e
