// Package jws reads compact JSON Web Signatures (RFC 7515 §7.1) without giving
// the benefit of the doubt: one spelling per token, bounded before it is
// parsed, JSON read strictly, no header that changes what is signed. It finds
// no keys and judges no claims; grants/assertion and grants/accesstoken do.
package jws
