package panel

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/cambio-oauth/cambio/registry"
)

// visit is one request of somebody who is signed in, or of nobody.
type visit struct {
	*http.Request
	panel      *Panel
	person     *Person     // nil: nobody
	integrator *integrator // whose pages these are; nil: the platform's
}

// page is what somebody gets to see: a template with its data, or another
// address to go to.
type page struct {
	status   int // 0: 200
	template string
	title    string
	data     any
	redirect string
	cookies  []*http.Cookie // also of a page that failed
}

// action answers a request. It writes nothing itself, so that a page that fails
// half way is not seen.
type action func(v *visit) (page, error)

// door opens to whoever is signed in, or to everybody.
func (p *Panel) door(serve action, private bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		person, err := p.person(r)
		v := &visit{Request: r, panel: p, person: person}
		if err != nil {
			p.fail(w, v, err)
			return
		}
		if private && person == nil {
			p.sendToSignIn(w, r)
			return
		}
		if strings.Contains(strings.ToLower(r.URL.EscapedPath()), "%2f") { // no id has a slash; with one it would be another path
			p.fail(w, v, registry.ErrNotFound)
			return
		}
		if r.Method == http.MethodPost {
			if err := r.ParseForm(); err != nil {
				p.fail(w, v, &problem{Status: http.StatusBadRequest, Detail: "The form could not be read, or is larger than 128 KiB."})
				return
			}
		}
		answer, err := serve(v)
		for _, cookie := range answer.cookies {
			http.SetCookie(w, cookie)
		}
		if err != nil {
			p.fail(w, v, err)
			return
		}
		p.show(w, v, answer)
	}
}

// within loads the integrator whose pages these are. An integrator's people are
// at "me", and the API knows no other to them.
func (p *Panel) within(serve action) action {
	return func(v *visit) (page, error) {
		v.integrator = &integrator{}
		reply, err := v.get(path("integrators", v.PathValue("integrator")), v.integrator)
		if err != nil {
			return page{}, err
		}
		v.integrator.ETag, v.integrator.At = reply.etag, v.PathValue("integrator")
		if !v.operator() && v.integrator.Status != "active" {
			return page{}, &problem{Status: http.StatusForbidden, Title: "This integrator is disabled", Detail: "An operator of the platform disabled it. Nothing can be changed or exchanged until it is enabled again."}
		}
		return serve(v)
	}
}

func (v *visit) operator() bool { return v.person != nil && v.person.Role == RoleOperator }

// home is the address of the integrator whose pages these are.
func (v *visit) home(parts ...string) string {
	return strings.TrimSuffix(Prefix, "/") + path(append([]string{"integrators", v.integrator.At}, parts...)...)
}

// api is its path at the API.
func (v *visit) api(parts ...string) string {
	return path(append([]string{"integrators", v.integrator.At}, parts...)...)
}

// sendToSignIn remembers where somebody wanted to go, unless it was to change
// something.
func (p *Panel) sendToSignIn(w http.ResponseWriter, r *http.Request) {
	target := Prefix + "sign-in"
	if r.Method == http.MethodGet && r.URL.Path != Prefix {
		target += "?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

// localTarget gives where to go after signing in: a page of this panel, or its
// first one (open redirects).
func localTarget(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, Prefix) || strings.ContainsAny(next, "\\\r\n") || strings.Contains(u.Path, "..") {
		return Prefix
	}
	return u.RequestURI()
}

func seeOther(target string) page { return page{redirect: target} }

// done goes to a page and says there what happened.
func done(target, what string) page {
	return seeOther(target + "?" + url.Values{"done": {what}}.Encode())
}

// show renders a page as a whole before any of it leaves.
func (p *Panel) show(w http.ResponseWriter, v *visit, answer page) {
	if answer.redirect != "" {
		http.Redirect(w, v.Request, answer.redirect, http.StatusSeeOther)
		return
	}
	var body bytes.Buffer
	if err := p.pages[answer.template].ExecuteTemplate(&body, "layout", p.layout(v, answer)); err != nil {
		p.config.Log.ErrorContext(v.Context(), "a page of the panel could not be rendered", "page", answer.template, "error", err)
		http.Error(w, "The page could not be shown. The log of the server says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", fmt.Sprint(body.Len()))
	w.WriteHeader(max(answer.status, http.StatusOK))
	_, _ = w.Write(body.Bytes())
}

// fail is the one place where an error becomes a page.
func (p *Panel) fail(w http.ResponseWriter, v *visit, err error) {
	failure := &problem{}
	if !errors.As(err, &failure) {
		failure = &problem{Status: http.StatusServiceUnavailable}
		if errors.Is(err, registry.ErrNotFound) {
			failure.Status = http.StatusNotFound
		}
	}
	if failure.Status >= http.StatusInternalServerError {
		p.config.Log.ErrorContext(v.Context(), "a page of the panel failed", "path", v.URL.Path, "error", err)
	}
	if failure.Status == http.StatusServiceUnavailable || failure.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "5")
	}
	text := map[int][2]string{
		http.StatusNotFound:            {"Not found", "There is no such page, or it is not yours to see. What was deleted is gone from here as well."},
		http.StatusForbidden:           {"Not yours to change", "This is for operators of the platform. Ask one of them."},
		http.StatusPreconditionFailed:  {"Somebody was faster", "It was changed while you looked at it. Nothing of yours was saved: go back, reload, and look at what is there now."},
		http.StatusConflict:            {"That does not go together", "It conflicts with what exists already."},
		http.StatusTooManyRequests:     {"Too many at once", "Wait a moment and try again."},
		http.StatusServiceUnavailable:  {"Not at the moment", "The database does not answer. Nothing was changed: try again in a few seconds."},
		http.StatusBadRequest:          {"That cannot be read", "Go back and try again."},
		http.StatusBadGateway:          {"The key URL did not answer", "The keys stay as they were."},
		http.StatusUnprocessableEntity: {"That cannot be saved", "Some of it is not acceptable."},
	}[failure.Status]
	if failure.Status == http.StatusServiceUnavailable && v.Method == http.MethodPost {
		text[1] = "The database does not answer. It is not certain whether the change was made: look before you try again."
	}
	if failure.Title == "" || failure.Title == http.StatusText(failure.Status) {
		failure.Title = cmp.Or(text[0], http.StatusText(failure.Status))
	}
	if failure.Detail == "" || failure.Status == http.StatusNotFound || failure.Status == http.StatusForbidden && failure.Code != "" || failure.Status == http.StatusServiceUnavailable {
		failure.Detail = text[1]
	}
	p.show(w, v, page{status: failure.Status, template: "problem", title: failure.Title, data: failure})
}

func (p *Panel) notFound(*visit) (page, error) { return page{}, registry.ErrNotFound }

func (p *Panel) crossOrigin(w http.ResponseWriter, r *http.Request) {
	p.fail(w, &visit{Request: r, panel: p}, &problem{
		Status: http.StatusForbidden, Title: "From another site",
		Detail: "This form was sent by another site. Open the panel itself and try again.",
	})
}

// survive answers 500 for a panic, once.
func (p *Panel) survive(w http.ResponseWriter, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler {
		panic(cause)
	}
	p.config.Log.ErrorContext(r.Context(), "a page of the panel panicked", "path", r.URL.Path, "panic", fmt.Sprintf("%T", cause))
	http.Error(w, "Something is wrong with this page. The log of the server says what.", http.StatusInternalServerError)
}

// secureHeaders: nothing of others, nothing inline, in nobody's frame, and no
// page is kept by anybody (ADM-07, ADM-08).
func (p *Panel) secureHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // with none browsers would send Origin: null
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if p.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}
