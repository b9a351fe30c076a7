package admin

import (
	"context"
	"encoding/json"

	"github.com/cambio-oauth/cambio/registry"
)

type keyURLInput struct {
	Issuer string `json:"issuer"`
	URL    string `json:"url"`
	Format string `json:"format"`
	registry.TokenRules
	Clientless bool            `json:"clientless"`
	SingleUse  bool            `json:"single_use"`
	Mode       string          `json:"mode"`
	Change     json.RawMessage `json:"change"`
	Status     registry.Status `json:"status"`
}

// neverNull: the default mode puts a change into force.
func (keyURLInput) neverNull() []string { return []string{"mode"} }

// Modes of a key URL: its rules are in force, and in audit a change to them is
// on trial beside them.
const (
	modeEnforce = "enforce"
	modeAudit   = "audit"
)

type keyURLView struct {
	objectView
	keyURLInput
	Health healthView `json:"health"`
}

// healthyKeyURL is a key URL with what is known of its keys.
type healthyKeyURL struct {
	registry.KeyURL
	document *registry.KeyDocument // nil: nobody fetched it yet
}

func (a *API) viewKeyURL(k *healthyKeyURL) any {
	return keyURLView{viewOf(k.Object), keyURLMembers(k), viewHealth(k.document, a.config.Now())}
}

func (a *API) healthyKeyURL(ctx context.Context, integratorID, id string) (*healthyKeyURL, error) {
	k, err := a.config.Store.KeyURL(ctx, integratorID, id)
	if err != nil {
		return nil, err
	}
	list, err := a.withHealth(ctx, integratorID, []registry.KeyURL{*k})
	if err != nil {
		return nil, err
	}
	return &list[0], nil
}

func (a *API) withHealth(ctx context.Context, integratorID string, keyURLs []registry.KeyURL) ([]healthyKeyURL, error) {
	documents, err := a.config.Store.KeyDocuments(ctx, integratorID)
	if err != nil {
		return nil, err
	}
	list := make([]healthyKeyURL, len(keyURLs))
	for i, k := range keyURLs {
		list[i].KeyURL = k
		if document, ok := documents[k.Source()]; ok {
			list[i].document = &document
		}
	}
	return list, nil
}

func (a *API) listKeyURLs(ctx context.Context, integratorID string, page registry.Page) ([]healthyKeyURL, error) {
	list, err := a.config.Store.KeyURLs(ctx, integratorID, page)
	if err != nil {
		return nil, err
	}
	return a.withHealth(ctx, integratorID, list)
}

func (a *API) keyURLsAt(ctx context.Context, integratorID string, key map[string]string) ([]healthyKeyURL, error) {
	list, err := a.config.Store.KeyURLsAt(ctx, integratorID, key["issuer"], key["url"])
	if err != nil {
		return nil, err
	}
	return a.withHealth(ctx, integratorID, list)
}

func (a *API) keyURLs() collection[healthyKeyURL, keyURLInput] {
	store := a.config.Store
	return collection[healthyKeyURL, keyURLInput]{
		path:  "/integrators/{integrator}/key-urls",
		id:    "key_url",
		fresh: freshKeyURL,
		input: keyURLMembers,
		apply: func(in keyURLInput, k *healthyKeyURL) error {
			k.Issuer, k.URL, k.Format, k.TokenRules = in.Issuer, in.URL, in.Format, in.TokenRules
			k.Clientless, k.SingleUse, k.Status = in.Clientless, in.SingleUse, in.Status
			if err := applyMode(in, &k.KeyURL); err != nil {
				return err
			}
			return a.service.checkKeyURL(&k.KeyURL)
		},
		view: a.viewKeyURL,
		key:  func(k *healthyKeyURL) (string, *registry.Object) { return k.ID, &k.Object },
		list: a.listKeyURLs,
		get:  a.healthyKeyURL,
		create: func(ctx context.Context, caller Caller, k *healthyKeyURL) error {
			if err := a.service.mayPointTo(caller, "", k.URL, "/url"); err != nil {
				return err
			}
			if err := a.service.mustBeBound(&k.KeyURL); err != nil {
				return err
			}
			return a.service.changed(ctx, store.CreateKeyURL(ctx, &k.KeyURL, a.service.terms(caller)))
		},
		update: func(ctx context.Context, caller Caller, was, k *healthyKeyURL) error {
			if err := a.service.mayPointTo(caller, was.URL, k.URL, "/url"); err != nil {
				return err
			}
			if err := a.service.mustBeBound(&k.KeyURL); err != nil {
				return err
			}
			terms := a.service.terms(caller)
			terms.SharedIssuer = terms.SharedIssuer || k.Issuer == was.Issuer // an operator let it be
			if k.Source() != was.Source() {
				k.document = nil // of other keys
			}
			return a.service.changed(ctx, store.UpdateKeyURL(ctx, &k.KeyURL, terms))
		},
		remove: func(ctx context.Context, integratorID, id string) error {
			return store.DeleteKeyURL(ctx, integratorID, id, registry.KeyURLTerms{Audiences: a.config.SubjectAudiences})
		},
		natural: []string{"issuer", "url"},
		named:   a.keyURLsAt,
		// Or PUT would put a change into force, and do something else when it is
		// sent again.
		blank: func(k *healthyKeyURL) { k.Audited = nil },
	}
}

// freshKeyURL gives the defaults.
func freshKeyURL(integratorID string) *healthyKeyURL {
	return &healthyKeyURL{KeyURL: registry.KeyURL{
		IntegratorID: integratorID, Format: registry.FormatAuto, Status: registry.Active,
		TokenRules: registry.TokenRules{
			Algorithms: []string{"RS256"}, AudienceClaims: []string{"aud"},
			PermissionsClaims: []string{registry.DefaultPermissions}, PermissionsFormat: registry.FormatArray,
			MaxLifetime: registry.Seconds(registry.DefaultMaxLifetime),
		},
	}}
}

func keyURLMembers(k *healthyKeyURL) keyURLInput {
	in := keyURLInput{
		Issuer: k.Issuer, URL: k.URL, Format: k.Format, TokenRules: k.TokenRules, Clientless: k.Clientless, SingleUse: k.SingleUse,
		Mode: modeEnforce, Change: json.RawMessage("null"), Status: k.Status,
	}
	if k.Audited != nil {
		in.Mode, in.Change = modeAudit, json.RawMessage(k.Audited)
	}
	if in.Audiences == nil {
		in.Audiences = []string{}
	}
	if in.RequiredClaims == nil {
		in.RequiredClaims = []registry.RequiredClaim{}
	}
	return in
}

// applyMode sets a change on trial, or ends a trial: by enforce the change comes
// into force as it was audited, unless it is taken away by the same request.
func applyMode(in keyURLInput, k *registry.KeyURL) error {
	var faults registry.Invalid
	change := registry.Change(in.Change)
	if s := string(in.Change); s == "null" || s == "{}" {
		change = nil
	}
	switch {
	case in.Mode == modeAudit:
		faults.Add(change != nil, "/change", "required", "want the rules to be tried, such as {\"condition\": \"claims.email_verified == true\"}; mode enforce ends a trial")
		k.Audited = change
	case in.Mode != modeEnforce:
		faults.Add(false, "/mode", "invalid", "want enforce or audit")
	case change == nil:
		k.Audited = nil
	case string(change) != string(k.Audited):
		faults.Add(false, "/change", "invalid", "a change is tried first: set mode to audit; what then comes into force by mode enforce is what was tried")
	default:
		rules, err := change.Apply(k.TokenRules)
		faults.Add(err == nil, "/change", "invalid", "the change does not fit the rules any more")
		k.TokenRules, k.Audited = rules, nil
	}
	return faults.Err()
}
