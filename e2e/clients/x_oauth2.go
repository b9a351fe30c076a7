package main

import (
	"context"
	"errors"
	"math"
	"net/url"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/google/externalaccount"
)

// clientCredentials exchanges with x/oauth2/clientcredentials, whose grant_type
// may be replaced: the shortest way for a user of Go's own package.
//
// What it checks that others do not: nobody told it how to authenticate, so on
// any error it sends the request again with the secret in the body; it takes
// no answer that is not application/json.
func clientCredentials(context.Context) (each, error) {
	return func(ctx context.Context, subjectToken string) (any, error) {
		config := clientcredentials.Config{
			ClientID: clientID, ClientSecret: clientSecret,
			TokenURL: issuer + "/oauth2/token", Scopes: []string{scope},
		}
		plain, err := config.Token(ctx)
		if err != nil {
			return failed(err)
		}
		config.EndpointParams = url.Values{
			"grant_type":         {tokenExchange},
			"subject_token":      {subjectToken},
			"subject_token_type": {jwtType},
			"audience":           {audience},
		}
		exchanged, err := config.Token(ctx)
		if err != nil {
			return failed(err)
		}
		return object{"credentials": members(plain), "exchange": members(exchanged)}, nil
	}, nil
}

type supplier string

func (s supplier) SubjectToken(context.Context, externalaccount.SupplierOptions) (string, error) {
	return string(s), nil
}

// externalAccount exchanges with the package for Google's "external accounts".
//
// What it checks that others do not: expires_in must be there, a whole number
// and more than nothing; Basic comes without form-encoding, scope and
// requested_token_type in every request.
func externalAccount(context.Context) (each, error) {
	return func(ctx context.Context, subjectToken string) (any, error) {
		source, err := externalaccount.NewTokenSource(ctx, externalaccount.Config{
			ClientID: clientID, ClientSecret: clientSecret,
			TokenURL: issuer + "/oauth2/token", Audience: audience, Scopes: []string{scope},
			SubjectTokenType: jwtType, SubjectTokenSupplier: supplier(subjectToken),
		})
		if err != nil {
			return nil, err
		}
		token, err := source.Token()
		if err != nil {
			return nil, err
		}
		return object{"exchange": members(token)}, nil
	}, nil
}

func members(t *oauth2.Token) object {
	return object{
		"access_token": t.AccessToken, "token_type": t.Type(), "scope": t.Extra("scope"),
		"expires_in": math.Round(time.Until(t.Expiry).Seconds()),
	}
}

// failed is what the package's error hands out besides its text.
func failed(err error) (any, error) {
	var refusal *oauth2.RetrieveError
	if !errors.As(err, &refusal) {
		return nil, err
	}
	return object{"error": object{
		"code": refusal.ErrorCode, "description": refusal.ErrorDescription, "body": string(refusal.Body),
	}}, nil
}
