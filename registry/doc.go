// Package registry is the words every room speaks: whom the platform knows
// and under which rules. Plain values, their validation and the errors of
// looking them up. No I/O.
package registry
