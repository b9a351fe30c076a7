package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/cambio-oauth/cambio/registry"
)

// Idempotency keys are those of draft-ietf-httpapi-idempotency-key-header.
const (
	idempotencyHeader = "Idempotency-Key"
	maxIdempotencyKey = 255
)

var (
	errIdempotencyKey = errors.New("want Idempotency-Key once, 1 to 255 printable ASCII characters, such as a UUID, in quotation marks or without")
	errKeyReused      = errors.New("this Idempotency-Key was used for another request: a new request needs a new key")
)

// reply is an answer as it is given, and given again.
type reply struct {
	Status   int             `json:"status"`
	Location string          `json:"location,omitempty"`
	ETag     string          `json:"etag,omitempty"`
	Body     json.RawMessage `json:"body,omitempty"`
}

func newReply(status int, location, etag string, value any) (reply, error) {
	body, err := json.Marshal(value)
	return reply{Status: status, Location: location, ETag: etag, Body: body}, err
}

func (p *reply) write(w http.ResponseWriter) {
	if p.Location != "" {
		w.Header().Set("Location", p.Location)
	}
	if p.ETag != "" {
		w.Header().Set("ETag", p.ETag)
	}
	if p.Body != nil {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(p.Body)
}

// compose makes the answer to a change that was made. inside reads what the
// change made while nobody else can; nil when it can be read by everybody.
type compose func(ctx context.Context, inside registry.Inside) (reply, error)

// answered makes a change and answers it. An answer that is to be kept is
// composed and sealed in the transaction of the change.
func (a *API) answered(ctx context.Context, w http.ResponseWriter, change func(context.Context) error, answer compose) error {
	var made *reply
	if pending := registry.AnswerOf(ctx); pending != nil {
		pending.Complete = func(ctx context.Context, inside registry.Inside) ([]byte, error) {
			said, err := answer(ctx, inside)
			if err != nil {
				return nil, err
			}
			made = &said
			text, err := json.Marshal(said)
			if err != nil {
				return nil, err
			}
			return a.config.Answers.Seal(nameOf(&pending.Answer), text)
		}
	}
	if err := change(ctx); err != nil {
		return err
	}
	if made == nil {
		said, err := answer(ctx, nil)
		if err != nil {
			return err
		}
		made = &said
	}
	made.write(w)
	return nil
}

// nameOf names the row that an answer is sealed for: moved to another it does
// not open. Lengths, so that no two pairs are one text.
func nameOf(a *registry.Answer) string {
	return fmt.Sprintf("%d:%s,%d:%s", len(a.Caller), a.Caller, len(a.Key), a.Key)
}

// once lets a request that has an idempotency key happen once. There is no
// state between "not yet" and "answered": the key is written with the change.
func (a *API) once(next func(http.ResponseWriter, request) error) func(http.ResponseWriter, request) error {
	return func(w http.ResponseWriter, r request) error {
		key, err := readIdempotencyKey(r.Header)
		if err != nil {
			return err
		}
		if key == "" {
			return next(w, r)
		}
		print, err := fingerprint(w, r)
		if err != nil {
			return err
		}
		asked := registry.Answer{Caller: r.caller.ClientID, Key: key, Fingerprint: print}
		if err := a.replay(w, r, asked); !errors.Is(err, registry.ErrNotFound) {
			return err
		}
		ctx := registry.WithAnswer(r.Context(), &registry.PendingAnswer{Answer: asked})
		err = next(w, request{Request: r.WithContext(ctx), caller: r.caller})
		if errors.Is(err, registry.ErrAnswered) { // by another request, a moment ago
			err = a.replay(w, r, asked)
		}
		return err
	}
}

// replay answers as it was answered before. ErrNotFound: it was not.
func (a *API) replay(w http.ResponseWriter, r request, asked registry.Answer) error {
	kept, err := a.config.Store.Answer(r.Context(), asked.Caller, asked.Key)
	if err != nil {
		return err
	}
	if !bytes.Equal(kept.Fingerprint, asked.Fingerprint) {
		return errKeyReused
	}
	text, err := a.config.Answers.Open(nameOf(kept), kept.Sealed)
	if err != nil {
		return registry.Conflict("this request was made, and what it was answered cannot be read any more, because CAMBIO_SECRET_KEY is another one: look for what it made")
	}
	var said reply
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	a.config.Changed(r.Context()) // another replica may have made it
	w.Header().Set("Idempotency-Replayed", "true")
	said.write(w)
	return nil
}

// readIdempotencyKey gives the key of a request, empty when there is none. It
// is a string of RFC 8941 §3.3.3, or the same without quotation marks, which is
// what most programs send.
func readIdempotencyKey(header http.Header) (string, error) {
	values := header.Values(idempotencyHeader)
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if inner, quoted := strings.CutPrefix(key, `"`); quoted {
		var ok bool
		if key, ok = unquote(inner); !ok {
			return "", errIdempotencyKey
		}
	}
	printable := !strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' })
	if len(values) > 1 || key == "" || len(key) > maxIdempotencyKey || !printable {
		return "", errIdempotencyKey
	}
	return key, nil
}

// unquote reads what follows the opening quotation mark.
func unquote(text string) (string, bool) {
	var plain []byte
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return string(plain), i == len(text)-1
		case c == '\\':
			if i++; i == len(text) || text[i] != '"' && text[i] != '\\' {
				return "", false
			}
			plain = append(plain, text[i])
		default:
			plain = append(plain, c)
		}
	}
	return "", false
}

// fingerprint tells requests apart: by whose integrator "me" is, method, path,
// query and body. The body can be read again.
func fingerprint(w http.ResponseWriter, r request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, errMalformed
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	hash := sha256.New()
	for _, part := range []string{r.caller.IntegratorID, r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(body)} {
		fmt.Fprintf(hash, "%d:%s,", len(part), part)
	}
	return hash.Sum(nil), nil
}
