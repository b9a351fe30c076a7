package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/cambio-oauth/cambio/registry"
)

// maxOverlap bounds how long a secret that was replaced goes on working.
const maxOverlap = 30 * 24 * time.Hour

var errOverlap = errors.New("the only query parameter is overlap, once: a whole number of seconds from 0 to 2592000, such as 3600")

// addSecret gives a client another secret, in this answer only. Those it had
// end after the overlap: at once, unless the caller asks for more.
func (a *API) addSecret(w http.ResponseWriter, r request) error {
	ctx := r.Context()
	integratorID, err := a.service.resolve(ctx, r.caller, mux.Vars(r.Request)["integrator"])
	if err != nil {
		return err
	}
	overlap, err := readOverlap(r.URL.RawQuery)
	if err != nil {
		return err
	}
	if err := mustHaveNoBody(r); err != nil {
		return err
	}
	client, err := a.shownClient(ctx, integratorID, mux.Vars(r.Request)["client_id"])
	if err != nil {
		return err
	}
	ctx, err = r.audited("add_secret", "clients", integratorID, client.ClientID, nil, func() (string, any) {
		return "", map[string]any{"overlap": int64(overlap / time.Second)} // and nothing of the secret
	})
	if err != nil {
		return err
	}
	return a.answered(ctx, w, func(ctx context.Context) error { return a.service.addSecret(ctx, client, overlap) }, func(context.Context, registry.Inside) (reply, error) {
		return newReply(http.StatusCreated, strings.TrimSuffix(r.URL.Path, "/secret"), etag(&client.Object), a.viewClient(client))
	})
}

// readOverlap is strict: a misspelt overlap would end a secret that somebody
// still uses.
func readOverlap(query string) (time.Duration, error) {
	values, err := url.ParseQuery(query)
	if err != nil || len(values) > 1 || len(values) == 1 && len(values["overlap"]) != 1 {
		return 0, errOverlap
	}
	if len(values) == 0 {
		return 0, nil
	}
	seconds, err := strconv.ParseUint(values.Get("overlap"), 10, 31)
	overlap := time.Duration(seconds) * time.Second
	if err != nil || overlap > maxOverlap {
		return 0, errOverlap
	}
	return overlap, nil
}
