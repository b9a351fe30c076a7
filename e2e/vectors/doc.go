// Package vectors holds the tests that run other people's vectors, Wycheproof's
// and those of the RFCs, through our verifier and our parser of key documents.
package vectors
