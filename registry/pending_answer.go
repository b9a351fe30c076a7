package registry

import (
	"context"
	"errors"
	"time"
)

// AnswersKept is how long the answer to a request with an idempotency key is
// kept to be given again.
const AnswersKept = 24 * time.Hour

// ErrAnswered: the request was answered before. Nothing was changed.
var ErrAnswered = errors.New("this request was answered before")

// Answer is a kept answer, sealed: it can hold a secret.
type Answer struct {
	Caller      string // client_id of who called
	Key         string // idempotency key, which is the caller's own
	Fingerprint []byte // of the request
	Sealed      []byte
}

// PendingAnswer is an answer whose change is under way. The store writes it in
// the transaction of the change, so that neither is without the other, and of
// any number of requests with one key one makes its change. The others get
// ErrAnswered.
type PendingAnswer struct {
	Answer
	// Complete seals the answer once the change is made. It can read what only
	// the transaction of the change sees.
	Complete func(ctx context.Context, inside Inside) (sealed []byte, err error)
	Written  bool
}

// Inside reads what a change made before anybody else can.
type Inside interface {
	KeyDocuments(ctx context.Context, integratorID string) (map[KeySource]KeyDocument, error)
	SigningKeys(ctx context.Context) ([]SigningKey, error)
}

type answerKey struct{}

// WithAnswer gives a context whose change is to be answered once.
func WithAnswer(ctx context.Context, a *PendingAnswer) context.Context {
	return context.WithValue(ctx, answerKey{}, a)
}

// AnswerOf gives the answer to keep, nil when there is none or it is written.
func AnswerOf(ctx context.Context) *PendingAnswer {
	a, _ := ctx.Value(answerKey{}).(*PendingAnswer)
	if a == nil || a.Written {
		return nil
	}
	return a
}
