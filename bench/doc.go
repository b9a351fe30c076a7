// Command bench measures Cambio against a floor: a server that does only the
// arithmetic of an exchange, in the same run on the same machine. It starts both,
// loads them from the other core, and writes what docs/performance.md shows. It
// is no production code.
//
//	make bench            all of it, ten minutes
//	make bench ARGS=-quick  a look, two minutes
package main
