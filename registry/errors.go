package registry

import "errors"

// Errors of looking up and changing what the registry holds. Every backend
// translates its own into these.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("conflicts with what exists")
	ErrStale    = errors.New("was changed by somebody else in the meantime")
)

// Conflict is an ErrConflict that says for people what it conflicts with.
type Conflict string

// Error implements error.
func (c Conflict) Error() string { return string(c) }

// Is makes a Conflict an ErrConflict.
func (c Conflict) Is(target error) bool { return target == ErrConflict }

// FieldError is one fault of one member.
type FieldError struct {
	Pointer string `json:"pointer"` // JSON Pointer (RFC 6901) into the object
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

// Invalid lists what is wrong with a value.
type Invalid []FieldError

// Error implements error.
func (i Invalid) Error() string {
	text := "invalid"
	for _, field := range i {
		text += "; " + field.Pointer + ": " + field.Detail
	}
	return text
}

// Add notes a fault unless ok.
func (i *Invalid) Add(ok bool, pointer, code, detail string) {
	if !ok {
		*i = append(*i, FieldError{Pointer: pointer, Code: code, Detail: detail})
	}
}

// Err gives nil when nothing was noted.
func (i Invalid) Err() error {
	if len(i) == 0 {
		return nil
	}
	return i
}
