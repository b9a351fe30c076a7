package admin

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gorilla/mux"

	"github.com/cambio-oauth/cambio/registry"
)

// ndjson is the media type of an export: one record a line.
const ndjson = "application/x-ndjson"

// exportTimeout is how long a reader of an export may take for one page.
const exportTimeout = 15 * time.Second

var errFilter = errors.New("filters are result (granted or refused), reason, client_id, issuer, subject, kid, jti, subject_token_sha256 (64 hex digits in small letters), and from and to as RFC 3339 times; each once")

// exchangeView is the record of one attempt to get a token. It holds no token.
type exchangeView struct {
	ID        string             `json:"id"`
	At        time.Time          `json:"at"`
	GrantType string             `json:"grant_type"`
	Result    string             `json:"result"`
	Code      string             `json:"error,omitempty"`
	Reason    string             `json:"reason,omitempty"`
	ClientID  string             `json:"client_id,omitempty"`
	Issuer    string             `json:"issuer,omitempty"`
	Subject   string             `json:"subject,omitempty"`
	KeyID     string             `json:"kid,omitempty"`
	Granted   []string           `json:"granted"`
	Dropped   []registry.Dropped `json:"dropped"`
	TokenID   string             `json:"jti,omitempty"`
	ExpiresAt time.Time          `json:"expires_at,omitzero"`

	SubjectTokenHash string     `json:"subject_token_sha256,omitempty"`
	Audit            *auditView `json:"audit,omitempty"`
}

func viewExchange(e *registry.Exchange) exchangeView {
	return exchangeView{
		ID: e.ID, At: e.At, GrantType: e.GrantType, Result: e.Result, Code: e.Code, Reason: e.Reason, ClientID: e.ClientID,
		Issuer: e.Issuer, Subject: e.Subject, KeyID: e.KeyID, Granted: append([]string{}, e.Granted...),
		Dropped: append([]registry.Dropped{}, e.Dropped...), TokenID: e.TokenID, ExpiresAt: e.ExpiresAt,
		SubjectTokenHash: e.SubjectTokenHash, Audit: viewAudit(e.Audit),
	}
}

// listExchanges answers the record of an integrator, newest first: a page, or
// all of it as NDJSON to whoever accepts nothing else.
func (a *API) listExchanges(w http.ResponseWriter, r request) error {
	integratorID, err := a.service.resolve(r.Context(), r.caller, mux.Vars(r.Request)["integrator"])
	if err != nil {
		return err
	}
	filter, err := readFilter(r.URL.Query())
	if err != nil {
		return err
	}
	read := func(page registry.Page) ([]registry.Exchange, error) {
		leave, err := a.reading.start(r.Context(), integratorID)
		if err != nil {
			return nil, err
		}
		defer leave()
		return a.config.Store.Exchanges(r.Context(), integratorID, filter, page)
	}
	if r.Header.Get("Accept") == ndjson {
		return a.exportExchanges(w, read)
	}
	// A cursor goes on with the filter it was given for, and with no other.
	name := "exchanges " + integratorID + " " + filterName(r.URL.Query())
	return serveList(a, w, r, name, read, func(e *registry.Exchange) (string, any) { return e.ID, viewExchange(e) })
}

// exportExchanges writes page after page. What fails in the middle can only be
// told by breaking off.
func (a *API) exportExchanges(w http.ResponseWriter, read func(registry.Page) ([]registry.Exchange, error)) error {
	page := registry.Page{Limit: registry.MaxPage}
	control, lines := http.NewResponseController(w), json.NewEncoder(w)
	for {
		exchanges, err := read(page)
		if err != nil && page.After == "" {
			return err
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if page.After == "" {
			w.Header().Set("Content-Type", ndjson)
		}
		_ = control.SetWriteDeadline(time.Now().Add(exportTimeout))
		for i := range exchanges {
			if lines.Encode(viewExchange(&exchanges[i])) != nil {
				return nil // the reader is gone
			}
		}
		if len(exchanges) < page.Limit {
			return nil
		}
		page.After = exchanges[len(exchanges)-1].ID
	}
}

// filterName is the same for the same filter.
func filterName(query url.Values) string {
	query = maps.Clone(query)
	query.Del("cursor")
	query.Del("limit")
	return query.Encode()
}

// readFilter is strict: a misspelt filter would show what nobody asked for.
func readFilter(query url.Values) (filter registry.ExchangeFilter, err error) {
	for name, values := range query {
		value := values[0]
		if len(values) > 1 || value == "" || strings.ContainsRune(value, 0) || !utf8.ValidString(value) {
			return filter, errFilter
		}
		switch name {
		case "result":
			filter.Result = value
			if !slices.Contains([]string{registry.ResultGranted, registry.ResultRefused}, value) {
				return filter, errFilter
			}
		case "reason":
			filter.Reason = value
		case "client_id":
			filter.ClientID = value
		case "issuer":
			filter.Issuer = value
		case "subject":
			filter.Subject = value
		case "kid":
			filter.KeyID = value
		case "jti":
			filter.TokenID = value
		case "subject_token_sha256":
			filter.SubjectTokenHash = value
			if len(value) != 64 || strings.Trim(value, "0123456789abcdef") != "" {
				return filter, errFilter
			}
		case "from":
			filter.From, err = time.Parse(time.RFC3339Nano, value)
		case "to":
			filter.To, err = time.Parse(time.RFC3339Nano, value)
		case "limit", "cursor":
		default:
			return filter, errFilter
		}
		if err != nil {
			return filter, errFilter
		}
	}
	return filter, nil
}
