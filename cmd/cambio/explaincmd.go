package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cambio-oauth/cambio/grants"
)

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
	loginFlags(flags)
	flags.String("integrator", "me", "id of the integrator; operators have to name one")
	flags.String("client", "", "client_id of the client that would exchange the token")
	flags.String("scope", "", "scope that it would request")
	flags.StringArray("audience", nil, "audience that it would request; may be repeated")
	flags.String("subject-token-type", "", "type that it would give the token; default "+grants.TokenTypeJWT)
	flags.Bool("json", false, "print the server's answer as it is")
	return cmd
}

func runExplain(cmd *cobra.Command, args []string) error {
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
	asker, err := newAdminClient(cmd)
	if err != nil {
		return err
	}
	said, err := asker.do(cmd.Context(), adminRequest{
		method: http.MethodPost, path: "/integrators/" + url.PathEscape(text("integrator")) + "/exchanges/explain", body: question,
	})
	if refusal := (*adminRefusal)(nil); errors.As(err, &refusal) && refusal.status == http.StatusNotFound {
		return fmt.Errorf("%w: is the integrator's id right? An operator has to name one (--integrator)", err)
	}
	if err != nil {
		return err
	}
	return printExplanation(cmd.OutOrStdout(), said.body, text("json") == "true")
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
