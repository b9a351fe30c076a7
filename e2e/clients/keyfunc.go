package main

import (
	"context"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// micahParksKeyfunc is a resource server of golang-jwt, which fetches its keys
// with MicahParks/keyfunc.
//
// What it checks that others do not: alg and use of the key in the set must be
// those of the token, and the set answers to its own idea of caching.
func micahParksKeyfunc(ctx context.Context) (each, error) {
	keys, err := keyfunc.NewDefaultCtx(ctx, []string{issuer + "/.well-known/jwks.json"})
	if err != nil {
		return nil, err
	}
	return func(_ context.Context, token string) (any, error) {
		verified, err := jwt.Parse(token, keys.Keyfunc, jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithExpirationRequired())
		if err != nil {
			return nil, err
		}
		return object{"claims": verified.Claims}, nil
	}, nil
}
