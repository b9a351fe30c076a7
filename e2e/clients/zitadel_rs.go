package main

import (
	"context"
	"errors"

	"github.com/zitadel/oidc/v3/pkg/client/rs"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// zitadelResourceServer asks about every token with zitadel/oidc's rs.
//
// What it checks that others do not: that introspection alone, without keys, is
// enough for a resource server, and that exp, iat and aud of the answer fit the
// types of OpenID Connect.
func zitadelResourceServer(ctx context.Context) (each, error) {
	server, err := rs.NewResourceServerClientCredentials(ctx, issuer, clientID, clientSecret)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, token string) (any, error) {
		answer, err := rs.Introspect[*oidc.IntrospectionResponse](ctx, server, token)
		if err != nil {
			return nil, err
		}
		if !answer.Active {
			return nil, errors.New("the token is not active")
		}
		return object{"claims": answer}, nil
	}, nil
}
