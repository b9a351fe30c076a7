// Command clients runs other people's Go libraries against Cambio. It is a
// module of its own, so that none of them reaches the product.
//
//	clients NAME <tokens
//
// reads tokens, one a line, and answers each with one line of JSON: what the
// library gives a caller, or {"error": …}, no more than what it tells a caller.
// Each library has a file that is named after it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// each makes what answers one token.
type each func(ctx context.Context, token string) (any, error)

var programs = map[string]func(context.Context) (each, error){
	"clientcredentials":     clientCredentials,
	"externalaccount":       externalAccount,
	"go-oidc":               goOIDC,
	"jwx":                   lestrratJWX,
	"keyfunc":               micahParksKeyfunc,
	"zitadel-tokenexchange": zitadelTokenExchange,
	"zitadel-rs":            zitadelResourceServer,
	"zitadel-op":            zitadelProvider,
}

var (
	issuer       = os.Getenv("ISSUER")
	clientID     = os.Getenv("CLIENT_ID")
	clientSecret = os.Getenv("CLIENT_SECRET")
	privateKey   = os.Getenv("PRIVATE_KEY") // a JWK
	audience     = os.Getenv("AUDIENCE")
	scope        = os.Getenv("SCOPE")
)

const (
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	jwtType       = "urn:ietf:params:oauth:token-type:jwt"
)

type object = map[string]any

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if len(os.Args) != 2 || programs[os.Args[1]] == nil {
		return errors.New("usage: clients NAME <tokens")
	}
	answer, err := programs[os.Args[1]](ctx)
	if err != nil || answer == nil { // nil: it read its input itself
		return err
	}
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		line, err := answer(ctx, lines.Text())
		if err != nil {
			line = object{"error": object{"message": err.Error()}}
		}
		if err := out.Encode(line); err != nil {
			return err
		}
	}
	return lines.Err()
}
