package panel

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/cambio-oauth/cambio/admin"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
	"github.com/cambio-oauth/cambio/registry"
)

// Prefix is where the panel is mounted.
const Prefix = "/panel/"

// Config is what the panel needs.
type Config struct {
	// Ask has the admin API serve a request of somebody.
	Ask func(r *http.Request, caller admin.Caller) admin.Answer
	// Sessions keeps who is signed in.
	Sessions Sessions
	// SignIn checks the credentials of a client as the token endpoint does. An
	// error that is ErrCredentials or ErrNotAllowed is the client's.
	SignIn func(r *http.Request, clientID, secret string) (*accesstoken.Claims, error)
	// Alive tells whether what somebody signed in with at a moment still holds.
	Alive func(ctx context.Context, claims *accesstoken.Claims, since time.Time) (bool, error)
	// Setup makes the first operator.
	Setup Setup
	// Provider signs people in, nil when none is configured.
	Provider Provider
	// Issuer is the server's, below which the panel is.
	Issuer string
	// Key authenticates links for setting up, and seals what a browser keeps
	// while its person is at the identity provider. 32 bytes.
	Key     []byte
	Version string
	Now     func() time.Time
	Log     *slog.Logger
}

// Sessions keeps who is signed in. Errors are registry's.
type Sessions interface {
	CreateSession(ctx context.Context, session registry.Session) error
	Session(ctx context.Context, tokenHash []byte) (*registry.Session, error)
	TouchSession(ctx context.Context, tokenHash []byte, at time.Time) error
	EndSession(ctx context.Context, tokenHash []byte) error
}

// Setup makes the first operator where there is none.
type Setup interface {
	// Needed tells whether there is no operator, and never was one.
	Needed(ctx context.Context) (bool, error)
	// Create makes one. ErrConflict: somebody else did.
	Create(ctx context.Context) (clientID, secret string, err error)
}

// Errors of signing in.
var (
	ErrCredentials = errors.New("the client_id or the secret is wrong")
	ErrNotAllowed  = errors.New("this client has neither the scope admin nor integrator.admin")
	ErrTooMany     = errors.New("too many attempts from this address: wait a minute")
)

//go:embed templates
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// Panel is the panel.
type Panel struct {
	config Config
	pages  map[string]*template.Template
	assets map[string]asset // by path
	secure bool             // the issuer is https
	doors  http.Handler
}

// New makes the panel.
func New(config Config) (*Panel, error) {
	issuer, err := url.Parse(config.Issuer)
	if err != nil {
		return nil, err
	}
	p := &Panel{config: config, secure: issuer.Scheme == "https"}
	if p.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if p.pages, err = p.loadPages(); err != nil {
		return nil, err
	}
	// ADM-05: forms of other sites. No bypass patterns.
	guard := http.NewCrossOriginProtection()
	if err := guard.AddTrustedOrigin(issuer.Scheme + "://" + issuer.Host); err != nil {
		return nil, err
	}
	guard.SetDenyHandler(http.HandlerFunc(p.crossOrigin))
	p.doors = guard.Handler(p.routes())
	return p, nil
}

// ServeHTTP implements http.Handler.
func (p *Panel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.secureHeaders(w.Header())
	defer p.survive(w, r)
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	p.doors.ServeHTTP(w, r)
}

// maxFormBytes has room for a subject token beside what else is typed.
const maxFormBytes = 128 << 10

// routes are all pages. {integrator} is "me" for an integrator's people: whose
// pages they see comes from their session, never from the address.
func (p *Panel) routes() http.Handler {
	mux := http.NewServeMux()
	open := func(pattern string, serve action) { mux.HandleFunc(pattern, p.door(serve, false)) }
	own := func(pattern string, serve action) { mux.HandleFunc(pattern, p.door(serve, true)) }
	mux.HandleFunc("GET /panel/assets/{name}", p.serveAsset)
	open("GET /panel/sign-in", p.showSignIn)
	open("POST /panel/sign-in", p.signIn)
	open("POST /panel/sign-out", p.signOut)
	open("GET /panel/setup", p.showSetup)
	open("POST /panel/setup", p.setUp)
	open("GET /panel/oidc/start", p.startProvider)
	open("GET /panel/oidc/callback", p.finishProvider)
	open("GET /panel/", p.notFound)
	own("GET /panel/{$}", p.overview)
	own("GET /panel/integrators", p.listIntegrators)
	own("GET /panel/integrators/new", p.newIntegrator)
	own("POST /panel/integrators/new", p.createIntegrator)
	own("GET /panel/lock-holders", p.lockHolders)
	own("POST /panel/lock-holders", p.createLockHolder)
	own("POST /panel/lock-holders/{lock_holder}/delete", p.deleteLockHolder)
	own("GET /panel/resource-servers", p.resourceServers)
	own("POST /panel/resource-servers", p.createResourceServer)
	own("POST /panel/resource-servers/{server}/delete", p.deleteResourceServer)
	own("GET /panel/signing-keys", p.signingKeys)
	own("POST /panel/signing-keys/rotate", p.rotateSigningKeys)
	own("GET /panel/audit", p.auditEvents)
	p.integratorRoutes(func(pattern string, serve action) {
		own(pattern, p.within(serve))
	})
	return mux
}

// integratorRoutes are the pages of one integrator.
func (p *Panel) integratorRoutes(own func(pattern string, serve action)) {
	const at = "/panel/integrators/{integrator}"
	own("GET "+at, p.integratorHome)
	own("POST "+at, p.updateIntegrator)
	own("POST "+at+"/delete", p.deleteIntegrator)
	own("POST "+at+"/revoke", p.revokeTokens)
	own("GET "+at+"/connect", p.chooseProvider)
	own("POST "+at+"/connect/check", p.checkProvider)
	own("POST "+at+"/connect/token", p.readToken)
	own("GET "+at+"/key-urls", p.keyURLs)
	own("GET "+at+"/key-urls/new", p.newKeyURL)
	own("POST "+at+"/key-urls/new", p.createKeyURL)
	own("GET "+at+"/key-urls/{key_url}", p.keyURL)
	own("GET "+at+"/key-urls/{key_url}/edit", p.editKeyURL)
	own("POST "+at+"/key-urls/{key_url}/edit", p.updateKeyURL)
	own("POST "+at+"/key-urls/{key_url}/refresh", p.refreshKeyURL)
	own("POST "+at+"/key-urls/{key_url}/delete", p.deleteKeyURL)
	own("GET "+at+"/explain", p.showExplain)
	own("POST "+at+"/explain", p.explain)
	own("GET "+at+"/clients", p.clients)
	own("GET "+at+"/clients/new", p.newClient)
	own("POST "+at+"/clients/new", p.createClient)
	own("GET "+at+"/clients/{client}", p.client)
	own("POST "+at+"/clients/{client}", p.updateClient)
	own("POST "+at+"/clients/{client}/secret", p.addSecret)
	own("POST "+at+"/clients/{client}/delete", p.deleteClient)
	own("GET "+at+"/entitlements", p.entitlements)
	own("POST "+at+"/entitlements/link", p.link)
	own("POST "+at+"/entitlements/preview", p.previewLoss)
	own("POST "+at+"/entitlements/withdraw", p.withdraw)
	own("POST "+at+"/entitlements/rules", p.createScopeRule)
	own("GET "+at+"/exchanges", p.exchanges)
}
