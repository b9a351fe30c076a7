package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/permissions"
	"github.com/cambio-oauth/cambio/registry"
)

// service is the use cases: the rules that hold whichever skin a change comes
// through.
type service struct {
	config Config
}

// grantTypes are those a client may register.
func grantTypes() []string {
	return []string{grants.ClientCredentials, grants.TokenExchange, grants.JWTBearer}
}

// resolve gives the integrator a caller means: "me" is its own, and to an
// integrator no other exists.
func (s *service) resolve(ctx context.Context, caller Caller, named string) (string, error) {
	switch {
	case caller.Operator():
		if named == "" || named == "me" {
			return "", registry.ErrNotFound
		}
		_, err := s.config.Store.Integrator(ctx, named)
		return named, err
	case named == "me", named == caller.IntegratorID:
		return caller.IntegratorID, nil
	}
	return "", registry.ErrNotFound
}

// changed ends a change: this replica knows of it before anybody is told that
// it happened.
func (s *service) changed(ctx context.Context, err error) error {
	if err == nil {
		s.config.Changed(ctx)
	}
	return err
}

// terms: an operator may let two integrators share an issuer, nobody else.
func (s *service) terms(caller Caller) registry.KeyURLTerms {
	return registry.KeyURLTerms{Audiences: s.config.SubjectAudiences, SharedIssuer: caller.Operator()}
}

func (s *service) checkKeyURL(k *registry.KeyURL) error {
	var faults registry.Invalid
	_ = errors.As(k.Validate(), &faults)
	faults.Add(k.Issuer != s.config.Issuer, "/issuer", "own_issuer", "this server's own tokens are never subject tokens")
	faults.Add(!ownURL(s.config.Issuer, k.URL), "/url", "own_url", "this server's own keys are no identity provider's")
	if err := s.config.Keys.CheckURL(k.URL); err != nil {
		faults.Add(false, "/url", "invalid", err.Error())
	}
	s.checkCondition(k.Condition, "/condition", &faults)
	if changed, err := k.Audited.Apply(k.TokenRules); k.Audited != nil && err == nil {
		s.checkCondition(changed.Condition, "/change/condition", &faults)
	}
	return faults.Err()
}

func (s *service) checkCondition(c registry.Condition, pointer string, faults *registry.Invalid) {
	if c == "" {
		return
	}
	if _, err := s.config.CheckCondition(string(c)); err != nil {
		faults.Add(false, pointer, "invalid", err.Error())
	}
}

// mustBeBound: where one set of keys signs the tokens of every tenant of a
// provider, something else has to tell them apart (RFC 8725 §3.8, §3.9).
func (s *service) mustBeBound(k *registry.KeyURL) error {
	shared, anyAudience := s.config.Keys.SharedKeys(k.URL)
	if !shared || k.Status != registry.Active {
		return nil
	}
	var condition []string
	if k.Condition != "" {
		condition, _ = s.config.CheckCondition(string(k.Condition)) // which was found sound
	}
	var faults registry.Invalid
	if !k.Bound(condition) {
		faults.Add(!anyAudience, "/required_claims", "shared_keys",
			"these keys sign the tokens of everybody at this provider, who may choose any audience: require a claim with values that are yours (of an owner, a tenant, a project), or set a condition on such a claim")
		faults.Add(anyAudience || k.AudienceBound(), "/audiences", "shared_keys",
			"these keys sign the tokens of everybody at this provider: set audiences that no other tenant can get, require a claim with values that are yours, or set a condition on such a claim")
	}
	return faults.Err()
}

// mayPointTo: networks that the operator allows (CAMBIO_KEY_URL_ALLOW) are for
// URLs that an operator registers. What is there already may stay.
func (s *service) mayPointTo(caller Caller, was, url, pointer string) error {
	if caller.Operator() || url == was {
		return nil
	}
	var faults registry.Invalid
	if err := s.config.Keys.CheckPublicURL(url); err != nil {
		faults.Add(false, pointer, "invalid", err.Error())
	}
	return faults.Err()
}

// createClient sets the secret, which exists nowhere else from then on.
func (s *service) createClient(ctx context.Context, caller Caller, c *shownClient) (err error) {
	if err := s.checkClient(caller, &registry.Client{}, &c.Client); err != nil {
		return err
	}
	if !c.Public() && c.AuthMethod != registry.AuthKey {
		if c.secret, err = registry.NewClientSecret(); err != nil {
			return err
		}
		c.Secrets = []registry.ClientSecret{{Hash: s.config.Pepper.Hash(c.secret)}}
	}
	return s.changed(ctx, s.config.Store.CreateClient(ctx, &c.Client, clientTerms(caller)))
}

func (s *service) updateClient(ctx context.Context, caller Caller, was, c *registry.Client) error {
	if err := s.checkClient(caller, was, c); err != nil {
		return err
	}
	var faults registry.Invalid
	faults.Add(was.Public() == c.Public(), "/token_endpoint_auth_method", "immutable",
		"a public client (none) cannot become one that authenticates, nor the other way round: create another client")
	if err := faults.Err(); err != nil {
		return err
	}
	return s.changed(ctx, s.config.Store.UpdateClient(ctx, c, clientTerms(caller)))
}

// clientTerms: an integrator gives its clients no more than it is entitled to
// itself, or than an operator gave them: a scope of client credentials passes
// no other check. The store looks, where nothing can change meanwhile.
func clientTerms(caller Caller) registry.ClientTerms {
	return registry.ClientTerms{AnyScope: caller.Operator()}
}

// checkClient holds a client of an integrator against the rules.
func (s *service) checkClient(caller Caller, was, c *registry.Client) error {
	var faults registry.Invalid
	_ = errors.As(c.Validate(grantTypes(), grants.ValidScope), &faults)
	if err := s.checkClientKeys(c, &faults); err != nil {
		return err
	}
	if c.JWKSURI != "" && len(faults) == 0 {
		if err := s.mayPointTo(caller, was.JWKSURI, c.JWKSURI, "/jwks_uri"); err != nil {
			return err
		}
	}
	faults.Add(!slices.Contains(c.Scopes, grants.ScopeAdmin), "/scope", "forbidden_scope", "an integrator's client can never hold admin")
	return faults.Err()
}

// checkClientKeys looks at the keys a client will authenticate with: there must
// be one, and nothing secret among them.
func (s *service) checkClientKeys(c *registry.Client, faults *registry.Invalid) error {
	if c.JWKSURI != "" {
		if err := s.config.Keys.CheckURL(c.JWKSURI); err != nil {
			faults.Add(false, "/jwks_uri", "invalid", err.Error())
		}
		faults.Add(!ownURL(s.config.Issuer, c.JWKSURI), "/jwks_uri", "own_url", "this server's own keys are no client's")
	}
	if c.JWKS == "" {
		return nil
	}
	if err := s.config.Keys.CheckKeys([]byte(c.JWKS)); err != nil {
		faults.Add(false, "/jwks", "invalid", err.Error())
		return nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(c.JWKS)); err != nil {
		return err
	}
	c.JWKS = compact.String()
	return nil
}

// addSecret gives a client a second secret; the others end after the overlap.
func (s *service) addSecret(ctx context.Context, c *shownClient, overlap time.Duration) (err error) {
	if c.Public() || c.AuthMethod == registry.AuthKey {
		return registry.Conflict("a client with the method " + c.AuthMethod + " has no secret")
	}
	if c.secret, err = registry.NewClientSecret(); err != nil {
		return err
	}
	hash := registry.ClientSecret{Hash: s.config.Pepper.Hash(c.secret)}
	c.state.Secrets, err = s.config.Store.AddClientSecret(ctx, c.IntegratorID, c.ClientID, hash, overlap)
	return s.changed(ctx, err)
}

// createResourceServer makes a resource server and the client it introspects
// with, and sets that client's secret.
func (s *service) createResourceServer(ctx context.Context, r *shownServer) (err error) {
	if err := r.Validate(); err != nil {
		return err
	}
	if r.secret, err = registry.NewClientSecret(); err != nil {
		return err
	}
	client := &registry.Client{
		Owner: registry.OwnerResourceServer, Name: r.Name, AuthMethod: registry.AuthBasic, Status: registry.Active,
		Secrets: []registry.ClientSecret{{Hash: s.config.Pepper.Hash(r.secret)}},
	}
	return s.changed(ctx, s.config.Store.CreateResourceServer(ctx, &r.ResourceServer, client))
}

func checkLockHolder(h *registry.LockHolder) error {
	var faults registry.Invalid
	faults.Add(registry.ValidName(h.Name), "/name", "invalid", "want 1 to 1024 bytes of printable text")
	faults.Add(permissions.ValidCountry(h.CountryISO), "/country_iso", "invalid", "want two capital letters (ISO 3166-1 alpha-2)")
	faults.Add(permissions.ValidOrganization(h.OrganizationID), "/organization_id", "invalid", "want 4 to 1024 of A-Z a-z 0-9 _ -")
	faults.Add(permissions.ValidSuffix(h.OrganizationIDSuffix), "/organization_id_suffix", "invalid", "want at most 1024 of A-Z a-z 0-9 _ -")
	return faults.Err()
}
