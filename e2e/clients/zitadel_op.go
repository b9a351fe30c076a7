package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/client"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// zitadelProvider is the example provider of zitadel/oidc. A user signs in to
// it, with name and password, and the ID token of that sign-in is printed with
// where the keys are: {"issuer","jwks_uri","subject_token"}. It serves until
// standard input closes.
//
// What it brings that other providers do not: an ID token as a subject token,
// whose audience is the client the user signed in to.
func zitadelProvider(ctx context.Context) (each, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at := "http://" + listener.Addr().String()
	const callback = "http://127.0.0.1/callback" // nobody listens: the code is read from the redirection
	storage.RegisterClients(storage.WebClient("app", "secret", callback))
	users := storage.NewUserStore(at)
	provider := exampleop.SetupServer(at, permitting{storage.NewStorage(users)}, slog.New(slog.DiscardHandler), false)
	go func() { _ = http.Serve(listener, provider) }()

	party, err := rp.NewRelyingPartyOIDC(ctx, at, "app", "secret", callback, []string{oidc.ScopeOpenID})
	if err != nil {
		return nil, err
	}
	user := users.GetUserByID("id1")
	code, err := signIn(rp.AuthURL("state", party), user.Username, user.Password)
	if err != nil {
		return nil, err
	}
	tokens, err := rp.CodeExchange[*oidc.IDTokenClaims](ctx, code, party)
	if err != nil {
		return nil, err
	}
	metadata, err := client.Discover(ctx, at, http.DefaultClient)
	if err != nil {
		return nil, err
	}
	line := object{"issuer": at, "jwks_uri": metadata.JwksURI, "subject_token": tokens.IDToken}
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return nil, err
}

// permitting is the example's storage with a claim of our own in ID tokens.
type permitting struct{ *storage.Storage }

func (p permitting) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, request op.IDTokenRequest, scopes []string) error {
	info.AppendClaims("permissions", []string{scope})
	return p.Storage.SetUserinfoFromRequest(ctx, info, request, scopes)
}

// signIn does what a browser does, from the login page to the code.
func signIn(authURL, name, password string) (code string, err error) {
	browser := &http.Client{CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/callback" {
			code = r.URL.Query().Get("code")
			return http.ErrUseLastResponse
		}
		return nil
	}}
	page, err := browser.Get(authURL)
	if err != nil {
		return "", err
	}
	_ = page.Body.Close()
	signedIn, err := browser.PostForm(page.Request.URL.String(), url.Values{
		"id": {page.Request.URL.Query().Get("authRequestID")}, "username": {name}, "password": {password},
	})
	if err != nil {
		return "", err
	}
	_ = signedIn.Body.Close()
	if code == "" {
		return "", errors.New("the sign-in gave no code: " + signedIn.Status)
	}
	return code, nil
}
