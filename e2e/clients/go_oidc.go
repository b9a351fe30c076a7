package main

import (
	"context"

	"github.com/coreos/go-oidc/v3/oidc"
)

// goOIDC is a resource server of coreos/go-oidc, on which oauth2-proxy and
// Kubernetes stand.
//
// What it checks that others do not: it takes no algorithm that
// id_token_signing_alg_values_supported leaves out, and RS256 alone when the
// metadata has no such member.
func goOIDC(ctx context.Context) (each, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, err
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: audience})
	return func(ctx context.Context, token string) (any, error) {
		verified, err := verifier.Verify(ctx, token)
		if err != nil {
			return nil, err
		}
		var claims object
		err = verified.Claims(&claims)
		return object{"claims": claims}, err
	}, nil
}
