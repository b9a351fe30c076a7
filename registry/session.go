package registry

import "time"

// Session is somebody who is signed in at the panel.
type Session struct {
	TokenHash []byte // SHA-256 of what the browser has: the token itself is nowhere
	Person    []byte // JSON, which is the panel's
	SeenAt    time.Time
	ExpiresAt time.Time // whatever happens
}
