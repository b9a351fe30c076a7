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

	"github.com/cambio-oauth/cambio/grants"
)

// maxAnswerBytes bounds what a server can make us read.
const maxAnswerBytes = 4 << 20

// errRefused ends the command with a status of its own, for scripts.
var errRefused = errors.New("the token would be refused")

// exitStatus: 1 for what was asked about, and whatever else is wrong with any
// other command; 2 where explain could not find out.
func exitStatus(err error) int {
	if unknown := (*notExplained)(nil); errors.As(err, &unknown) {
		return 2
	}
	return 1
}

// notExplained wraps why explain could not find out.
type notExplained struct{ error }

// Unwrap gives the cause.
func (e *notExplained) Unwrap() error { return e.error }

// explainCommand asks a running server why a subject token is accepted, cut
// down or refused. The token comes by standard input or file: arguments are in
// the list of processes and in the history of the shell.
func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [FILE]",
		Short: "Ask a running server why a subject token is accepted, cut down or refused",
		Long: `Ask a running server why a subject token is accepted, cut down or refused.

The token is read from FILE or standard input. Without --login-client-id the operator's credentials
of the configuration are used; an integrator takes those of a client of its own with the scope
integrator.admin. Exits with 1 when the token would be refused, and with 2 when that is not known.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := runExplain(cmd, args)
			if err == nil || errors.Is(err, errRefused) {
				return err
			}
			return &notExplained{err}
		},
	}
	flags := cmd.Flags()
	flags.String("server", "", "issuer of the server; default CAMBIO_ISSUER, or else http://127.0.0.1:8080")
	flags.String("integrator", "me", "id of the integrator; operators have to name one")
	flags.String("client", "", "client_id of the client that would exchange the token")
	flags.String("scope", "", "scope that it would request")
	flags.StringArray("audience", nil, "audience that it would request; may be repeated")
	flags.String("subject-token-type", "", "type that it would give the token; default "+grants.TokenTypeJWT)
	flags.String("login-client-id", "", "client to ask with")
	flags.String("login-client-secret-file", "", "file with its secret")
	flags.Bool("allow-http", false, "send credentials and the token by http to another machine")
	flags.Bool("json", false, "print the server's answer as it is")
	return cmd
}

func runExplain(cmd *cobra.Command, args []string) error {
	c, err := readConfig(cmd)
	if err != nil {
		return err
	}
	text := func(flag string) string { return cmd.Flag(flag).Value.String() }
	audiences, err := cmd.Flags().GetStringArray("audience")
	if err != nil {
		return err
	}
	token, err := readToken(cmd.InOrStdin(), args)
	if err != nil {
		return err
	}
	question := map[string]any{"subject_token": token, "audience": audiences}
	for member, flag := range map[string]string{"client_id": "client", "scope": "scope", "subject_token_type": "subject-token-type"} {
		if value := text(flag); value != "" {
			question[member] = value
		}
	}
	server := strings.TrimSuffix(cmp.Or(text("server"), c.issuer, "http://127.0.0.1:8080"), "/")
	if err := checkServer(server, text("allow-http") == "true"); err != nil {
		return err
	}
	id, secret := c.operatorID, c.operatorSecret
	if text("login-client-id") != "" {
		if id, secret, err = text("login-client-id"), "", nil; text("login-client-secret-file") != "" {
			secret, err = readSecret(text("login-client-secret-file"))
		}
	}
	if err != nil {
		return err
	}
	if id == "" {
		return errors.New("no client to ask with: give --login-client-id and --login-client-secret-file, or the operator's credentials (CAMBIO_OPERATOR_CLIENT_ID, CAMBIO_OPERATOR_CLIENT_SECRET)")
	}
	asker := asker{server: server, client: &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // credentials go nowhere else
	}}
	body, err := asker.explain(cmd.Context(), id, secret, text("integrator"), question)
	if err != nil {
		return err
	}
	return printExplanation(cmd.OutOrStdout(), body, text("json") == "true")
}

// checkServer: credentials and the token can be read on the way by http.
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

func readToken(stdin io.Reader, args []string) (string, error) {
	in := stdin
	if len(args) == 1 && args[0] != "-" {
		file, err := os.Open(args[0])
		if err != nil {
			return "", errors.New("the token's file cannot be opened: give a file, or the token on standard input, never as an argument")
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, grants.MaxBodyBytes))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", errors.New("no token: give it on standard input or in a file")
	}
	return token, nil
}

func readSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--login-client-secret-file: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// asker asks a running server.
type asker struct {
	server string
	client *http.Client
}

func (a asker) explain(ctx context.Context, id, secret, integrator string, question map[string]any) ([]byte, error) {
	form := url.Values{"grant_type": {grants.ClientCredentials}}
	login, err := http.NewRequestWithContext(ctx, http.MethodPost, a.server+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("--server: %w", err)
	}
	login.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) // RFC 6749 §2.3.1
	login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body, err := a.do(login)
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
		return nil, errors.New("log in: the answer holds no access token")
	}
	text, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	ask, err := http.NewRequestWithContext(ctx, http.MethodPost, a.server+"/admin/v1/integrators/"+url.PathEscape(integrator)+"/exchanges/explain", bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	ask.Header.Set("Authorization", "Bearer "+answer.AccessToken)
	ask.Header.Set("Content-Type", "application/json")
	return a.do(ask)
}

// do gives the body of an answer that is 200.
func (a asker) do(request *http.Request) ([]byte, error) {
	response, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return body, nil
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
	if response.StatusCode == http.StatusNotFound {
		said += ": is the integrator's id right? An operator has to name one (--integrator)"
	}
	return nil, fmt.Errorf("status %d: %s", response.StatusCode, grants.Shown(said))
}
