package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/mux"
	"golang.org/x/time/rate"

	"github.com/cambio-oauth/cambio/registry"
)

// Fetches on demand, of one integrator on one replica: it may look whether its
// key URL works, and not use this server to look around (SSRF).
const (
	checksPerMinute         = 6
	operatorChecksPerMinute = 60
)

// checkLimits bounds what is done on demand. There are as many limiters as
// integrators, twice.
type checkLimits struct {
	mu       sync.Mutex
	limiters map[checkQuota]*rate.Limiter
}

type checkQuota struct {
	integratorID string
	operator     bool
	perMinute    int
}

// take gives how long to wait when the quota is used up, and 0 when it is not.
func (l *checkLimits) take(q checkQuota, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limiters == nil {
		l.limiters = map[checkQuota]*rate.Limiter{}
	}
	limiter, ok := l.limiters[q]
	if !ok {
		limiter = rate.NewLimiter(rate.Every(time.Minute/time.Duration(q.perMinute)), q.perMinute)
		l.limiters[q] = limiter
	}
	reservation := limiter.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

func (a *API) mountKeyChecks(routes *mux.Router) {
	const path = "/integrators/{integrator}/key-urls"
	a.route(routes, path+"/check", methods{http.MethodPost: a.checkKeyURL})
	a.route(routes, path+"/from-token", methods{http.MethodPost: a.proposeKeyURL})
	a.route(routes, path+"/{key_url}/refresh", methods{http.MethodPost: a.once(a.refreshKeys)})
	a.route(routes, path+"/{key_url}/audit", methods{http.MethodGet: a.summarizeAudit})
}

// checkView is what a fetch found that changed nothing.
type checkView struct {
	OK       bool                  `json:"ok"` // there is a key that can verify signatures
	Format   string                `json:"format,omitempty"`
	Keys     []keyView             `json:"keys"`
	Warnings []registry.KeyWarning `json:"warnings"`
	Failure  *failureView          `json:"failure,omitempty"`
	JWKSURI  string                `json:"jwks_uri,omitempty"` // where a discovery document says that the keys are
	issuer   string                // of a discovery document
}

// checkKeyURL fetches what a key URL would fetch, and saves nothing. Only the
// URL is needed; what else is given must be valid.
func (a *API) checkKeyURL(w http.ResponseWriter, r request) error {
	integratorID, members, err := a.posted(w, r)
	if err != nil {
		return err
	}
	c := a.keyURLs()
	k := c.fresh(integratorID)
	in, err := merge(members, c.input(k), c.input(k))
	if err != nil {
		return err
	}
	if err := leaveOut(c.apply(in, k), members["issuer"] == nil, "/issuer"); err != nil {
		return err
	}
	if err := a.service.mayPointTo(r.caller, "", k.URL, "/url"); err != nil {
		return err
	}
	if err := a.limitChecks(r, integratorID); err != nil {
		return err
	}
	view, err := a.fetchNow(r, k.Source())
	if err != nil {
		return err
	}
	return a.answer(w, http.StatusOK, view)
}

// fetchNow tells what is behind a URL that may be fetched.
func (a *API) fetchNow(r request, source registry.KeySource) (checkView, error) {
	view := checkView{Keys: []keyView{}, Warnings: []registry.KeyWarning{}}
	document, err := a.config.Keys.Check(r.Context(), source, r.caller.Operator())
	var failure *registry.KeysUnavailable
	switch {
	case errors.As(err, &failure):
		view.Failure = viewFailure(failure.Word)
		if a.config.Keys.CheckURL(failure.JWKSURI) == nil { // a stranger's text until then
			view.JWKSURI, view.issuer = failure.JWKSURI, failure.Issuer
		}
	case err != nil:
		return view, err
	default:
		view.Format, view.Keys, view.Warnings = document.FoundFormat, viewKeys(document), append(view.Warnings, document.Warnings...)
		view.OK = slices.ContainsFunc(document.Keys, func(key registry.PublishedKey) bool { return key.Problem == "" })
		for i := range view.Keys { // as of now: nobody has seen them before
			view.Keys[i].FirstSeen, view.Keys[i].LastSeen = time.Time{}, time.Time{}
		}
	}
	return view, nil
}

// leaveOut drops the faults of a member that need not be there.
func leaveOut(err error, absent bool, pointer string) error {
	var faults registry.Invalid
	if !absent || !errors.As(err, &faults) {
		return err
	}
	return slices.DeleteFunc(faults, func(f registry.FieldError) bool { return f.Pointer == pointer }).Err()
}

// refreshKeys fetches the keys of a key URL now. Removed keys stop here before
// the answer leaves, and on every replica as soon as it sees the change.
func (a *API) refreshKeys(w http.ResponseWriter, r request) error {
	ctx := r.Context()
	integratorID, err := a.service.resolve(ctx, r.caller, mux.Vars(r.Request)["integrator"])
	if err != nil {
		return err
	}
	k, err := a.healthyKeyURL(ctx, integratorID, mux.Vars(r.Request)["key_url"])
	if err != nil {
		return err
	}
	if err := mustHaveNoBody(r); err != nil {
		return err
	}
	if err := a.limitChecks(r, integratorID); err != nil {
		return err
	}
	audited, err := r.audited("refresh", "key-urls", integratorID, k.ID, nil, nil)
	if err != nil {
		return err
	}
	return a.answered(audited, w, func(ctx context.Context) error {
		_, err := a.config.Keys.Refresh(ctx, k.Source())
		return a.service.changed(ctx, err)
	}, func(ctx context.Context, inside registry.Inside) (reply, error) {
		if inside == nil {
			inside = a.config.Store
		}
		documents, err := inside.KeyDocuments(ctx, integratorID) // a refresh changes nothing else
		if err != nil {
			return reply{}, err
		}
		if document, ok := documents[k.Source()]; ok {
			k.document = &document
		}
		return newReply(http.StatusOK, "", etag(&k.Object), a.viewKeyURL(k))
	})
}

func (a *API) limitChecks(r request, integratorID string) error {
	quota := checkQuota{integratorID, r.caller.Operator(), checksPerMinute}
	if quota.operator {
		quota.perMinute = operatorChecksPerMinute
	}
	if wait := a.checks.take(quota, a.config.Now()); wait > 0 {
		return tooManyError{wait, quota.perMinute, "fetches on demand"}
	}
	return nil
}

// tooManyError refuses what may be done again after a while.
type tooManyError struct {
	wait      time.Duration
	perMinute int
	what      string
}

// Error implements error.
func (e tooManyError) Error() string {
	return fmt.Sprintf("too many %s: you have %d a minute for this integrator, try again after Retry-After", e.what, e.perMinute)
}

// ownURL tells whether a URL is on the host and port of this server, by either
// scheme: its keys are no integrator's, and a fetch of itself could go round in
// circles.
func ownURL(issuer, raw string) bool {
	place := func(raw string) (host string, port int) {
		u, err := url.Parse(raw)
		if err != nil {
			return "", 0
		}
		port, err = strconv.Atoi(u.Port())
		if err != nil || port == 80 {
			port = 443
		}
		return strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), port
	}
	ownHost, ownPort := place(issuer)
	host, port := place(raw)
	return host == ownHost && port == ownPort
}
