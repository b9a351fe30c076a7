package panel

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/cambio-oauth/cambio/admin"
)

// problem is what the API answers when it does not do what it was asked (RFC
// 9457). It is an error.
type problem struct {
	Status int          `json:"status"`
	Title  string       `json:"title"`
	Detail string       `json:"detail"`
	Code   string       `json:"code"`
	Errors []fieldError `json:"errors"`
	Wait   string       `json:"-"` // Retry-After, in seconds
}

type fieldError struct{ Pointer, Code, Detail string }

// Error implements error.
func (p *problem) Error() string { return p.Code + ": " + p.Detail }

// request is what is asked of the API.
type request struct {
	method, path string
	query        url.Values
	body         any
	ifMatch      string
	once         string // Idempotency-Key
}

// reply is what the API answers.
type reply struct {
	etag, location string
	replayed       bool // it was asked before, and did nothing this time
}

// ask has the API serve a request as this person, and reads what it answers.
func (v *visit) ask(what request, into any) (reply, error) {
	body, err := json.Marshal(what.body)
	if err != nil {
		return reply{}, err
	}
	if what.body == nil {
		body = nil
	}
	target := "/admin/v1" + what.path
	if len(what.query) > 0 {
		target += "?" + what.query.Encode()
	}
	r, err := http.NewRequestWithContext(v.Context(), what.method, target, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	if what.ifMatch != "" {
		r.Header.Set("If-Match", what.ifMatch)
	}
	if what.once != "" {
		r.Header.Set("Idempotency-Key", what.once)
	}
	answer := v.panel.config.Ask(r, v.person.Caller)
	if answer.Status >= http.StatusBadRequest {
		return reply{}, problemOf(answer)
	}
	if into != nil {
		err = json.Unmarshal(answer.Body, into)
	}
	return reply{etag: answer.Header.Get("ETag"), location: answer.Header.Get("Location"), replayed: answer.Header.Get("Idempotency-Replayed") == "true"}, err
}

func problemOf(answer admin.Answer) *problem {
	p := &problem{}
	if json.Unmarshal(answer.Body, p) != nil || p.Status == 0 {
		p.Status, p.Code = answer.Status, "unavailable"
	}
	p.Wait = answer.Header.Get("Retry-After")
	return p
}

// get reads one object or list.
func (v *visit) get(path string, into any) (reply, error) {
	return v.ask(request{method: http.MethodGet, path: path}, into)
}

// list is one page of a list.
type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next_cursor"`
}

// read gives a page of a list, and the query with which the next one is asked
// for.
func read[T any](v *visit, path string, query url.Values) (list[T], error) {
	var l list[T]
	_, err := v.ask(request{method: http.MethodGet, path: path, query: query}, &l)
	return l, err
}

// all reads a whole list, up to a bound that no integrator's lists reach.
func all[T any](v *visit, path string) ([]T, error) {
	var items []T
	query := url.Values{"limit": {"200"}}
	for len(items) < maxAll {
		l, err := read[T](v, path, query)
		if err != nil {
			return nil, err
		}
		items = append(items, l.Items...)
		if l.Next == "" {
			break
		}
		query.Set("cursor", l.Next)
	}
	return items, nil
}

const maxAll = 1000

// path joins parts, each of them escaped.
func path(parts ...string) string {
	var text strings.Builder
	for _, part := range parts {
		text.WriteString("/" + url.PathEscape(part))
	}
	return text.String()
}
