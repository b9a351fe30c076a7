package admin

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

type keyURLInput struct {
	Issuer            string          `json:"issuer"`
	URL               string          `json:"url"`
	Format            string          `json:"format"`
	Algorithms        []string        `json:"algorithms"`
	Audiences         []string        `json:"audiences"`
	PermissionsClaims claimNames      `json:"permissions_claim"`
	PermissionsFormat string          `json:"permissions_format"`
	AllowIDToken      bool            `json:"allow_id_token"`
	AllowIDJAG        bool            `json:"allow_id_jag"`
	Clientless        bool            `json:"clientless"`
	SingleUse         bool            `json:"single_use"`
	MaxLifetime       int64           `json:"max_lifetime"` // seconds
	Condition         json.RawMessage `json:"condition"`
	Status            registry.Status `json:"status"`
}

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

func (a *API) keyURLs() collection[healthyKeyURL, keyURLInput] {
	store := a.config.Store
	return collection[healthyKeyURL, keyURLInput]{
		path: "/integrators/{integrator}/key-urls",
		id:   "key_url",
		fresh: func(integratorID string) *healthyKeyURL {
			return &healthyKeyURL{KeyURL: registry.KeyURL{
				IntegratorID: integratorID, Format: registry.FormatAuto, Algorithms: []string{"RS256"}, Audiences: []string{},
				PermissionsClaims: []string{registry.DefaultPermissions}, PermissionsFormat: registry.FormatArray, MaxLifetime: registry.DefaultMaxLifetime, Status: registry.Active,
			}}
		},
		input: keyURLMembers,
		apply: func(in keyURLInput, k *healthyKeyURL) error {
			k.Issuer, k.URL, k.Format = in.Issuer, in.URL, in.Format
			k.PermissionsClaims, k.PermissionsFormat = in.PermissionsClaims, in.PermissionsFormat
			k.Algorithms, k.Audiences = in.Algorithms, in.Audiences
			k.AllowIDJAG = in.AllowIDJAG
			k.AllowIDToken, k.Clientless, k.SingleUse, k.Status = in.AllowIDToken, in.Clientless, in.SingleUse, in.Status
			k.MaxLifetime = seconds(in.MaxLifetime)
			// A rule that is not enforced must not be accepted.
			var faults registry.Invalid
			faults.Add(string(in.Condition) == "null", "/condition", "not_supported", "conditions are not enforced by this version")
			if err := faults.Err(); err != nil {
				return err
			}
			return a.service.checkKeyURL(&k.KeyURL)
		},
		view: a.viewKeyURL,
		key:  func(k *healthyKeyURL) (string, *registry.Object) { return k.ID, &k.Object },
		list: func(ctx context.Context, integratorID string, page registry.Page) ([]healthyKeyURL, error) {
			list, err := store.KeyURLs(ctx, integratorID, page)
			if err != nil {
				return nil, err
			}
			return a.withHealth(ctx, integratorID, list)
		},
		get: a.healthyKeyURL,
		create: func(ctx context.Context, caller Caller, k *healthyKeyURL) (any, error) {
			if err := a.service.mayPointTo(caller, "", k.URL, "/url"); err != nil {
				return nil, err
			}
			err := a.service.changed(ctx, store.CreateKeyURL(ctx, &k.KeyURL, a.service.terms(caller)))
			return a.viewKeyURL(k), err
		},
		update: func(ctx context.Context, caller Caller, was, k *healthyKeyURL) error {
			if err := a.service.mayPointTo(caller, was.URL, k.URL, "/url"); err != nil {
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
	}
}

func keyURLMembers(k *healthyKeyURL) keyURLInput {
	in := keyURLInput{
		Issuer: k.Issuer, URL: k.URL, Format: k.Format, Algorithms: k.Algorithms, Audiences: k.Audiences,
		PermissionsClaims: k.PermissionsClaims, PermissionsFormat: k.PermissionsFormat, AllowIDToken: k.AllowIDToken, AllowIDJAG: k.AllowIDJAG, Clientless: k.Clientless, SingleUse: k.SingleUse,
		MaxLifetime: int64(k.MaxLifetime / time.Second), Condition: json.RawMessage("null"), Status: k.Status,
	}
	if in.Audiences == nil {
		in.Audiences = []string{}
	}
	return in
}

// claimNames is one name, or a list of them.
type claimNames []string

// MarshalJSON implements json.Marshaler.
func (n claimNames) MarshalJSON() ([]byte, error) {
	if len(n) == 1 {
		return json.Marshal(n[0])
	}
	return json.Marshal([]string(n))
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *claimNames) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*n = claimNames{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(n))
}

// seconds gives a duration that no number can overflow into a valid one.
func seconds(n int64) time.Duration {
	const most = int64(registry.MaxMaxLifetime/time.Second) + 1
	return time.Duration(min(max(n, -1), most)) * time.Second
}
