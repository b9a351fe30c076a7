// Command cambio is the server: flags and configuration, the one page where
// every room meets (serve.go), the only translation between the registry's
// words and the grants' (translate.go), and a demonstration of the whole road.
package main
