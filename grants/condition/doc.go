// Package condition judges the claims of a verified subject token by an
// expression in CEL (https://cel.dev) that somebody wrote into a key URL. An
// expression is type-checked when it is stored, and what it may cost when it
// runs is bounded: whoever writes one can refuse tokens of his own, and hold up
// nobody else.
package condition
