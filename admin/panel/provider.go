package panel

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// Provider signs people in, by OpenID Connect.
type Provider interface {
	// Host names the provider for people.
	Host() string
	// Start gives where to send the browser, and what it has to bring back.
	Start(ctx context.Context) (target string, pending []byte, err error)
	// Finish tells who somebody is by the answer of the provider. A *Refused is
	// said to them as it stands.
	Finish(ctx context.Context, pending []byte, answer url.Values) (*Person, error)
}

// Refused says why somebody may not sign in, and what to do.
type Refused struct{ Detail string }

// Error implements error.
func (r *Refused) Error() string { return r.Detail }

// pendingLifetime is how long somebody may take at the identity provider.
const pendingLifetime = 10 * time.Minute

// pendingSignIn is what the browser keeps meanwhile, sealed.
type pendingSignIn struct {
	Pending []byte    `json:"pending"`
	Next    string    `json:"next"`
	Until   time.Time `json:"until"`
}

func (p *Panel) pendingCookie(value string, maxAge int) *http.Cookie {
	return p.cookie(p.cookieName()+"-sign-in", value, maxAge)
}

// startProvider sends the browser to the identity provider. It is a link and no
// form: the policy lets forms go nowhere else.
func (p *Panel) startProvider(v *visit) (page, error) {
	if p.config.Provider == nil {
		return p.notFound(v)
	}
	target, pending, err := p.config.Provider.Start(v.Context())
	if err != nil {
		p.config.Log.ErrorContext(v.Context(), "the panel's identity provider cannot be used", "error", err)
		return page{}, providerDown()
	}
	data, err := json.Marshal(pendingSignIn{pending, localTarget(v.URL.Query().Get("next")), p.config.Now().Add(pendingLifetime)})
	if err != nil {
		return page{}, err
	}
	sealed, err := p.seal(data)
	return page{redirect: target, cookie: p.pendingCookie(sealed, int(pendingLifetime.Seconds()))}, err
}

func providerDown() *problem {
	return &problem{
		Status: http.StatusBadGateway, Title: "The identity provider does not answer",
		Detail: "Try again in a moment. An operator can sign in with the client_id and secret of the operator's client meanwhile.",
	}
}

// finishProvider takes the answer of the identity provider, from the browser
// that was sent there and from no other (login CSRF, RFC 9700 §4.7).
func (p *Panel) finishProvider(v *visit) (page, error) {
	if p.config.Provider == nil {
		return p.notFound(v)
	}
	var pending pendingSignIn
	cookie, err := v.Cookie(p.pendingCookie("", 0).Name)
	if err == nil {
		var data []byte
		if data, err = p.unseal(cookie.Value); err == nil {
			err = json.Unmarshal(data, &pending)
		}
	}
	if err != nil || !p.config.Now().Before(pending.Until) {
		return page{}, &problem{Status: http.StatusForbidden, Title: "Signing in took too long", Detail: "Or it was begun in another browser. Begin again."}
	}
	person, err := p.config.Provider.Finish(v.Context(), pending.Pending, v.URL.Query())
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		return page{}, &problem{Status: http.StatusForbidden, Title: "You cannot sign in", Detail: refused.Detail}
	}
	if err != nil {
		p.config.Log.ErrorContext(v.Context(), "the panel's identity provider failed", "error", err)
		return page{}, providerDown()
	}
	session, err := p.begin(v.Request, *person)
	return page{redirect: pending.Next, cookie: session}, err
}

func (p *Panel) sealer() (cipher.AEAD, error) {
	block, err := aes.NewCipher(p.config.Key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (p *Panel) seal(data []byte) (string, error) {
	sealer, err := p.sealer()
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealer.Seal(nil, nil, data, []byte("pending sign-in"))), nil
}

func (p *Panel) unseal(text string) ([]byte, error) {
	sealer, err := p.sealer()
	if err != nil {
		return nil, err
	}
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return sealer.Open(nil, nil, data, []byte("pending sign-in"))
}
