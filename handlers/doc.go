// Package handlers is the doors of the protocol: token, introspection,
// revocation, metadata, and the dialect of the service Cambio generalises. It
// bounds a request before anything parses it, finds out who asks, lets fosite
// and the grants decide, and is the one place where a refusal becomes an
// answer. It knows no storage and no keys, only ports.
package handlers
