package admin

import (
	"context"
	"net/http"
	"slices"
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

type signingKeysView struct {
	Items []signingKeyView `json:"items"`
}

func viewSigningKeys(keys []registry.SigningKey) signingKeysView {
	view := signingKeysView{Items: []signingKeyView{}}
	for _, k := range keys {
		view.Items = append(view.Items, signingKeyView{KeyID: k.ID, Algorithm: k.Algorithm, State: k.State, CreatedAt: k.CreatedAt, RetiredAt: k.RetiredAt})
	}
	return view
}

// listSigningKeys answers the keys that sign this server's tokens, or did.
func (a *API) listSigningKeys(w http.ResponseWriter, r request) error {
	if !r.caller.Operator() {
		return registry.ErrNotFound
	}
	return a.answer(w, http.StatusOK, viewSigningKeys(a.config.SigningKeys.Keys()))
}

// rotateSigningKeys makes the next key sign.
func (a *API) rotateSigningKeys(w http.ResponseWriter, r request) error {
	if !r.caller.Operator() {
		return registry.ErrNotFound
	}
	if err := mustHaveNoBody(r); err != nil {
		return err
	}
	before := a.config.SigningKeys.Keys()
	ctx, err := r.audited("rotate", "signing-keys", "", "", viewSigningKeys(before), nil)
	if err != nil {
		return err
	}
	return a.answered(ctx, w, a.config.SigningKeys.RotateWhenPublished, func(ctx context.Context, inside registry.Inside) (reply, error) {
		if inside == nil {
			return newReply(http.StatusOK, "", "", viewSigningKeys(a.config.SigningKeys.Keys()))
		}
		keys, err := inside.SigningKeys(ctx)
		keys = slices.DeleteFunc(keys, func(k registry.SigningKey) bool { // retired so long ago that they verify nothing
			return !k.RetiredAt.IsZero() && !slices.ContainsFunc(before, func(known registry.SigningKey) bool { return known.ID == k.ID })
		})
		if err != nil {
			return reply{}, err
		}
		return newReply(http.StatusOK, "", "", viewSigningKeys(keys))
	})
}
