package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// applyCommand makes a running server be as a document says.
func applyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make a running server's configuration be what a YAML document says",
		Long: `Make a running server's configuration be what a YAML document says.

Prints what has to be done and does it; again it finds nothing to do. Nothing is deleted without
--prune, which deletes what the file does not name, in the sections that it has. Secrets of new clients
and resource servers are told once: --secrets-file names a new file for them. Without --login-client-id
the operator's credentials of the configuration are used. "cambio export" prints such a document.`,
		Args: cobra.NoArgs,
		RunE: runApply,
	}
	flags := cmd.Flags()
	loginFlags(flags)
	flags.StringP("file", "f", "", "the document; - is standard input")
	flags.Bool("dry-run", false, "print what would be done, and do nothing")
	flags.Bool("prune", false, "also delete what the file does not name, in the sections that it has")
	flags.String("secrets-file", "", "file to write new secrets to; it must not exist")
	flags.Bool("show-secrets", false, "print new secrets")
	return cmd
}

func runApply(cmd *cobra.Command, _ []string) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	text := func(flag string) string { return cmd.Flag(flag).Value.String() }
	wanted, err := openDocument(cmd, text("file"))
	if err != nil {
		return err
	}
	ask, err := newAdminClient(cmd)
	if err != nil {
		return err
	}
	w, err := newWorld(ctx, ask)
	if err != nil {
		return err
	}
	p, err := newPlan(ctx, w, text("file"), wanted, text("prune") == "true")
	if err != nil {
		return err
	}
	if err := p.print(out); err != nil || text("dry-run") == "true" || len(p.all()) == 0 {
		return err
	}
	secrets, err := openSecrets(p, out, text("secrets-file"), text("show-secrets") == "true")
	if err != nil {
		return err
	}
	a := &application{plan: p, secrets: secrets}
	err = errors.Join(a.run(ctx), secrets.close())
	if err != nil {
		return errors.Join(err, a.report(cmd.ErrOrStderr()))
	}
	_, err = fmt.Fprintf(out, "done: %d\n", len(a.done))
	return err
}

func openDocument(cmd *cobra.Command, file string) (*document, error) {
	switch file {
	case "":
		return nil, errors.New("--file: want the document, or - for standard input")
	case "-":
		return readDocument("standard input", cmd.InOrStdin())
	}
	in, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("--file: %w", err)
	}
	defer in.Close()
	return readDocument(file, in)
}

func (p *plan) print(out io.Writer) error {
	var text strings.Builder
	for _, note := range p.notes {
		fmt.Fprintln(&text, note)
	}
	for _, s := range p.all() {
		fmt.Fprintln(&text, s)
	}
	fmt.Fprintf(&text, "= %d unchanged\n", p.unchanged)
	_, err := io.WriteString(out, text.String())
	return err
}

// application is a plan that is carried out.
type application struct {
	plan    *plan
	secrets *secrets
	done    []*step
	left    []*step // after an error
	unclear bool    // whether the first of them was done: it was not answered
}

// run does one step after the other. What conflicts with an object that the run
// will delete is tried again after that.
func (a *application) run(ctx context.Context) error {
	a.left = a.plan.all()
	var later []*step
	for last := false; len(a.left) > 0; {
		s := a.left[0]
		err := s.do(ctx, a)
		refusal := (*adminRefusal)(nil)
		switch conflicts := errors.As(err, &refusal) && refusal.code == "conflict"; {
		case conflicts && !last && s.sign != "delete" && a.plan.deletesAny():
			later = append(later, s)
		case err != nil:
			a.unclear = unclear(err)
			a.left = append(a.left, later...)
			return fmt.Errorf("%s %s: %w", s.sign, s.label, err)
		default:
			a.done = append(a.done, s)
		}
		if a.left = a.left[1:]; len(a.left) == 0 && !last {
			a.left, later, last = later, nil, true
		}
	}
	return a.settle(ctx)
}

func (p *plan) deletesAny() bool {
	for _, list := range p.deletes {
		if len(list) > 0 {
			return true
		}
	}
	return false
}

// touch notes whose clients the server may have taken scopes from.
func (a *application) touch(section string, o *owner) {
	switch {
	case section == "lock_holders":
		for _, each := range a.plan.owners {
			each.touched = true
		}
	case section == "links", section == "scope_rules":
		o.touched = true
	}
}

// settle says once more how clients are to be whose integrator lost a rule or a
// lock holder: with it the server takes scopes from them.
func (a *application) settle(ctx context.Context) error {
	for _, o := range a.plan.owners {
		for _, d := range o.clients {
			if !o.touched {
				continue
			}
			if _, err := a.put(ctx, d.kind, o, d, "", ""); err != nil {
				return fmt.Errorf("%s: %w", d.kind.label(o.name, d.all), err)
			}
		}
	}
	return nil
}

// put says how an object is to be.
func (a *application) put(ctx context.Context, k *kind, o *owner, d *declared, condition, value string) (*adminAnswer, error) {
	header := map[string]string{"Idempotency-Key": rand.Text()}
	if condition != "" {
		header[condition] = value
	}
	return a.plan.world.ask.patiently(ctx, adminRequest{
		method: http.MethodPut, path: o.path(k) + "?" + k.key(d.all).Encode(), header: header, body: k.sparse(d.all),
	})
}

// created keeps what later steps need of a new object, and its secret.
func (a *application) created(k *kind, o *owner, d *declared, said *adminAnswer) error {
	id := path.Base(said.header.Get("Location"))
	switch k.section {
	case "integrators":
		for _, each := range a.plan.owners {
			if each.name == d.all["name"] {
				each.id = id
			}
		}
	case "lock_holders":
		a.plan.holders[referenceTo(d.all)] = id
	}
	var made struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
	if err := json.Unmarshal(said.body, &made); err != nil || made.ClientSecret == "" {
		return err
	}
	members := map[string]string{"client_id": made.ClientID, "client_secret": made.ClientSecret}
	if o != nil {
		members["integrator"] = o.name
	}
	for _, name := range k.natural {
		members[name], _ = d.all[name].(string)
	}
	if err := a.secrets.keep(members); err != nil {
		return fmt.Errorf("it was created, and its secret could not be kept: POST .../secret gives a client another: %w", err)
	}
	return nil
}

// report says what was done and what was not.
func (a *application) report(out io.Writer) error {
	var text strings.Builder
	for _, s := range a.done {
		fmt.Fprintln(&text, "done     ", s)
	}
	for i, s := range a.left {
		word := "not done "
		if i == 0 && a.unclear {
			word = "unclear  " // a secret that was made and did not arrive is lost
		}
		fmt.Fprintln(&text, word, s)
	}
	fmt.Fprintln(&text, "what was not done is done by the same command again")
	_, err := io.WriteString(out, text.String())
	return err
}

// secrets takes the secrets that are made.
type secrets struct {
	file  *os.File  // nil: none
	out   io.Writer // nil: not shown
	wrote bool
}

// openSecrets makes sure that there is a place for them before anything is
// changed: they are told once.
func openSecrets(p *plan, out io.Writer, file string, show bool) (*secrets, error) {
	s := &secrets{}
	if show {
		s.out = out
	}
	for _, each := range p.all() {
		if !each.secret {
			continue
		}
		if file == "" && !show {
			return nil, fmt.Errorf("%s: it will have a secret, which is told once: give --secrets-file, or --show-secrets. Nothing was changed", each.label)
		}
		if file == "" {
			return s, nil
		}
		var err error
		if s.file, err = os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return nil, fmt.Errorf("--secrets-file: %w. Nothing was changed", err)
		}
		return s, nil
	}
	return s, nil
}

// keep writes down one secret, as an item of a YAML list.
func (s *secrets) keep(members map[string]string) error {
	text, err := yaml.Marshal([]map[string]string{members})
	if err != nil {
		return err
	}
	if s.out != nil {
		if _, err := s.out.Write(text); err != nil {
			return err
		}
	}
	if s.file == nil {
		return nil
	}
	s.wrote = true
	_, err = s.file.Write(text)
	return errors.Join(err, s.file.Sync())
}

// close takes an empty file away: the same command again needs its name.
func (s *secrets) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if !s.wrote {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	return err
}

// printable gives text without what would move a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

func quoted(text string) string { return printable(strconv.Quote(text)) }

// shownJSON is a value as a line of a plan shows it.
func shownJSON(value any) string {
	const limit = 120
	text, err := json.Marshal(value)
	if err != nil {
		return "?"
	}
	shown := []rune(printable(string(text)))
	if len(shown) > limit {
		return string(shown[:limit]) + "..."
	}
	return string(shown)
}
