// Package grants is the vocabulary of the token endpoint: grant types, token
// types, error codes, reasons, and the one value a refusal is. It imports
// nothing of this repository, performs no I/O and writes no answer: only
// handlers turns a Refusal into a wire error.
package grants
