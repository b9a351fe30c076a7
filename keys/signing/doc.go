// Package signing is our key ring: keys are made, sealed, published before
// they are used, rotated, and kept until the last token they signed has
// expired. It holds the secrets and never dials anybody.
package signing
