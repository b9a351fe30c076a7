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
	// Holds tells, at each request of somebody whom it signed in, whether that still
	// holds. A *Refused is said to them once, and signs them out.
	Holds(ctx context.Context, person *Person) error
}

// Refused says why somebody may not sign in, and what to do.
type Refused struct {
	Detail string
	Cause  error // for the log; nil when that says no more
}

// Error implements error.
func (r *Refused) Error() string { return r.Detail }

// Unwrap lets errors.Is look at what lies below.
func (r *Refused) Unwrap() error { return r.Cause }

// pendingLifetime is how long somebody may take at the identity provider.
const pendingLifetime = 10 * time.Minute

// maxNextBytes leaves room in a cookie, which browsers drop past 4 KiB.
const maxNextBytes = 1024

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
	next := localTarget(v.URL.Query().Get("next"))
	if len(next) > maxNextBytes {
		next = Prefix
	}
	data, err := json.Marshal(pendingSignIn{pending, next, p.config.Now().Add(pendingLifetime)})
	if err != nil {
		return page{}, err
	}
	sealed, err := p.seal(data)
	return page{redirect: target, cookies: []*http.Cookie{p.pendingCookie(sealed, int(pendingLifetime.Seconds()))}}, err
}

func providerDown() *problem {
	return &problem{
		Status: http.StatusBadGateway, Title: "The identity provider cannot be used",
		Detail: "It does not answer, or not as it should; the log of the server says which. Try again in a moment. An operator can sign in with the client_id and secret of the operator's client meanwhile.",
	}
}

// finishProvider takes the answer of the identity provider, from the browser
// that was sent there and from no other (login CSRF, RFC 9700 §4.7). Whatever
// comes of it, the browser forgets what it kept: the same answer does not sign
// in twice, even if the provider took a code twice.
func (p *Panel) finishProvider(v *visit) (page, error) {
	if p.config.Provider == nil {
		return p.notFound(v)
	}
	forget := p.pendingCookie("", -1)
	next, person, err := p.answered(v)
	if err != nil {
		return page{cookies: []*http.Cookie{forget}}, err
	}
	session, err := p.begin(v.Request, *person)
	return page{redirect: next, cookies: []*http.Cookie{forget, session}}, err
}

// answered gives who came back from the identity provider, and where they
// wanted to go.
func (p *Panel) answered(v *visit) (next string, person *Person, err error) {
	var pending pendingSignIn
	cookie, err := v.Cookie(p.pendingCookie("", 0).Name)
	if err == nil {
		var data []byte
		if data, err = p.unseal(cookie.Value); err == nil {
			err = json.Unmarshal(data, &pending)
		}
	}
	if err != nil || !p.config.Now().Before(pending.Until) {
		return "", nil, &problem{Status: http.StatusForbidden, Title: "Signing in took too long", Detail: "Or it was begun in another browser, or this is its answer a second time. Begin again."}
	}
	person, err = p.config.Provider.Finish(v.Context(), pending.Pending, v.URL.Query())
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		p.config.Log.WarnContext(v.Context(), "somebody could not sign in by the panel's identity provider", "detail", refused.Detail, "error", refused.Cause)
		return "", nil, &problem{Status: http.StatusForbidden, Title: "You cannot sign in", Detail: refused.Detail}
	}
	if err != nil {
		p.config.Log.ErrorContext(v.Context(), "the panel's identity provider failed", "error", err)
		return "", nil, providerDown()
	}
	return pending.Next, person, nil
}

// held tells whether what somebody signed in with at the identity provider
// still holds; where none is configured any more, it does not.
func (p *Panel) held(ctx context.Context, person *Person) (bool, error) {
	if p.config.Provider == nil {
		return false, nil
	}
	err := p.config.Provider.Holds(ctx, person)
	return err == nil, err
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
