package handlers

import (
	"net/url"
	"runtime"
	"strings"

	"github.com/gorilla/mux"
	"github.com/ory/fosite"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/clientcredentials"
	"github.com/cambio-oauth/cambio/grants/tokenexchange/fositegrant"
)

// Server is the doors.
type Server struct {
	config   Config
	provider *fosite.Fosite
	limits   *limits
	places   *places
}

// New composes fosite with our handlers. Whatever fosite would do by default
// and gets wrong is replaced or refused here; docs/divergences.md lists it.
func New(config Config) *Server {
	cores := runtime.GOMAXPROCS(0)
	s := &Server{config: config, limits: newLimits(config.Now), places: newPlaces(linePerCore*cores, workPerCore*cores)}
	clientOf := func(c fosite.Client) *grants.Client { return &c.(*fositeClient).client.Client }
	exchange := fositegrant.Handler{
		Exchange:   s.exchange,
		Issue:      s.issueForSubject,
		ClientOf:   clientOf,
		Clientless: nothingPresented,
		Now:        config.Now,
	}
	s.provider = fosite.NewOAuth2Provider(nil, &fosite.Config{
		// Set at the start: fosite fills empty fields lazily and without a lock.
		ScopeStrategy:                fosite.ExactScopeStrategy,
		AudienceMatchingStrategy:     fosite.ExactAudienceMatchingStrategy,
		ClientSecretsHasher:          refusingHasher{},
		ClientAuthenticationStrategy: s.authenticate,
		SendDebugMessagesToClients:   false,
		TokenEndpointHandlers: fosite.TokenEndpointHandlers{
			&clientcredentials.Handler{
				Issue:       s.issueForClient,
				ClientOf:    clientOf,
				Targets:     config.Targets,
				MaxLifetime: config.MaxLifetime,
				Now:         config.Now,
			},
			&exchange,
			&fositegrant.JWTBearer{Handler: exchange},
		},
		TokenIntrospectionHandlers: fosite.TokenIntrospectionHandlers{(*introspector)(s)},
		RevocationHandlers:         fosite.RevocationHandlers{(*revoker)(s)},
	})
	return s
}

// Mount adds the doors to a router, below the issuer's path too when it has
// one, so that it does not matter whether a proxy in front cuts the path off.
func (s *Server) Mount(router *mux.Router) {
	path := ""
	if issuer, err := url.Parse(s.config.Issuer); err == nil {
		path = strings.TrimRight(issuer.Path, "/")
	}
	prefixes := []string{""}
	if path != "" {
		prefixes = append(prefixes, path)
	}
	for _, prefix := range prefixes {
		router.Handle(prefix+tokenPath, s.door("token", true, s.token))
		router.Handle(prefix+introspectPath, s.door("introspect", false, s.introspect))
		router.Handle(prefix+revokePath, s.door("revoke", true, s.revoke))
		router.Handle(prefix+"/auth/v1/token", s.door("token", true, s.dialect))
		router.Handle(prefix+"/auth/v1/token/", s.door("token", true, s.dialect))
		router.Handle(prefix+jwksPath, s.document("jwks", s.jwks))
		router.Handle(prefix+"/.well-known/openid-configuration", s.document("metadata", s.metadata))
	}
	// RFC 8414 §3.1: the well-known part goes before the issuer's path.
	router.Handle("/.well-known/oauth-authorization-server"+path, s.document("metadata", s.metadata))
}

// Paths of the endpoints below the issuer.
const (
	tokenPath      = "/oauth2/token"
	introspectPath = "/oauth2/introspect"
	revokePath     = "/oauth2/revoke"
	jwksPath       = "/.well-known/jwks.json"
)

// endpoint gives the URL of a path below the issuer.
func (s *Server) endpoint(path string) string { return endpoint(s.config.Issuer, path) }

func endpoint(issuer, path string) string { return strings.TrimRight(issuer, "/") + path }

// Audiences are the names by which a client assertion may address the server
// of an issuer: the issuer, which is the one to use (rfc7523bis), and the
// endpoints, which most libraries use.
func Audiences(issuer string) []string {
	return []string{issuer, endpoint(issuer, tokenPath), endpoint(issuer, introspectPath), endpoint(issuer, revokePath)}
}
