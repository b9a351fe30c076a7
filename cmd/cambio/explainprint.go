package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/cambio-oauth/cambio/grants"
)

// explained is a server's answer, as far as it is printed.
type explained struct {
	Result, Error, Reason, Hint string
	Description                 string `json:"error_description"`
	Steps                       []struct{ Name, Result, Detail, Expected, Found string }
	Dropped                     []struct{ Permission, Reason, Detail string }
	Token                       map[string]any
	Audit                       map[string]any
}

// printExplanation writes an answer, for people or as it is. The error says
// that the token would be refused. What comes from the server is shown in
// printable ASCII: it must not move the terminal.
func printExplanation(out io.Writer, body []byte, raw bool) error {
	var e explained
	if err := json.Unmarshal(body, &e); err != nil {
		return errors.New("the answer is no explanation")
	}
	write := e.print
	if raw {
		write = func(out io.Writer) error {
			_, err := fmt.Fprintln(out, string(body))
			return err
		}
	}
	if err := write(out); err != nil {
		return err
	}
	if e.Result != "granted" {
		return errRefused
	}
	return nil
}

func (e *explained) print(out io.Writer) error {
	if err := e.printSteps(out); err != nil {
		return err
	}
	for _, dropped := range e.Dropped {
		fmt.Fprintf(out, "dropped  %s: %s, %s\n", grants.Shown(dropped.Permission), grants.Shown(dropped.Reason), grants.Shown(dropped.Detail))
	}
	if e.Token == nil {
		fmt.Fprintf(out, "refused: %s %s: %s\n", grants.Shown(e.Error), grants.Shown(e.Reason), grants.Shown(e.Description))
	} else if err := printMembers(out, "granted; the token would hold", e.Token); err != nil {
		return err
	}
	for _, line := range strings.Split(e.Hint, "\n") {
		if line != "" {
			fmt.Fprintf(out, "to do: %s\n", plain(line))
		}
	}
	if e.Audit != nil {
		return printMembers(out, "with the change on trial", e.Audit)
	}
	return nil
}

func (e *explained) printSteps(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, step := range e.Steps {
		if step.Result != "failed" {
			fmt.Fprintf(table, "%s\t%s\t%s\n", grants.Shown(step.Result), grants.Shown(step.Name), grants.Shown(step.Found))
			continue
		}
		fmt.Fprintf(table, "FAILED\t%s\t%s\n\t\texpected: %s\n\t\tfound: %s\n",
			grants.Shown(step.Name), grants.Shown(step.Detail), grants.Shown(step.Expected), grants.Shown(step.Found))
	}
	return table.Flush()
}

// printMembers writes JSON in printable ASCII.
func printMembers(out io.Writer, title string, members map[string]any) error {
	text, err := json.MarshalIndent(members, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n%s\n", title, plain(string(text)))
	return err
}

// plain gives text in printable ASCII, however long it is.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || ' ' <= r && r <= '~':
			return r
		case r == '…':
			return '.'
		}
		return '?'
	}, text)
}
