package admin

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

type keyURLInput struct {
	Issuer           string          `json:"issuer"`
	URL              string          `json:"url"`
	Format           string          `json:"format"`
	Algorithms       []string        `json:"algorithms"`
	Audiences        []string        `json:"audiences"`
	PermissionsClaim string          `json:"permissions_claim"`
	AllowIDToken     bool            `json:"allow_id_token"`
	Clientless       bool            `json:"clientless"`
	SingleUse        bool            `json:"single_use"`
	MaxLifetime      int64           `json:"max_lifetime"` // seconds
	Condition        json.RawMessage `json:"condition"`
	Status           registry.Status `json:"status"`
}

type keyURLView struct {
	objectView
	keyURLInput
}

func (a *API) keyURLs() collection[registry.KeyURL, keyURLInput] {
	store := a.config.Store
	view := func(k *registry.KeyURL) any { return keyURLView{viewOf(k.Object), keyURLMembers(k)} }
	return collection[registry.KeyURL, keyURLInput]{
		path: "/integrators/{integrator}/key-urls",
		id:   "key_url",
		fresh: func(integratorID string) *registry.KeyURL {
			return &registry.KeyURL{
				IntegratorID: integratorID, Format: registry.FormatAuto, Algorithms: []string{"RS256"}, Audiences: []string{},
				PermissionsClaim: registry.DefaultPermissions, MaxLifetime: registry.DefaultMaxLifetime, Status: registry.Active,
			}
		},
		input: keyURLMembers,
		apply: func(in keyURLInput, k *registry.KeyURL) error {
			k.Issuer, k.URL, k.Format, k.PermissionsClaim = in.Issuer, in.URL, in.Format, in.PermissionsClaim
			k.Algorithms, k.Audiences = in.Algorithms, in.Audiences
			k.AllowIDToken, k.Clientless, k.Status = in.AllowIDToken, in.Clientless, in.Status
			k.MaxLifetime = seconds(in.MaxLifetime)
			// A rule that is not enforced must not be accepted.
			var faults registry.Invalid
			faults.Add(!in.SingleUse, "/single_use", "not_supported", "single use of subject tokens is not enforced by this version")
			faults.Add(string(in.Condition) == "null", "/condition", "not_supported", "conditions are not enforced by this version")
			if err := faults.Err(); err != nil {
				return err
			}
			return a.service.checkKeyURL(k)
		},
		view: view,
		key:  func(k *registry.KeyURL) (string, *registry.Object) { return k.ID, &k.Object },
		list: store.KeyURLs,
		get:  store.KeyURL,
		create: func(ctx context.Context, caller Caller, k *registry.KeyURL) (any, error) {
			err := a.service.changed(ctx, store.CreateKeyURL(ctx, k, a.service.terms(caller)))
			return view(k), err
		},
		update: func(ctx context.Context, caller Caller, was, k *registry.KeyURL) error {
			terms := a.service.terms(caller)
			terms.SharedIssuer = terms.SharedIssuer || k.Issuer == was.Issuer // an operator let it be
			return a.service.changed(ctx, store.UpdateKeyURL(ctx, k, terms))
		},
		remove: func(ctx context.Context, integratorID, id string) error {
			return store.DeleteKeyURL(ctx, integratorID, id, registry.KeyURLTerms{Audiences: a.config.SubjectAudiences})
		},
	}
}

func keyURLMembers(k *registry.KeyURL) keyURLInput {
	in := keyURLInput{
		Issuer: k.Issuer, URL: k.URL, Format: k.Format, Algorithms: k.Algorithms, Audiences: k.Audiences,
		PermissionsClaim: k.PermissionsClaim, AllowIDToken: k.AllowIDToken, Clientless: k.Clientless,
		MaxLifetime: int64(k.MaxLifetime / time.Second), Condition: json.RawMessage("null"), Status: k.Status,
	}
	if in.Audiences == nil {
		in.Audiences = []string{}
	}
	return in
}

// seconds gives a duration that no number can overflow into a valid one.
func seconds(n int64) time.Duration {
	const most = int64(registry.MaxMaxLifetime/time.Second) + 1
	return time.Duration(min(max(n, -1), most)) * time.Second
}
