package panel

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"time"

	"github.com/cambio-oauth/cambio/admin"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
	"github.com/cambio-oauth/cambio/registry"
)

// signInPage is what the page to sign in shows.
type signInPage struct {
	Provider string // its host; empty: none
	Next     string
	ClientID string
	Fault    string
	Setup    bool // there is no operator yet
}

func (p *Panel) showSignIn(v *visit) (page, error) {
	if v.person != nil {
		return seeOther(localTarget(v.URL.Query().Get("next"))), nil
	}
	return p.signInPage(v, signInPage{Next: localTarget(v.URL.Query().Get("next"))})
}

func (p *Panel) signInPage(v *visit, show signInPage) (page, error) {
	if p.config.Provider != nil {
		show.Provider = p.config.Provider.Host()
	}
	var err error
	if show.Setup, err = p.config.Setup.Needed(v.Context()); err != nil {
		return page{}, err
	}
	answer := page{template: "signin", title: "Sign in", data: show}
	switch show.Fault {
	case "":
	case ErrTooMany.Error():
		answer.status = http.StatusTooManyRequests
	default:
		answer.status = http.StatusUnauthorized
	}
	return answer, nil
}

// signIn takes the credentials of a client: the operator's, which are there when
// the identity provider is not, or those of an integrator's client with
// integrator.admin.
func (p *Panel) signIn(v *visit) (page, error) {
	clientID, secret := v.PostForm.Get("client_id"), v.PostForm.Get("client_secret")
	claims, err := p.config.SignIn(v.Request, clientID, secret)
	for _, theirs := range []error{ErrCredentials, ErrNotAllowed, ErrTooMany} {
		if errors.Is(err, theirs) {
			return p.signInPage(v, signInPage{Next: localTarget(v.PostForm.Get("next")), ClientID: clientID, Fault: theirs.Error()})
		}
	}
	if err != nil {
		return page{}, err
	}
	cookie, err := p.begin(v.Request, personOf(claims))
	return page{redirect: localTarget(v.PostForm.Get("next")), cookies: []*http.Cookie{cookie}}, err
}

func (p *Panel) signOut(v *visit) (page, error) {
	if err := p.end(v.Request); err != nil {
		return page{}, err
	}
	return page{redirect: Prefix + "sign-in", cookies: []*http.Cookie{p.cookie(p.cookieName(), "", -1)}}, nil
}

// setupLifetime is how long a link for setting up works.
const setupLifetime = time.Hour

// SetupLink gives a link with which the first operator is made. It works until
// there is one, for an hour, on every replica; nothing of it is stored.
func SetupLink(issuer string, key []byte, now time.Time) string {
	return issuer + Prefix + "setup?token=" + setupToken(key, now.Add(setupLifetime))
}

func setupToken(key []byte, expires time.Time) string {
	moment := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	return base64.RawURLEncoding.EncodeToString(append(moment, setupMAC(key, moment)...))
}

func setupMAC(key, moment []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("set up\x00"))
	mac.Write(moment)
	return mac.Sum(nil)
}

// validSetup tells whether a link was made by this server and is not too old.
func (p *Panel) validSetup(token string) bool {
	data, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(data) != 8+sha256.Size || !hmac.Equal(data[8:], setupMAC(p.config.Key, data[:8])) {
		return false
	}
	return p.config.Now().Unix() < int64(binary.BigEndian.Uint64(data[:8]))
}

func deadLink() *problem {
	return &problem{
		Status: http.StatusForbidden, Title: "This link is dead",
		Detail: "It is older than an hour, or somebody has set the server up already. Sign in as the operator; or, where there is none, print another link on the server with: cambio panel setup-link",
	}
}

// maySetUp holds a link against the rules: it is good once.
func (p *Panel) maySetUp(v *visit, token string) error {
	needed, err := p.config.Setup.Needed(v.Context())
	if err == nil && (!needed || !p.validSetup(token)) {
		err = deadLink()
	}
	return err
}

// showSetup does nothing yet: programs that look at links in mails and chats
// must not use this one up.
func (p *Panel) showSetup(v *visit) (page, error) {
	token := v.URL.Query().Get("token")
	return page{template: "setup", title: "Set up", data: token}, p.maySetUp(v, token)
}

// setUp makes the operator's client, shows its secret this once and signs in.
func (p *Panel) setUp(v *visit) (page, error) {
	if err := p.maySetUp(v, v.PostForm.Get("token")); err != nil {
		return page{}, err
	}
	clientID, secret, err := p.config.Setup.Create(v.Context())
	if errors.Is(err, registry.ErrConflict) {
		return page{}, deadLink()
	}
	if err != nil {
		return page{}, err
	}
	answer := page{
		template: "secret", title: "You are the operator",
		data: secretPage{
			Lead:     "This is the client you sign in with from now on, here and at the admin API. The secret is shown this once: what is stored is a hash of it.",
			ClientID: clientID, Secret: secret, Continue: Prefix, Label: "To the overview",
		},
	}
	// Whatever fails from here on, the secret is shown: there is no other.
	claims, err := p.config.SignIn(v.Request, clientID, secret)
	if err == nil {
		person := personOf(claims)
		var cookie *http.Cookie
		if cookie, err = p.begin(v.Request, person); err == nil {
			v.person, answer.cookies = &person, []*http.Cookie{cookie}
		}
	}
	if err != nil {
		p.config.Log.WarnContext(v.Context(), "the first operator is made and could not be signed in", "error", err)
	}
	return answer, nil
}

// personOf is who signed in as a client.
func personOf(claims *accesstoken.Claims) Person {
	person := Person{Name: claims.ClientID, Claims: claims, Role: RoleOperator, Caller: admin.Caller{ClientID: claims.ClientID, IntegratorID: claims.IntegratorID}}
	if claims.IntegratorID != "" {
		person.Role = RoleIntegrator
	}
	return person
}

// secretPage shows a secret, once.
type secretPage struct {
	Lead, ClientID, Secret, Continue, Label string

	Snippets []snippet
}
