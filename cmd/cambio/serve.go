package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/mux"

	"github.com/cambio-oauth/cambio/admin"
	"github.com/cambio-oauth/cambio/admin/panel"
	"github.com/cambio-oauth/cambio/admin/presets"
	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/grants/clientassertion"
	"github.com/cambio-oauth/cambio/grants/condition"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
	"github.com/cambio-oauth/cambio/handlers"
	"github.com/cambio-oauth/cambio/keys/remote"
	"github.com/cambio-oauth/cambio/keys/signing"
	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

// Time limits of a connection, against those who hold one for nothing.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 15 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 12 << 10 // net/http takes 4 KiB more
	drainTimeout      = 20 * time.Second
	janitorInterval   = time.Minute
	keyUsesInterval   = time.Minute
	rotationInterval  = time.Minute
	rehashInterval    = 10 * time.Second
	countsInterval    = 5 * time.Second
	crowdInterval     = 5 * time.Second
)

// program is a running server.
type program struct {
	config    *config
	log       *slog.Logger
	store     *storage.Store
	keys      *remote.Source
	ring      *signing.Ring
	directory *directory
	explainer explainer
	exchanges *storage.ExchangeLog
	tally     *storage.Tally
	metrics   *metrics
	load      func() (atOnce, most int, turnedAway int64)
	tracing   *tracing // nil when off
	public    net.Listener
	ops       net.Listener // nil when off
	servers   []*http.Server
	stop      context.CancelFunc
	workers   sync.WaitGroup
	draining  chan struct{}
	ending    sync.Once
}

// start builds the program from the ground up and begins to serve. What it
// took it gives back when it fails.
func start(ctx context.Context, c *config, log *slog.Logger) (_ *program, err error) {
	log = slog.New(requestLog{log.Handler()})
	p := &program{config: c, log: log, draining: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if err := p.listen(); err != nil {
		return nil, err
	}
	if err := c.ensureSecretKey(log); err != nil {
		return nil, err
	}
	if err := p.openStore(ctx); err != nil {
		return nil, err
	}
	if err := p.openKeys(ctx); err != nil {
		return nil, err
	}
	if err := p.openDirectory(ctx); err != nil {
		return nil, err
	}
	p.exchanges, p.tally = storage.NewExchangeLog(p.store, c.exchangeLog, log), storage.NewTally(p.store, log)
	p.metrics = newMetrics(p.keys.States, p.exchanges.Dropped, func() bool {
		_, err := p.ready(context.Background())
		return err == nil
	})
	if p.tracing, err = newTracing(ctx, c.trustedProxies, log); err != nil {
		return nil, err
	}
	router, err := p.router()
	if err != nil {
		return nil, err
	}
	p.metrics.watchLoad(p.load)
	p.metrics.watchConfiguration(p.directory.Snapshot)
	p.run(router)
	log.Info("cambio is ready", "issuer", c.issuer, "listen", p.public.Addr().String(), "version", buildVersion())
	return p, nil
}

func (p *program) listen() (err error) {
	if p.public, err = net.Listen("tcp", p.config.listen); err != nil {
		return fmt.Errorf("CAMBIO_LISTEN: %w", err)
	}
	p.config.finish(p.public.Addr())
	if p.config.opsListen != "" {
		if p.ops, err = net.Listen("tcp", p.config.opsListen); err != nil {
			return fmt.Errorf("CAMBIO_OPS_LISTEN: %w", err)
		}
	}
	return nil
}

func (p *program) openStore(ctx context.Context) (err error) {
	if p.store, err = storage.Open(ctx, p.config.databaseURL); err != nil {
		return fmt.Errorf("CAMBIO_DATABASE_URL: %w", err)
	}
	if err := p.store.Serve(ctx); err != nil {
		return fmt.Errorf("CAMBIO_DATABASE_URL: %w", err)
	}
	applied, err := p.store.Migrate(ctx)
	if err != nil {
		return err
	}
	if len(applied) > 0 {
		p.log.Info("applied migrations", "migrations", applied)
	}
	return nil
}

func (p *program) openKeys(ctx context.Context) error {
	p.keys = remote.New(remote.Config{StepAside: handlers.StepAside, Allow: p.config.keyURLAllow, Memory: p.store, Now: p.config.now, Log: p.log})
	ring, err := openRing(ctx, p.config, p.store)
	if err != nil {
		return err
	}
	p.ring = ring
	resealed, err := ring.Reseal(ctx)
	if resealed > 0 {
		p.log.Info("sealed signing keys under the present secret key", "count", resealed)
	}
	return err
}

// openRing is also what `cambio keys` uses.
func openRing(ctx context.Context, c *config, store *storage.Store) (*signing.Ring, error) {
	sealer, err := c.sealer("signing keys")
	if err != nil {
		return nil, err
	}
	return signing.Open(ctx, signing.Config{Store: store, Sealer: sealer, Algorithm: c.signingAlg, Now: c.now})
}

func (p *program) openDirectory(ctx context.Context) error {
	pepper, err := p.config.derive("client secrets")
	if err != nil {
		return err
	}
	previous, err := p.config.derivePrevious("client secrets")
	if err != nil {
		return err
	}
	if err := p.ensureOperator(ctx, pepper, peppers(previous)); err != nil {
		return fmt.Errorf("CAMBIO_OPERATOR_CLIENT_ID: %w", err)
	}
	if err := p.store.ReserveAudiences(ctx, p.config.subjectAudiences); err != nil {
		return fmt.Errorf("CAMBIO_SUBJECT_AUDIENCES: two integrators have a clientless key URL for one issuer and audience: %w", err)
	}
	loaded, err := storage.NewDirectory(ctx, p.store)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	conditions, err := condition.NewCompiler()
	if err != nil {
		return err
	}
	p.directory = &directory{
		conditions: conditions, previous: peppers(previous),
		Directory: loaded, store: p.store, pepper: pepper, now: p.config.now, issuer: p.config.issuer,
		subjectAudiences: p.config.subjectAudiences, defaultAudience: p.config.defaultAudience, keys: p.keys,
	}
	return nil
}

func (p *program) ensureOperator(ctx context.Context, pepper registry.Pepper, previous []registry.Pepper) error {
	if p.config.operatorID == "" {
		return nil
	}
	for _, old := range previous { // the same secret under another pepper is no other secret
		if err := p.store.RehashClientSecret(ctx, p.config.operatorID, old.Hash(p.config.operatorSecret), pepper.Hash(p.config.operatorSecret)); err != nil {
			return err
		}
	}
	return p.store.EnsureOperator(ctx, &registry.Client{
		ClientID: p.config.operatorID, Owner: registry.OwnerOperator, Name: "operator", AuthMethod: registry.AuthBasic,
		GrantTypes: []string{grants.ClientCredentials}, Scopes: []string{grants.ScopeAdmin}, Status: registry.Active,
		Secrets: []registry.ClientSecret{{Hash: pepper.Hash(p.config.operatorSecret)}},
	})
}

// router joins the doors.
func (p *program) router() (http.Handler, error) {
	c := p.config
	cursorKey, err := c.derive("cursors")
	if err != nil {
		return nil, err
	}
	verifier := &accesstoken.Verifier{Issuer: c.issuer, Keys: p.ring, Now: c.now, Recent: &accesstoken.Recent{}}
	exchanger := &tokenexchange.Exchanger{
		Issuer: c.issuer, Policies: p.directory, Targets: p.directory, Replays: p.store, MaxLifetime: c.accessTokenTTL, Now: c.now,
		Verifier: &assertion.Verifier{Keys: p.keys, Now: c.now},
	}
	p.explainer = explainer{p.directory, exchanger}
	router := mux.NewRouter().SkipClean(true)
	p.tracing.routes(router)
	doors := handlers.New(handlers.Config{
		Issuer:      c.issuer,
		Clients:     p.directory,
		Assertions:  &clientassertion.Verifier{Audiences: handlers.Audiences(c.issuer), Replays: assertions{p.store}, Now: c.now},
		Exchange:    exchanger.Exchange,
		Targets:     p.directory,
		Minter:      &accesstoken.Minter{Issuer: c.issuer, Signer: p.ring, Now: c.now},
		Verifier:    verifier,
		Alive:       alive(p.store),
		Revoke:      p.store.Revoke,
		Record:      record(p.exchanges, p.tally),
		JWKS:        p.ring.JWKS,
		Algorithms:  p.ring.Algorithms,
		Sign:        p.ring.Sign,
		MaxLifetime: c.accessTokenTTL,
		Now:         c.now,
		Log:         p.log,
		Observe:     p.observe,
		Proxies:     c.trustedProxies,
	})
	doors.Mount(router)
	p.load = doors.Load
	known, err := presets.Load()
	if err != nil {
		return nil, err
	}
	answers, err := c.sealer("kept answers")
	if err != nil {
		return nil, err
	}
	api := p.administration(verifier, known, cursorKey, answers)
	api.Mount(router)
	pages, err := p.panel(api, verifier, router)
	if err != nil {
		return nil, err
	}
	router.PathPrefix(panel.Prefix).Handler(pages)
	router.Path(strings.TrimSuffix(panel.Prefix, "/")).Handler(http.RedirectHandler(panel.Prefix, http.StatusSeeOther))
	return router, nil
}

// administration makes the admin API.
func (p *program) administration(verifier *accesstoken.Verifier, known *presets.Catalogue, cursorKey []byte, answers *signing.Sealer) *admin.API {
	c := p.config
	return admin.New(admin.Config{
		Store:            adminStore{p.store},
		Issuer:           c.issuer,
		Verifier:         verifier,
		Alive:            alive(p.store),
		Audiences:        []string{c.issuer, c.defaultAudience},
		SubjectAudiences: c.subjectAudiences,
		Keys:             adminKeys{p.keys},
		SigningKeys:      p.ring,
		Explain:          p.explainer.Explain,
		Presets:          known,
		CheckCondition: func(text string) ([]string, error) {
			compiled, err := p.directory.conditions.Compile(text)
			if err != nil {
				return nil, err
			}
			return compiled.Claims(), nil
		},
		Pepper:    p.directory.pepper,
		Answers:   answers,
		CursorKey: cursorKey,
		Changed:   p.changed,
		Now:       c.now,
		Log:       p.log,
	})
}

func (p *program) observe(ctx context.Context, e handlers.Event) {
	p.metrics.observe(e)
	p.tracing.observe(ctx, e)
}

// heard is what a replica does when another one changed something: a key that
// signs from now on is to be published here, too.
func (p *program) heard(ctx context.Context) {
	p.changed(ctx)
	if err := p.ring.Reload(ctx); err != nil {
		p.log.ErrorContext(ctx, "the signing keys could not be read", "error", err)
	}
}

// changed makes this replica know of a change before the answer leaves.
func (p *program) changed(ctx context.Context) {
	if err := p.directory.Refresh(ctx); err != nil {
		p.log.ErrorContext(ctx, "a change is stored but not yet known to this replica", "error", err)
	}
}

// run starts the workers and the servers.
func (p *program) run(router http.Handler) {
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.every(ctx, storage.PollInterval, "read the configuration", p.directory.Refresh)
	p.every(ctx, storage.SurveyInterval, "look for the primary", func(ctx context.Context) error {
		p.store.Survey(ctx)
		return nil
	})
	p.workers.Go(func() { p.store.Listen(ctx, p.log, p.heard) })
	p.every(ctx, signing.ReloadInterval, "read the signing keys", p.ring.Reload)
	p.every(ctx, remote.RenewInterval, "renew the keys of key URLs", p.renewKeys)
	p.every(ctx, keyUsesInterval, "note which keys were used", p.keys.SaveUses)
	p.every(ctx, rotationInterval, "rotate the signing keys on schedule", p.rotateWhenDue)
	p.every(ctx, rehashInterval, "hash client secrets under the present secret key", p.directory.rehash)
	p.every(ctx, countsInterval, "store counts of exchanges", func(ctx context.Context) error {
		_ = p.tally.Flush(ctx) // which says itself what is wrong, once
		return nil
	})
	p.every(ctx, crowdInterval, "tell of requests that were turned away", p.tellOfCrowds())
	p.every(ctx, gcTuneInterval, "tune the collection of garbage", tuneGC)
	p.every(ctx, janitorInterval, "delete what has expired", p.clean)
	p.serve(p.public, identified(p.config.trustedProxies, p.tracing.requests(p.leaveNoConnection(closeAmbiguous(router)))))
	if p.ops != nil {
		p.serve(p.ops, p.opsHandler())
	}
}

// renewKeys leaves alone what was deleted, moved or disabled.
func (p *program) renewKeys(ctx context.Context) error {
	snapshot, err := p.directory.Snapshot()
	if err != nil {
		return nil // said by whoever reads the configuration
	}
	return p.keys.Renew(ctx, snapshot.HasKeySource)
}

// closeAmbiguous ends the connection after a request with Transfer-Encoding:
// with a Content-Length beside it, a proxy may see another end of it than we
// do (RFC 9112 §6.1).
func closeAmbiguous(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

func (p *program) serve(listener net.Listener, handler http.Handler) {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	p.servers = append(p.servers, server)
	p.workers.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("a listener failed", "address", listener.Addr().String(), "error", err)
		}
	})
}

// every does something again and again until ctx ends.
func (p *program) every(ctx context.Context, interval time.Duration, what string, do func(context.Context) error) {
	p.workers.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if err := do(ctx); err != nil && ctx.Err() == nil {
					p.log.Error("could not "+what, "error", err)
				}
			}
		}
	})
}
