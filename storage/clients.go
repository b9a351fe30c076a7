package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/registry"
)

type clientRow struct {
	Object           object `gorm:"embedded"`
	ClientID         string
	Owner            string
	IntegratorID     *string
	ResourceServerID *string
	Name             string
	AuthMethod       string
	JWKS             string `gorm:"column:jwks"`
	JWKSURI          string `gorm:"column:jwks_uri"`
	GrantTypes       list
	Scopes           optionalList
	AccessTokenTTL   int64 `gorm:"column:access_token_ttl"`
	AllowedOrigins   list
	Status           string
	Generation       int64
}

// TableName implements gorm's tabler.
func (clientRow) TableName() string { return "clients" }

type secretRow struct {
	ClientID  string
	Hash      []byte
	CreatedAt int64 `gorm:"autoCreateTime:false"`
	ExpiresAt int64
}

// TableName implements gorm's tabler.
func (secretRow) TableName() string { return "client_secrets" }

func (r secretRow) secret() registry.ClientSecret {
	return registry.ClientSecret{Hash: r.Hash, CreatedAt: fromMicros(r.CreatedAt), ExpiresAt: fromMicros(r.ExpiresAt)}
}

func (r clientRow) client() registry.Client {
	return registry.Client{
		Object: r.Object.value(), ClientID: r.ClientID, Owner: registry.Owner(r.Owner),
		IntegratorID: orEmpty(r.IntegratorID), ResourceServerID: orEmpty(r.ResourceServerID),
		Name: r.Name, AuthMethod: r.AuthMethod, JWKS: r.JWKS, JWKSURI: r.JWKSURI, GrantTypes: r.GrantTypes, Scopes: r.Scopes,
		AccessTokenTTL: time.Duration(r.AccessTokenTTL) * time.Second, AllowedOrigins: r.AllowedOrigins,
		Status: registry.Status(r.Status), Generation: r.Generation,
	}
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// CreateClient stores a new client with its secrets. Without a ClientID of its
// own it gets its id as one. ErrConflict: its integrator has too many. Invalid:
// the integrator is not entitled to its scope.
func (s *Store) CreateClient(ctx context.Context, c *registry.Client, terms registry.ClientTerms) error {
	return s.change(ctx, func(tx *gorm.DB) error {
		if err := checkEntitled(tx, c, nil, terms); err != nil {
			return err
		}
		if err := s.insertClient(tx, c); err != nil {
			return err
		}
		var count int64
		if err := tx.Table("clients").Where("integrator_id = ?", c.IntegratorID).Count(&count).Error; err != nil {
			return err
		}
		if count > registry.MaxClients {
			return registry.Conflict(fmt.Sprintf("this integrator has %d clients already, which is the most", registry.MaxClients))
		}
		return nil
	})
}

// checkEntitled lets a client of an integrator have no more than the integrator
// has itself, or than an operator gave the client before. What entitles it can
// only be taken away in another change, which then sees the client.
func checkEntitled(tx *gorm.DB, c *registry.Client, had []string, terms registry.ClientTerms) error {
	if terms.AnyScope {
		return nil
	}
	rules, err := rulesOf(tx, c.IntegratorID)
	if err != nil {
		return err
	}
	for _, scope := range c.Scopes {
		if grants.IsOwnScope(scope) || slices.Contains(had, scope) || rules.Covers(scope) {
			continue
		}
		managed, err := manages(tx, c.IntegratorID, scope)
		if err != nil {
			return err
		}
		if !managed {
			return registry.Invalid{{Pointer: "/scope", Code: "not_entitled",
				Detail: "this integrator manages no such lock holder and has no scope rule for it: an operator must link it, add a rule or set the scope: " + grants.Shown(scope)}}
		}
	}
	return nil
}

func (s *Store) insertClient(tx *gorm.DB, c *registry.Client) error {
	head, err := s.begin(&c.Object)
	if err != nil {
		return err
	}
	if c.ClientID == "" {
		c.ClientID = c.ID
	}
	c.Generation = 1
	row := clientRow{
		Object: head, ClientID: c.ClientID, Owner: string(c.Owner),
		IntegratorID: orNull(c.IntegratorID), ResourceServerID: orNull(c.ResourceServerID),
		Name: c.Name, AuthMethod: c.AuthMethod, JWKS: c.JWKS, JWKSURI: c.JWKSURI, GrantTypes: c.GrantTypes, Scopes: c.Scopes,
		AccessTokenTTL: int64(c.AccessTokenTTL / time.Second), AllowedOrigins: c.AllowedOrigins,
		Status: string(c.Status), Generation: c.Generation,
	}
	if err := tx.Create(&row).Error; err != nil {
		return err
	}
	return s.insertSecrets(tx, c)
}

func (s *Store) insertSecrets(tx *gorm.DB, c *registry.Client) error {
	now := micros(s.now())
	for i, secret := range c.Secrets {
		row := secretRow{ClientID: c.ClientID, Hash: secret.Hash, CreatedAt: now, ExpiresAt: micros(secret.ExpiresAt)}
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		c.Secrets[i].CreatedAt = fromMicros(now)
	}
	return nil
}

// Client reads one client of an integrator, without its secrets.
func (s *Store) Client(ctx context.Context, integratorID, clientID string) (*registry.Client, error) {
	row, err := take[clientRow](s.reader.WithContext(ctx), "integrator_id = ? AND client_id = ?", integratorID, clientID)
	if err != nil {
		return nil, err
	}
	client := row.client()
	return &client, nil
}

// Clients lists the clients of an integrator, without their secrets.
func (s *Store) Clients(ctx context.Context, integratorID string, page registry.Page) ([]registry.Client, error) {
	return find(s.reader.WithContext(ctx), page, clientRow.client, "integrator_id = ?", integratorID)
}

// ClientsNamed finds clients of an integrator by name, which need not be unique.
func (s *Store) ClientsNamed(ctx context.Context, integratorID, name string) ([]registry.Client, error) {
	return findAll(s.reader.WithContext(ctx), clientRow.client, "integrator_id = ? AND name = ?", integratorID, name)
}

// UpdateClient stores a changed client. Disabling it, or another scope, raises
// its generation: a token with a scope that was taken away must not live on.
func (s *Store) UpdateClient(ctx context.Context, c *registry.Client, terms registry.ClientTerms) error {
	was := c.Object
	err := s.change(ctx, func(tx *gorm.DB) error {
		row, err := take[clientRow](tx, "integrator_id = ? AND client_id = ?", c.IntegratorID, c.ClientID)
		if err != nil {
			return err
		}
		if err := checkEntitled(tx, c, row.Scopes, terms); err != nil {
			return err
		}
		err = s.update(tx.Where("integrator_id = ?", c.IntegratorID), "clients", &c.Object, map[string]any{
			"name": c.Name, "auth_method": c.AuthMethod, "jwks": c.JWKS, "jwks_uri": c.JWKSURI, "grant_types": list(c.GrantTypes), "scopes": optionalList(c.Scopes),
			"access_token_ttl": int64(c.AccessTokenTTL / time.Second), "allowed_origins": list(c.AllowedOrigins),
			"status": string(c.Status),
			"generation": gorm.Expr("CASE WHEN (? = 'disabled' AND status = 'active') OR COALESCE(scopes, '') <> COALESCE(?, '') THEN generation + 1 ELSE generation END",
				string(c.Status), optionalList(c.Scopes)),
		})
		if err != nil {
			return err
		}
		if c.AuthMethod == registry.AuthKey { // they prove nothing any more
			if err := tx.Exec("DELETE FROM client_secrets WHERE client_id = ?", c.ClientID).Error; err != nil {
				return err
			}
		}
		return dropOrphanedKeys(tx, c.IntegratorID)
	})
	if err != nil {
		c.Object = was // nothing was stored
	}
	return err
}

// AddClientSecret gives a client another secret, and gives those it has then,
// without their hashes, the oldest first. The others end after the overlap,
// unless they end before; what has ended by now is deleted. ErrConflict: it has
// too many.
func (s *Store) AddClientSecret(ctx context.Context, integratorID, clientID string, secret registry.ClientSecret, overlap time.Duration) ([]registry.ClientSecret, error) {
	now := s.now()
	othersEnd := now.Add(overlap)
	var secrets []secretRow
	err := s.change(ctx, func(tx *gorm.DB) error {
		row, err := take[clientRow](tx, "integrator_id = ? AND client_id = ?", integratorID, clientID)
		if err != nil {
			return err
		}
		if row.AuthMethod == registry.AuthKey || row.AuthMethod == registry.AuthNone {
			return registry.Conflict("a client with the method " + row.AuthMethod + " has no secret")
		}
		err = tx.Exec("UPDATE client_secrets SET expires_at = ? WHERE client_id = ? AND (expires_at = 0 OR expires_at > ?)", micros(othersEnd), clientID, micros(othersEnd)).Error
		if err != nil {
			return err
		}
		if err := tx.Exec("DELETE FROM client_secrets WHERE client_id = ? AND expires_at <> 0 AND expires_at <= ?", clientID, micros(now)).Error; err != nil {
			return err
		}
		added := secretRow{ClientID: clientID, Hash: secret.Hash, CreatedAt: micros(now), ExpiresAt: micros(secret.ExpiresAt)}
		if err := tx.Create(&added).Error; err != nil {
			return err
		}
		if err := tx.Select("client_id", "created_at", "expires_at").Where("client_id = ?", clientID).Order("created_at").Find(&secrets).Error; err != nil {
			return err
		}
		if len(secrets) > registry.MaxClientSecrets {
			return registry.Conflict(fmt.Sprintf("this client has %d secrets already, which is the most: wait until one has ended, or end them with overlap=0", registry.MaxClientSecrets))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return convertAll(secrets, secretRow.secret), nil
}

// DeleteClient deletes a client of an integrator. Its tokens die with it.
func (s *Store) DeleteClient(ctx context.Context, integratorID, clientID string) error {
	return s.change(ctx, func(tx *gorm.DB) error {
		if err := remove(tx, "clients", "integrator_id = ? AND client_id = ?", integratorID, clientID); err != nil {
			return err
		}
		return dropOrphanedKeys(tx, integratorID)
	})
}

// RehashClientSecret replaces the hash of a client's secret by one under another
// pepper. The secret stays what it is, and so do the client's tokens.
func (s *Store) RehashClientSecret(ctx context.Context, clientID string, was, hash []byte) error {
	return s.change(ctx, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE client_secrets SET hash = ? WHERE client_id = ? AND hash = ?", hash, clientID, was).Error
	})
}

// EnsureOperator makes the operator's client be as c says, in particular have
// exactly its secrets, and changes nothing when it already is. Another secret
// kills the tokens that were got with the old one, and another client_id the
// client that was the operator's before. It refuses the client_id of anybody
// else.
func (s *Store) EnsureOperator(ctx context.Context, c *registry.Client) error {
	if len(c.Secrets) == 0 {
		return errors.New("an operator's client has a secret")
	}
	unchanged, err := s.operatorIs(ctx, c)
	if err != nil || unchanged {
		return err
	}
	err = s.change(ctx, func(tx *gorm.DB) error {
		if err := tx.Exec("DELETE FROM client_secrets WHERE client_id = ?", c.ClientID).Error; err != nil {
			return err
		}
		err := tx.Exec("UPDATE clients SET status = 'disabled', generation = generation + 1 WHERE owner = ? AND client_id <> ? AND status = 'active'",
			string(registry.OwnerOperator), c.ClientID).Error
		if err != nil {
			return err
		}
		row, err := take[clientRow](tx, "client_id = ?", c.ClientID)
		if errors.Is(err, registry.ErrNotFound) {
			return s.insertOperator(tx, c)
		}
		if err != nil {
			return err
		}
		if row.Owner != string(registry.OwnerOperator) {
			return registry.ErrConflict
		}
		err = tx.Table("clients").Where("client_id = ?", c.ClientID).Updates(map[string]any{
			"scopes": optionalList(c.Scopes), "grant_types": list(c.GrantTypes), "auth_method": c.AuthMethod, "status": string(c.Status), "updated_at": micros(s.now()),
			"generation": gorm.Expr("generation + 1"),
		}).Error
		if err != nil {
			return err
		}
		return s.insertSecrets(tx, c)
	})
	if errors.Is(err, registry.ErrConflict) {
		// Another replica may have started at the same moment.
		if unchanged, again := s.operatorIs(ctx, c); again == nil && unchanged {
			return nil
		}
	}
	return err
}

// insertOperator lets generations begin where no client of that client_id was
// before, which is chosen and may come again, unlike those that we make.
func (s *Store) insertOperator(tx *gorm.DB, c *registry.Client) error {
	if err := s.insertClient(tx, c); err != nil {
		return err
	}
	var err error
	if c.Generation, err = counter(tx); err != nil {
		return err
	}
	return tx.Exec("UPDATE clients SET generation = ? WHERE client_id = ?", c.Generation, c.ClientID).Error
}

func (s *Store) operatorIs(ctx context.Context, c *registry.Client) (bool, error) {
	var found struct{ Same, Secrets, Active int64 }
	err := s.reader.WithContext(ctx).Raw(`SELECT
		(SELECT COUNT(*) FROM clients c JOIN client_secrets s ON s.client_id = c.client_id
			WHERE c.client_id = ? AND c.owner = ? AND c.status = ? AND c.scopes = ? AND c.grant_types = ? AND c.auth_method = ? AND s.hash = ? AND s.expires_at = 0) AS same,
		(SELECT COUNT(*) FROM client_secrets WHERE client_id = ?) AS secrets,
		(SELECT COUNT(*) FROM clients WHERE owner = ? AND status = 'active') AS active`,
		c.ClientID, string(registry.OwnerOperator), string(c.Status), optionalList(c.Scopes), list(c.GrantTypes), c.AuthMethod, c.Secrets[0].Hash,
		c.ClientID, string(registry.OwnerOperator)).Scan(&found).Error
	return found.Same == 1 && found.Secrets == int64(len(c.Secrets)) && found.Active == 1, translate(err)
}
