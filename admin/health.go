package admin

import (
	"net/http"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

// healthView is what is known of the keys of a key URL.
type healthView struct {
	Status       string                `json:"status"` // one of the health constants
	Format       string                `json:"format,omitempty"`
	FetchedAt    time.Time             `json:"fetched_at,omitzero"`
	UsableUntil  time.Time             `json:"usable_until,omitzero"` // if no fetch succeeds before
	FailingSince time.Time             `json:"failing_since,omitzero"`
	Failure      *failureView          `json:"failure,omitempty"`
	Keys         []keyView             `json:"keys"`
	Warnings     []registry.KeyWarning `json:"warnings"`
}

const (
	healthUnknown = "unknown" // nobody has needed the keys yet
	healthOK      = "ok"      // the last fetch succeeded
	healthFailing = "failing" // the last fetch failed; keys fetched before are used
	healthDown    = "down"    // there are no keys to use: tokens are answered "try again"
)

// failureView says why a fetch failed, and what to do.
type failureView struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// keyView is one public key.
type keyView struct {
	KeyID      string    `json:"kid,omitempty"`
	Type       string    `json:"kty"`
	Curve      string    `json:"crv,omitempty"`
	Bits       int       `json:"bits"`
	Algorithm  string    `json:"alg,omitempty"`
	Thumbprint string    `json:"thumbprint"`
	Status     string    `json:"status"` // usable, unusable or removed
	Problem    string    `json:"problem,omitempty"`
	FirstSeen  time.Time `json:"first_seen_at,omitzero"`
	LastSeen   time.Time `json:"last_seen_at,omitzero"`
	LastUsed   time.Time `json:"last_used_at,omitzero"`
}

// viewHealth shows a key document; nil is one that nobody fetched.
func viewHealth(d *registry.KeyDocument, now time.Time) healthView {
	if d == nil {
		return healthView{Status: healthUnknown, Keys: []keyView{}, Warnings: []registry.KeyWarning{}}
	}
	view := healthView{
		Status: healthOK, Format: d.FoundFormat, FetchedAt: d.FetchedAt, FailingSince: d.FailingSince,
		Keys: viewKeys(d), Warnings: append([]registry.KeyWarning{}, d.Warnings...),
	}
	if !d.FetchedAt.IsZero() {
		view.UsableUntil = d.FetchedAt.Add(registry.KeysOutliveOutage)
	}
	if d.FailingSince.IsZero() {
		return view
	}
	view.Status, view.Failure = healthFailing, viewFailure(d.Failure)
	if !now.Before(view.UsableUntil) {
		view.Status = healthDown
	}
	return view
}

// failingView is a key URL whose keys cannot be fetched.
type failingView struct {
	ID             string       `json:"id"`
	IntegratorID   string       `json:"integrator_id"`
	IntegratorName string       `json:"integrator_name"`
	Issuer         string       `json:"issuer"`
	URL            string       `json:"url"`
	Status         string       `json:"status"` // failing or down
	FailingSince   time.Time    `json:"failing_since"`
	UsableUntil    time.Time    `json:"usable_until,omitzero"`
	Failure        *failureView `json:"failure"`
}

const maxFailing = 50

// listFailing answers which key URLs an operator should look at.
func (a *API) listFailing(w http.ResponseWriter, r request) error {
	if !r.caller.Operator() {
		return registry.ErrNotFound
	}
	failing, err := a.config.Store.FailingKeyURLs(r.Context(), maxFailing)
	if err != nil {
		return err
	}
	answer := struct {
		Items []failingView `json:"items"`
	}{Items: []failingView{}}
	for _, f := range failing {
		health := viewHealth(&registry.KeyDocument{FetchedAt: f.FetchedAt, FailingSince: f.FailingSince, Failure: f.Failure}, a.config.Now())
		answer.Items = append(answer.Items, failingView{
			ID: f.ID, IntegratorID: f.IntegratorID, IntegratorName: f.IntegratorName, Issuer: f.Issuer, URL: f.URL,
			Status: health.Status, FailingSince: f.FailingSince, UsableUntil: health.UsableUntil, Failure: health.Failure,
		})
	}
	return a.answer(w, http.StatusOK, answer)
}

func viewKeys(d *registry.KeyDocument) []keyView {
	views := make([]keyView, 0, len(d.Keys))
	for _, key := range d.Keys {
		view := keyView{
			KeyID: key.ID, Type: key.Type, Curve: key.Curve, Bits: key.Bits, Algorithm: key.Algorithm, Thumbprint: key.Thumbprint,
			Status: "usable", Problem: key.Problem,
			FirstSeen: moment(key.FirstSeen), LastSeen: moment(key.LastSeen), LastUsed: moment(key.LastUsed),
		}
		switch {
		case key.Removed:
			view.Status = "removed"
		case key.Problem != "":
			view.Status = "unusable"
		}
		views = append(views, view)
	}
	return views
}

func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// viewFailure explains a word. The texts are fixed: what a server answered, and
// which address it has, is nobody's business (SSRF).
func viewFailure(word string) *failureView {
	detail, known := map[string]string{
		"address_not_allowed": "The host has an address that is not public, or the port is not 443. An operator can allow its network (CAMBIO_KEY_URL_ALLOW).",
		"unreachable":         "The host name does not resolve, or nothing answers HTTP there. Check the host and that it can be reached from the Internet.",
		"timeout":             "The keys did not arrive within 5 seconds.",
		"tls":                 "The TLS handshake failed. Check that the certificate is valid for this host, not expired, complete with its chain, and that TLS 1.2 or 1.3 is offered.",
		"redirect":            "The URL redirects. Register the URL where the keys are: redirects are not followed.",
		"status":              "The answer's status was not 200. Open the URL in a private window: it has to answer without a login.",
		"too_large":           "The answer is larger than 256 KiB.",
		"encoding":            "The answer was compressed although it was asked for uncompressed.",
		"too_many_keys":       "There are more than 64 keys.",
		"private_key":         "A PRIVATE KEY is published there. Take it down, replace the key, and publish the public half only; until then no key of the document is used.",
		"discovery_document":  "This is a discovery document, not a key set. Register the URL that it calls jwks_uri.",
		"content":             "The answer is neither a JWKS (an object with an array keys), nor PEM, nor a JSON object of key ids and PEM; or not of the format that was set. Open the URL in a private window: a web page or a login form is no key document.",
	}[word]
	if !known {
		detail = "The keys cannot be fetched."
	}
	return &failureView{Code: word, Detail: detail}
}
