package fositegrant

import (
	"time"

	"github.com/ory/fosite"
)

// Session carries the decision from the moment it is made to the answer. It
// replaces the session that was given to NewAccessRequest.
type Session struct {
	Decision *Decision

	expiresAt time.Time
}

var _ fosite.Session = (*Session)(nil)

// SetExpiresAt implements fosite.Session.
func (s *Session) SetExpiresAt(kind fosite.TokenType, at time.Time) {
	if kind == fosite.AccessToken {
		s.expiresAt = at
	}
}

// GetExpiresAt implements fosite.Session.
func (s *Session) GetExpiresAt(kind fosite.TokenType) time.Time {
	if kind == fosite.AccessToken {
		return s.expiresAt
	}
	return time.Time{}
}

// GetUsername implements fosite.Session; there is none.
func (s *Session) GetUsername() string { return "" }

// GetSubject implements fosite.Session.
func (s *Session) GetSubject() string {
	if s.Decision == nil || s.Decision.Subject == "" {
		return ""
	}
	return s.Decision.PlatformSubject()
}

// Clone implements fosite.Session.
func (s *Session) Clone() fosite.Session {
	clone := *s
	return &clone
}
