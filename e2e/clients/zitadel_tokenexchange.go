package main

import (
	"context"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/client/tokenexchange"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// zitadelTokenExchange exchanges with zitadel/oidc, the Go library that has a
// call for it; with an assertion when there is a private key, else with Basic.
//
// What it checks that others do not: discovery under openid-configuration with
// the issuer to the byte; its assertion names the issuer in an array and lives
// for an hour.
func zitadelTokenExchange(ctx context.Context) (each, error) {
	exchanger, err := zitadelExchanger(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, subjectToken string) (any, error) {
		answer, err := tokenexchange.ExchangeToken(ctx, exchanger, subjectToken, oidc.JWTTokenType, "", "", nil,
			[]string{audience}, []string{scope}, oidc.AccessTokenType)
		if err != nil {
			return nil, err
		}
		return object{"exchange": answer}, nil
	}, nil
}

func zitadelExchanger(ctx context.Context) (tokenexchange.TokenExchanger, error) {
	if privateKey == "" {
		return tokenexchange.NewTokenExchangerClientCredentials(ctx, issuer, clientID, clientSecret)
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON([]byte(privateKey)); err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, nil)
	if err != nil {
		return nil, err
	}
	return tokenexchange.NewTokenExchangerJWTProfile(ctx, issuer, clientID, signer)
}
