// Package assertion turns a JWT that a stranger signed into verified claims, or
// into the reason why not. It knows no fosite, no HTTP and no SQL: keys and
// policies come through its ports, and nothing in an unverified token selects
// a URL, a tenant or an algorithm.
package assertion
