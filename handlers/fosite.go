package handlers

import (
	"context"
	"errors"

	"github.com/ory/fosite"
)

// fositeClient shows a client to fosite. It is no OpenIDConnectClient, so that
// none of fosite's own rules about authentication methods apply.
type fositeClient struct{ client *Client }

var _ fosite.Client = (*fositeClient)(nil)

func (c *fositeClient) GetID() string                      { return c.client.ID }
func (c *fositeClient) GetHashedSecret() []byte            { return nil }
func (c *fositeClient) GetRedirectURIs() []string          { return nil }
func (c *fositeClient) GetGrantTypes() fosite.Arguments    { return c.client.GrantTypes }
func (c *fositeClient) GetResponseTypes() fosite.Arguments { return nil }
func (c *fositeClient) GetScopes() fosite.Arguments        { return c.client.Scopes }
func (c *fositeClient) IsPublic() bool                     { return c.client.Public }
func (c *fositeClient) GetAudience() fosite.Arguments      { return nil }

var errNotUsed = errors.New("this part of fosite is not used")

// refusingHasher stands where fosite's bcrypt would: our own strategy compares
// secrets.
type refusingHasher struct{}

func (refusingHasher) Compare(context.Context, []byte, []byte) error { return errNotUsed }
func (refusingHasher) Hash(context.Context, []byte) ([]byte, error)  { return nil, errNotUsed }
