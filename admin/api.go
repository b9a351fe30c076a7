package admin

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/gorilla/mux"

	"github.com/cambio-oauth/cambio/registry"
)

// prefix is where the API is mounted.
const prefix = "/admin/v1"

//go:embed openapi.yaml
var openAPI []byte

// API is the JSON skin.
type API struct {
	config   Config
	service  *service
	checks   checkLimits
	explains checkLimits
	reading  *readings
	routes   func() http.Handler // what Ask asks
}

// New makes the API.
func New(config Config) *API {
	a := &API{config: config, service: &service{config: config}, reading: newReadings()}
	a.routes = sync.OnceValue(a.routed)
	return a
}

// Mount adds the API to a router.
func (a *API) Mount(router *mux.Router) {
	routes := router.PathPrefix(prefix).Subrouter()
	routes.NotFoundHandler = http.HandlerFunc(a.notFound)
	routes.HandleFunc("/openapi.yaml", a.document).Methods(http.MethodGet)
	routes.HandleFunc("/openapi.yaml", a.wrongMethod(http.MethodGet))
	mount(a, routes, (*API).integrators)
	a.route(routes, "/provider-presets", methods{http.MethodGet: a.listPresets})
	a.route(routes, "/failing-key-urls", methods{http.MethodGet: a.listFailing})
	a.mountKeyChecks(routes) // before the collection, of which "check" would be an id
	mount(a, routes, (*API).keyURLs)
	mount(a, routes, (*API).clients)
	a.route(routes, "/integrators/{integrator}/clients/{client_id}/secret", methods{http.MethodPost: a.once(a.addSecret)})
	mount(a, routes, (*API).lockHolders)
	mount(a, routes, (*API).scopeRules)
	mount(a, routes, (*API).resourceServers)
	a.mountLinks(routes)
	a.route(routes, "/signing-keys", methods{http.MethodGet: a.listSigningKeys})
	a.route(routes, "/signing-keys/rotate", methods{http.MethodPost: a.once(a.rotateSigningKeys)})
	a.route(routes, "/audit-events", methods{http.MethodGet: a.listAuditEvents})
	a.route(routes, "/exchange-statistics", methods{http.MethodGet: a.allStatistics})
	a.route(routes, "/integrators/{integrator}/exchange-statistics", methods{http.MethodGet: a.integratorStatistics})
	a.route(routes, "/integrators/{integrator}/exchanges", methods{http.MethodGet: a.listExchanges})
	a.route(routes, "/integrators/{integrator}/exchanges/explain", methods{http.MethodPost: a.explainExchange})
	a.route(routes, "/integrators/{integrator}/tokens/revoke", methods{http.MethodPost: a.once(a.revokeTokens)})
}

// methods are what a path can do.
type methods map[string]func(w http.ResponseWriter, r request) error

// route adds a path. Other methods are answered here: mux forgets that a path
// matched when a later route shares its beginning.
func (a *API) route(routes *mux.Router, path string, can methods) {
	for method, next := range can {
		routes.HandleFunc(path, a.handle(next)).Methods(method)
	}
	routes.HandleFunc(path, a.wrongMethod(strings.Join(slices.Sorted(maps.Keys(can)), ", ")))
}

func (a *API) wrongMethod(allowed string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		secure(w)
		w.Header().Set("Allow", allowed)
		a.fail(w, r, errMethod)
	}
}

func (a *API) document(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(openAPI)
}

func (a *API) notFound(w http.ResponseWriter, r *http.Request) {
	secure(w)
	a.fail(w, r, registry.ErrNotFound)
}

// request is one authenticated request.
type request struct {
	*http.Request
	caller Caller
}

// handle authenticates, answers errors, and survives a panic.
func (a *API) handle(next func(w http.ResponseWriter, r request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		secure(w)
		defer func() {
			if cause := recover(); cause != nil {
				if cause == http.ErrAbortHandler {
					panic(cause) // part of the answer is out: only breaking off can tell
				}
				a.fail(w, r, fmt.Errorf("panic: %T", cause))
			}
		}()
		caller, err := a.caller(r)
		switch {
		case err != nil:
		case !utf8.ValidString(r.URL.Path) || strings.ContainsRune(r.URL.Path, 0):
			err = registry.ErrNotFound // PostgreSQL stores no such text, and must not be asked for it
		default:
			err = next(w, request{Request: r, caller: caller})
		}
		if err != nil {
			a.fail(w, r, err)
		}
	}
}

// secure sets what every answer has: answers hold secrets, and none of them is
// a page.
func secure(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}

func (a *API) answer(w http.ResponseWriter, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
	return nil
}

// revocation is the body of tokens/revoke.
type revocation struct {
	Subject string `json:"subject"` // empty: all of them
}

// maxSubjectBytes has room for an issuer, "#" and a sub.
const maxSubjectBytes = 1024

// revokeTokens kills all tokens of an integrator, or of one of its subjects.
func (a *API) revokeTokens(w http.ResponseWriter, r request) error {
	ctx := r.Context()
	integratorID, err := a.service.resolve(ctx, r.caller, mux.Vars(r.Request)["integrator"])
	if err != nil {
		return err
	}
	var what revocation
	if r.ContentLength != 0 {
		members, err := readMembers(w, r.Request)
		if err != nil {
			return err
		}
		if what, err = merge(members, revocation{}, revocation{}); err != nil {
			return err
		}
		var faults registry.Invalid
		named := members["subject"] != nil && string(members["subject"]) != "null"
		faults.Add(!named || what.Subject != "" && len(what.Subject) <= maxSubjectBytes, "/subject", "invalid", "want 1 to 1024 bytes, or no subject for all tokens")
		if err := faults.Err(); err != nil {
			return err
		}
	}
	if ctx, err = r.audited("revoke_tokens", "integrators", integratorID, integratorID, nil, func() (string, any) { return "", what }); err != nil {
		return err
	}
	return a.answered(ctx, w, func(ctx context.Context) error {
		if what.Subject != "" {
			return a.config.Store.RevokeSubjectTokens(ctx, integratorID, what.Subject)
		}
		return a.service.changed(ctx, a.config.Store.RevokeIntegratorTokens(ctx, integratorID))
	}, func(context.Context, registry.Inside) (reply, error) { return reply{Status: http.StatusNoContent}, nil })
}
