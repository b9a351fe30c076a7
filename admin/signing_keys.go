package admin

import (
	"net/http"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

// signingKeyView is one of this server's keys, without its private half.
type signingKeyView struct {
	KeyID     string    `json:"kid"`
	Algorithm string    `json:"alg"`
	State     string    `json:"state"` // next, active or retired
	CreatedAt time.Time `json:"created_at"`
	RetiredAt time.Time `json:"retired_at,omitzero"`
}

func (a *API) signingKeys() (view struct {
	Items []signingKeyView `json:"items"`
}) {
	view.Items = []signingKeyView{}
	for _, k := range a.config.SigningKeys.Keys() {
		view.Items = append(view.Items, signingKeyView{KeyID: k.ID, Algorithm: k.Algorithm, State: k.State, CreatedAt: k.CreatedAt, RetiredAt: k.RetiredAt})
	}
	return view
}

// listSigningKeys answers the keys that sign this server's tokens, or did.
func (a *API) listSigningKeys(w http.ResponseWriter, r request) error {
	if !r.caller.Operator() {
		return registry.ErrNotFound
	}
	return a.answer(w, http.StatusOK, a.signingKeys())
}

// rotateSigningKeys makes the next key sign.
func (a *API) rotateSigningKeys(w http.ResponseWriter, r request) error {
	if !r.caller.Operator() {
		return registry.ErrNotFound
	}
	if err := mustHaveNoBody(r); err != nil {
		return err
	}
	ctx, err := r.audited("rotate", "signing-keys", "", "", a.signingKeys(), nil)
	if err != nil {
		return err
	}
	if err := a.config.SigningKeys.RotateWhenPublished(ctx); err != nil {
		return err
	}
	return a.answer(w, http.StatusOK, a.signingKeys())
}
