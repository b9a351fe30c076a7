package main

import (
	"context"
	"encoding/json"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// lestrratJWX is a resource server of lestrrat-go/jwx.
//
// What it checks that others do not: every key of the set must have a kty it
// knows, and the key it uses both kid and alg.
func lestrratJWX(ctx context.Context) (each, error) {
	keys, err := jwk.Fetch(ctx, issuer+"/.well-known/jwks.json")
	if err != nil {
		return nil, err
	}
	return func(_ context.Context, token string) (any, error) {
		verified, err := jwt.Parse([]byte(token), jwt.WithKeySet(keys), jwt.WithIssuer(issuer), jwt.WithAudience(audience))
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(verified)
		return object{"claims": json.RawMessage(data)}, err
	}, nil
}
