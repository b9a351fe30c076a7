package admin

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/cambio-oauth/cambio/admin/presets"
	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/jws"
	"github.com/cambio-oauth/cambio/registry"
)

// shownToken is the body of key-urls/from-token.
type shownToken struct {
	SubjectToken string `json:"subject_token"`
}

// proposalView is a key URL that a token seems to need. Nothing of it is saved,
// and nothing of the token verified.
type proposalView struct {
	Preset     string            `json:"preset"`
	KeyURL     *presets.KeyURL   `json:"key_url,omitempty"`
	Registered []string          `json:"registered"` // ids of key URLs that have the issuer already
	Missing    []presets.Missing `json:"missing"`
	Warnings   []presets.Warning `json:"warnings"`
	Keys       *foundKeys        `json:"keys,omitempty"` // absent when nothing was fetched
	Refused    string            `json:"refused,omitempty"`
}

// foundKeys is what the proposed URL holds now.
type foundKeys struct {
	checkView
	KeyFound *bool `json:"kid_found,omitempty"` // absent when the token or the keys have no kid
}

// proposeKeyURL reads a token and proposes the key URL for tokens like it. The
// token is neither kept nor verified: whoever shows it decides.
func (a *API) proposeKeyURL(w http.ResponseWriter, r request) error {
	integratorID, members, err := a.posted(w, r)
	if err != nil {
		return err
	}
	in, err := merge(members, shownToken{}, shownToken{})
	if err != nil {
		return err
	}
	token, err := a.readToken(in.SubjectToken)
	if err != nil {
		return err
	}
	proposal := a.config.Presets.Propose(token, a.config.SubjectAudiences)
	view := &proposalView{
		Preset: proposal.Preset, KeyURL: &proposal.KeyURL, Registered: []string{},
		Missing: proposal.Missing, Warnings: proposal.Warnings, Refused: proposal.Refused,
	}
	if view.Refused != "" {
		view.KeyURL = nil
		return a.answer(w, http.StatusOK, view)
	}
	if err := a.findRegistered(r.Context(), integratorID, view); err != nil {
		return err
	}
	if err := a.findKeys(r, integratorID, token, proposal.Discovery, view); err != nil {
		return err
	}
	a.wantBinding(view)
	return a.answer(w, http.StatusOK, view)
}

// wantBinding asks for what a key URL needs whose keys sign everybody's tokens,
// and the preset, if there is one, did not know.
func (a *API) wantBinding(view *proposalView) {
	shared, anyAudience := a.config.Keys.SharedKeys(view.KeyURL.URL)
	rules := registry.TokenRules{RequiredClaims: view.KeyURL.RequiredClaims, Audiences: view.KeyURL.Audiences, AudienceClaims: []string{"aud"}}
	if shared && !rules.Bound(nil) && (anyAudience || !rules.AudienceBound()) {
		view.missing("required_claims", "The keys there sign the tokens of everybody at this provider. Require a claim with values that are yours: of an owner, a tenant, a project.")
	}
}

// readToken reads a token as the grant does, but for aud, which it may lack: to
// say so is what it is shown for.
func (a *API) readToken(raw string) (presets.Token, error) {
	refuse := func(code, detail string) (presets.Token, error) {
		return presets.Token{}, registry.Invalid{{Pointer: "/subject_token", Code: code, Detail: detail}}
	}
	signed, err := jws.ParseJWT(raw, grants.MaxSubjectTokenBytes)
	switch parts := strings.Split(raw[:min(len(raw), grants.MaxSubjectTokenBytes)], "."); {
	case raw == "":
		return refuse("invalid", "want a token that your identity provider issued")
	case errors.Is(err, jws.ErrTooLarge):
		return refuse("too_large", fmt.Sprintf("the token has %d bytes, and at most %d are accepted", len(raw), grants.MaxSubjectTokenBytes))
	case strings.ContainsAny(raw, " \t\r\n\"'"):
		return refuse("malformed", `there are spaces, line breaks or quotes: give the token alone, without "Bearer"`)
	case len(parts) == 5 && isObject(parts[0]):
		return refuse("encrypted", "this token is encrypted (JWE, five parts): only whom the provider encrypted it for can read it. Let the provider give signed access tokens for this API")
	case len(parts) != 3 || !isObject(parts[0]):
		return refuse("opaque", "this looks like an opaque token and is no JWT: there was no audience (or resource) in the login request, or the provider gives JWTs only when a setting of the app says so (ZITADEL, Okta's org server)")
	case errors.Is(err, jws.ErrHeaderNotAllowed):
		return refuse("header_not_allowed", err.Error()+": crit, b64, zip, enc and cty change what is signed or said")
	case err != nil:
		return refuse("malformed", err.Error())
	}
	token := presets.Token{Algorithm: signed.Algorithm, KeyID: signed.KeyID, Type: signed.Type, Claims: signed.Members}
	issuer, named := signed.Members.Text("iss")
	switch {
	case signed.Members["iss"] == nil:
		return refuse("claim_missing", "the token has no iss: without it nobody knows whose it is")
	case !named || !registry.ValidAudience(issuer) || strings.Contains(issuer, "#"):
		return refuse("claim_invalid", "want an iss of 1 to 512 bytes of printable ASCII without spaces and #")
	case issuer == a.config.Issuer:
		return refuse("own_issuer", "this server's own tokens are never subject tokens: show one of your identity provider's")
	}
	return token, nil
}

// isObject tells whether a part of a token is a JSON object, as headers are.
func isObject(part string) bool {
	text, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && strings.HasPrefix(strings.TrimSpace(string(text)), "{")
}

// findRegistered tells which key URLs of the integrator have the issuer, or one
// that people take for the same.
func (a *API) findRegistered(ctx context.Context, integratorID string, view *proposalView) error {
	keyURLs, err := a.config.Store.KeyURLs(ctx, integratorID, registry.Page{Limit: registry.MaxKeyURLs})
	if err != nil {
		return err
	}
	issuer := view.KeyURL.Issuer
	for _, k := range keyURLs {
		switch {
		case k.Issuer == issuer:
			view.Registered = append(view.Registered, k.ID)
		case registry.IssuerKey(k.Issuer) == registry.IssuerKey(issuer):
			view.warn("issuer_near_miss", "The key URL "+k.ID+" has the issuer "+k.Issuer+", which reads almost like this token's. They are compared byte by byte, so it never accepts this token.")
		}
	}
	return nil
}

// findKeys looks for the keys where the preset or a discovery document says.
// The issuer is a stranger's text, so what it leads to is held to the rules of
// key URLs before anything is fetched.
func (a *API) findKeys(r request, integratorID string, token presets.Token, discovery string, view *proposalView) error {
	if discovery != "" {
		found, err := a.fetchAllowed(r, integratorID, discovery, view)
		if err != nil || found == nil {
			return err
		}
		if found.JWKSURI != "" && found.issuer != view.KeyURL.Issuer { // OpenID Connect Discovery §4.3, RFC 8414 §3.3
			view.missing("url", "The discovery document at "+discovery+" is of the issuer "+grants.Shown(found.issuer)+", not of this token's: its keys are not used. Look for the issuer in the provider's settings.")
			return nil
		}
		if view.KeyURL.URL = found.JWKSURI; found.JWKSURI == "" {
			view.Keys = &foundKeys{checkView: *found}
			view.missing("url", "There is no discovery document with a usable jwks_uri at "+discovery+". Look for jwks_uri, or JWKS, in the provider's documentation.")
			return nil
		}
	}
	if view.KeyURL.URL == "" {
		return nil
	}
	found, err := a.fetchAllowed(r, integratorID, view.KeyURL.URL, view)
	if err != nil {
		return err
	}
	if found == nil {
		view.KeyURL.URL = ""
		return nil
	}
	view.Keys = &foundKeys{checkView: *found}
	view.lookFor(token.KeyID, a.config.Presets.Preset(view.Preset).Help("key_not_found"))
	return nil
}

// fetchAllowed fetches from a URL, unless the caller may not have it fetched:
// then it is a missing one, and nil.
func (a *API) fetchAllowed(r request, integratorID, url string, view *proposalView) (*checkView, error) {
	err := a.config.Keys.CheckURL(url)
	if err == nil && !r.caller.Operator() {
		err = a.config.Keys.CheckPublicURL(url)
	}
	if err == nil && ownURL(a.config.Issuer, url) {
		err = errors.New("this server's own keys are no identity provider's")
	}
	if err != nil {
		view.missing("url", "The token leads to "+url+", which may not be fetched: "+err.Error()+".")
		return nil, nil
	}
	if err := a.limitChecks(r, integratorID); err != nil {
		return nil, err
	}
	found, err := a.fetchNow(r, registry.KeySource{IntegratorID: integratorID, URL: url, Format: registry.FormatAuto})
	return &found, err
}

// lookFor tells whether a usable key has the token's kid.
func (v *proposalView) lookFor(kid, help string) {
	named := func(key keyView) bool { return key.KeyID != "" }
	if kid == "" || !slices.ContainsFunc(v.Keys.Keys, named) {
		return
	}
	found := slices.ContainsFunc(v.Keys.Keys, func(key keyView) bool { return key.KeyID == kid && key.Problem == "" })
	v.Keys.KeyFound = &found
	if !found {
		v.warn("key_not_found", "No usable key there has the token's kid. "+help)
	}
}

func (v *proposalView) missing(member, detail string) {
	v.Missing = append(v.Missing, presets.Missing{Member: member, Detail: detail})
}

func (v *proposalView) warn(code, detail string) {
	v.Warnings = append(v.Warnings, presets.Warning{Code: code, Detail: detail})
}
