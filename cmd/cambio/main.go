package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cambio-oauth/cambio/keys/signing"
	"github.com/cambio-oauth/cambio/storage"
)

// version is set by the linker (-X main.version=…).
var version string

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cambio:", err)
		os.Exit(exitStatus(err))
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "cambio",
		Short:         "OAuth 2.0 authorization server that exchanges tokens of other identity providers (RFC 8693)",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().String("config", "", "configuration file (YAML)")
	for _, s := range settings() {
		root.PersistentFlags().String(flagName(s.key), "", s.usage+" ["+envName(s.key)+"]")
	}
	migrate := &cobra.Command{Use: "migrate", Short: "Look after the schema of the database"}
	migrate.AddCommand(
		&cobra.Command{Use: "up", Short: "Apply what is missing", Args: cobra.NoArgs, RunE: withStore(migrateUp)},
		&cobra.Command{Use: "status", Short: "List every migration", Args: cobra.NoArgs, RunE: withStore(migrateStatus)},
	)
	keys := &cobra.Command{Use: "keys", Short: "Look after the signing keys"}
	keys.AddCommand(
		&cobra.Command{Use: "list", Short: "List the signing keys", Args: cobra.NoArgs, RunE: withStore(listKeys)},
		&cobra.Command{Use: "rotate", Short: "Make the next key sign, and another one next", Args: cobra.NoArgs, RunE: withStore(rotateKeys)},
	)
	tokens := &cobra.Command{Use: "tokens", Short: "Look after the tokens"}
	tokens.AddCommand(&cobra.Command{
		Use: "revoke-all", Short: "Kill every token issued so far, of everybody; needed after a restore from a backup",
		Args: cobra.NoArgs, RunE: withStore(revokeAll),
	})
	panel := &cobra.Command{Use: "panel", Short: "Look after the panel"}
	panel.AddCommand(&cobra.Command{
		Use: "setup-link", Short: "Print the link with which the first operator is made, or where the panel is",
		Args: cobra.NoArgs, RunE: withStore(setupLink),
	})
	demo := &cobra.Command{Use: "demo", Short: "Show one exchange, introspection and revocation, with nothing to prepare", Args: cobra.NoArgs, RunE: runDemo}
	demo.Flags().Bool("once", false, "end after the tour")
	root.AddCommand(
		&cobra.Command{Use: "serve", Short: "Run the server", Args: cobra.NoArgs, RunE: runServe},
		demo, migrate, keys, tokens, panel, explainCommand(), applyCommand(), exportCommand(),
		&cobra.Command{Use: "version", Short: "Print version, commit and Go version", Args: cobra.NoArgs, RunE: runVersion},
		&cobra.Command{Use: "healthcheck", Short: "Ask the server on this machine whether it is ready", Args: cobra.NoArgs, RunE: runHealthcheck},
	)
	return root
}

func flagName(key string) string { return strings.ReplaceAll(key, "_", "-") }

// readConfig gives the checked configuration of a command.
func readConfig(cmd *cobra.Command) (*config, error) {
	flags := map[string]string{}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		for _, s := range settings() {
			if f.Name == flagName(s.key) {
				flags[s.key] = f.Value.String()
			}
		}
	})
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	values, err := load(file, flags, os.Environ())
	if err != nil {
		return nil, err
	}
	return newConfig(values)
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// newLogger writes text to a terminal and JSON to everything else.
func newLogger(w *os.File, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

func runServe(cmd *cobra.Command, _ []string) error {
	c, err := readConfig(cmd)
	if err != nil {
		return err
	}
	log := newLogger(os.Stderr, c.logLevel)
	p, err := start(cmd.Context(), c, log)
	if err != nil {
		return err
	}
	if err := p.invite(cmd.Context(), os.Stderr); err != nil {
		return errors.Join(err, p.shutdown())
	}
	<-cmd.Context().Done()
	log.Info("shutting down")
	return p.shutdown()
}

// withStore runs a command on the database of the configuration.
func withStore(run func(ctx context.Context, c *config, store *storage.Store, out io.Writer) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		c, err := readConfig(cmd)
		if err != nil {
			return err
		}
		store, err := storage.Open(cmd.Context(), c.databaseURL)
		if err != nil {
			return fmt.Errorf("CAMBIO_DATABASE_URL: %w", err)
		}
		return errors.Join(run(cmd.Context(), c, store, cmd.OutOrStdout()), store.Close())
	}
}

func migrateUp(ctx context.Context, _ *config, store *storage.Store, out io.Writer) error {
	applied, err := store.Migrate(ctx)
	if err != nil {
		return err
	}
	for _, name := range applied {
		fmt.Fprintln(out, "applied", name)
	}
	fmt.Fprintln(out, "the schema is up to date")
	return nil
}

func migrateStatus(ctx context.Context, _ *config, store *storage.Store, out io.Writer) error {
	steps, err := store.Migrations(ctx)
	if err != nil {
		return err
	}
	for _, step := range steps {
		state := "pending"
		if !step.AppliedAt.IsZero() {
			state = "applied " + step.AppliedAt.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(out, "%-30s %s\n", step.Name, state)
	}
	return nil
}

// revokeAll migrates first: the backup may be older than this program.
func revokeAll(ctx context.Context, _ *config, store *storage.Store, out io.Writer) error {
	if _, err := store.Migrate(ctx); err != nil {
		return err
	}
	if err := store.Fence(ctx); err != nil {
		return err
	}
	fmt.Fprintln(out, "every token issued so far is dead; keys of key URLs will be fetched anew")
	return nil
}

func listKeys(ctx context.Context, _ *config, store *storage.Store, out io.Writer) error {
	keys, err := store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KID\tALGORITHM\tSTATE\tCREATED\tRETIRED")
	for _, key := range keys {
		retired := "-"
		if !key.RetiredAt.IsZero() {
			retired = key.RetiredAt.Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", key.ID, key.Algorithm, key.State, key.CreatedAt.Format(time.RFC3339), retired)
	}
	return table.Flush()
}

func rotateKeys(ctx context.Context, c *config, store *storage.Store, out io.Writer) error {
	log := newLogger(os.Stderr, c.logLevel)
	if err := c.ensureSecretKey(log); err != nil {
		return err
	}
	ring, err := openRing(ctx, c, store)
	if err != nil {
		return err
	}
	published := c.now().Sub(ring.NextPublished())
	if err := ring.RotateWhenPublished(ctx); err != nil {
		return err
	}
	if published < signing.PublishedFor {
		log.Warn("the key that signs now was published only a moment ago: verifiers that cached the JWKS before do not know it yet",
			"published", published.Round(time.Second).String(), "wanted", signing.PublishedFor.String())
	}
	return listKeys(ctx, c, store, out)
}

func runVersion(cmd *cobra.Command, _ []string) error {
	commit := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "cambio %s, commit %s, %s\n", buildVersion(), commit, runtime.Version())
	return nil
}

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// runHealthcheck is for images that have no other program to ask with. It
// reads only where to ask.
func runHealthcheck(cmd *cobra.Command, _ []string) error {
	address := os.Getenv(envName("ops_listen"))
	if address == "" {
		address = "127.0.0.1:8081"
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s: want host:port", envName("ops_listen"))
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(response.Body, 200))
		return fmt.Errorf("status %d: %s", response.StatusCode, strings.TrimSpace(string(why)))
	}
	return nil
}
