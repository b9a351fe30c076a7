package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cambio-oauth/cambio/grants"
)

// maxAnswerBytes bounds what a server can make us read.
const maxAnswerBytes = 4 << 20

// adminClient asks the admin API of a running server.
type adminClient struct {
	server     string
	id, secret string
	token      string // empty: not logged in yet
	client     *http.Client
}

// loginFlags are those of every command that asks a running server.
func loginFlags(flags *pflag.FlagSet) {
	flags.String("server", "", "issuer of the server; default CAMBIO_ISSUER, or else http://127.0.0.1:8080")
	flags.String("login-client-id", "", "client to ask with")
	flags.String("login-client-secret-file", "", "file with its secret")
	flags.Bool("allow-http", false, "send credentials and what is asked by http to another machine")
}

// newAdminClient reads whom to ask, and as whom. Nothing is asked yet.
func newAdminClient(cmd *cobra.Command) (*adminClient, error) {
	c, err := readConfig(cmd)
	if err != nil {
		return nil, err
	}
	text := func(flag string) string { return cmd.Flag(flag).Value.String() }
	server := strings.TrimSuffix(cmp.Or(text("server"), c.issuer, "http://127.0.0.1:8080"), "/")
	if err := checkServer(server, text("allow-http") == "true"); err != nil {
		return nil, err
	}
	id, secret := c.operatorID, c.operatorSecret
	if text("login-client-id") != "" {
		if id, secret, err = text("login-client-id"), "", nil; text("login-client-secret-file") != "" {
			secret, err = readSecret(text("login-client-secret-file"))
		}
	}
	if err != nil {
		return nil, err
	}
	if id == "" {
		return nil, errors.New("no client to ask with: give --login-client-id and --login-client-secret-file, or the operator's credentials (CAMBIO_OPERATOR_CLIENT_ID, CAMBIO_OPERATOR_CLIENT_SECRET)")
	}
	return &adminClient{server: server, id: id, secret: secret, client: &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // credentials go nowhere else
	}}, nil
}

// checkServer: credentials and tokens can be read on the way by http.
func checkServer(server string, allowHTTP bool) error {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("--server: want the issuer of the server, such as https://auth.example")
	}
	if u.Scheme == "http" && !allowHTTP && !loopback(net.JoinHostPort(u.Hostname(), "80")) {
		return errors.New("--server: by http, credentials and the token could be read on the way: use https, or say --allow-http")
	}
	return nil
}

func readSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--login-client-secret-file: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func (c *adminClient) logIn(ctx context.Context) error {
	form := url.Values{"grant_type": {grants.ClientCredentials}}
	login, err := http.NewRequestWithContext(ctx, http.MethodPost, c.server+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("--server: %w", err)
	}
	login.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.secret)) // RFC 6749 §2.3.1
	login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	said, err := c.send(login)
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(said.body, &token); err != nil || token.AccessToken == "" {
		return errors.New("log in: the answer holds no access token")
	}
	c.token = token.AccessToken
	return nil
}

// adminRequest is one question; path is below the API's.
type adminRequest struct {
	method, path string
	header       map[string]string
	body         any // nil: none
}

// adminAnswer is an answer that is no refusal.
type adminAnswer struct {
	status int
	header http.Header
	body   []byte
}

// adminRefusal is an answer that is one.
type adminRefusal struct {
	status int
	code   string
	said   string // by a server, and shown as such
}

// Error implements error.
func (r *adminRefusal) Error() string { return fmt.Sprintf("status %d: %s", r.status, r.said) }

// do asks, and logs in when that is needed: a token ends while much is done.
func (c *adminClient) do(ctx context.Context, r adminRequest) (*adminAnswer, error) {
	var text []byte
	if r.body != nil {
		var err error
		if text, err = json.Marshal(r.body); err != nil {
			return nil, err
		}
	}
	for fresh := c.token == ""; ; fresh = true {
		if fresh {
			if err := c.logIn(ctx); err != nil {
				return nil, err
			}
		}
		request, err := http.NewRequestWithContext(ctx, r.method, c.server+"/admin/v1"+r.path, bytes.NewReader(text))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Authorization", "Bearer "+c.token)
		if text != nil {
			request.Header.Set("Content-Type", "application/json")
		}
		for name, value := range r.header {
			request.Header.Set(name, value)
		}
		said, err := c.send(request)
		if refusal := (*adminRefusal)(nil); !fresh && errors.As(err, &refusal) && refusal.status == http.StatusUnauthorized {
			continue
		}
		return said, err
	}
}

// putTries is how often one thing is asked for whose answer is lost.
const putTries = 3

// patiently asks again for what may be asked twice: an object is made once by
// its idempotency key, and its secret is told as often as needed.
func (c *adminClient) patiently(ctx context.Context, r adminRequest) (*adminAnswer, error) {
	for try := 1; ; try++ {
		said, err := c.do(ctx, r)
		if err == nil || !unclear(err) || try == putTries || ctx.Err() != nil {
			return said, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(try) * time.Second):
		}
	}
}

// unclear tells whether something may have happened all the same.
func unclear(err error) bool {
	refusal := (*adminRefusal)(nil)
	return !errors.As(err, &refusal) || refusal.status >= http.StatusInternalServerError
}

// send gives an answer of success.
func (c *adminClient) send(request *http.Request) (*adminAnswer, error) {
	response, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return &adminAnswer{response.StatusCode, response.Header, body}, nil
	}
	var failure struct {
		Error, Detail, Code string
		Description         string `json:"error_description"`
		Errors              []struct{ Pointer, Detail string }
	}
	_ = json.Unmarshal(body, &failure) // of something else than this server it says nothing
	said := strings.TrimSpace(strings.Join([]string{failure.Error, failure.Description, failure.Code, failure.Detail}, " "))
	for _, fault := range failure.Errors {
		said += "; " + fault.Pointer + ": " + fault.Detail
	}
	return nil, &adminRefusal{response.StatusCode, failure.Code, grants.Shown(said)}
}
