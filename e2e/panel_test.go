package e2e

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// screenshots is where the pictures of docs/ go, when they are to be made anew:
// `make screenshots`.
const screenshots = "CAMBIO_TEST_SCREENSHOTS"

// The panel in a real browser, from a server that nobody has set up to an
// exchange, with tokens of a real identity provider. What is checked stands in
// interop/panel.mjs.
func TestPanel(t *testing.T) {
	c := launch(t, []string{"CAMBIO_SUBJECT_AUDIENCES=https://cambio.test"})
	idp := startProvider(t, "https://cambio.test", "something:else")
	stranger := startProvider(t, "https://elsewhere.test", "something:else")
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><form method="post" action="%s"><input name="name" value="Made elsewhere"><button>win</button></form>`, html.EscapeString(r.URL.Query().Get("action")))
	}))
	t.Cleanup(other.Close)
	images := os.Getenv(screenshots)
	if images != "" {
		if err := os.MkdirAll(images, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b := &panelBrowser{t: t, asked: map[string]func() string{
		"token":                   func() string { return idp.mint(t) },
		"token for somebody else": func() string { return stranger.mint(t) },
		"past":                    func() string { return fillThePast(t, filepath.Join(c.command.Dir, "cambio.db")) },
	}}
	b.run("BASE="+c.url, "LINK="+c.setupLink(), "ISSUER="+idp.Issuer, "JWKS_URI="+idp.JWKSURI, "CHROMIUM="+chromium(t), "IMAGES="+images, "OTHER="+other.URL)
}

// setupLink asks for the link as an operator does whose server runs as a
// service.
func (c *cambio) setupLink() string {
	c.t.Helper()
	command := exec.CommandContext(c.t.Context(), binary, "panel", "setup-link")
	command.Dir = c.command.Dir
	command.Env = append(c.command.Env, "CAMBIO_ISSUER="+c.url)
	said, err := command.Output()
	link := regexp.MustCompile(regexp.QuoteMeta(c.url) + `/panel/setup\?token=\S+`).Find(said)
	if err != nil || link == nil {
		c.t.Fatalf("setup-link says %q: %v", said, err)
	}
	return string(link)
}

// fillThePast makes up what a server that has run for a day has counted: a
// chart with one bar shows nobody what it is for.
func fillThePast(t *testing.T, file string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var integrator string
	if err := db.QueryRow("SELECT id FROM integrators ORDER BY id LIMIT 1").Scan(&integrator); err != nil {
		t.Fatal(err)
	}
	hour := time.Now().UTC().Truncate(time.Hour)
	for ago := 1; ago < 24; ago++ {
		for _, row := range []struct {
			result, reason string
			count          int
		}{
			{"granted", "", 400 + 37*(ago*ago%17)}, {"refused", "token_expired", 11 + 3*(ago%7)}, {"refused", "audience_mismatch", ago % 5}, {"refused", "key_not_found", 40 * (ago % 9 / 8)},
		} {
			for _, whose := range []string{"", integrator} {
				if row.count == 0 {
					continue
				}
				_, err := db.Exec("INSERT INTO exchange_counts (hour, integrator_id, result, reason, count) VALUES (?, ?, ?, ?, ?)",
					hour.Add(-time.Duration(ago)*time.Hour).UnixMicro(), whose, row.result, row.reason, row.count)
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return "done"
}

// panelBrowser runs interop/panel.mjs and does what it asks for.
type panelBrowser struct {
	t     *testing.T
	asked map[string]func() string
}

func (b *panelBrowser) run(environ ...string) {
	ctx, cancel := context.WithTimeout(b.t.Context(), 5*time.Minute)
	defer cancel()
	command := program(ctx, b.t, "panel.mjs")
	command.Env = environment(environ...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	in, err := command.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.t.Fatal(err)
	}
	checks := b.converse(out, in)
	if err := command.Wait(); err != nil || checks < 30 {
		b.t.Errorf("%d checks: %v: %s", checks, err, stderr.String())
	}
}

// converse reports every check as a test, and counts them.
func (b *panelBrowser) converse(out io.Reader, in io.Writer) (checks int) {
	done := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var said struct {
			Ask, Check, Error string
			Done              bool
		}
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			b.t.Fatalf("panel.mjs says %q", lines.Text())
		}
		switch {
		case said.Ask != "":
			if _, err := fmt.Fprintln(in, b.asked[said.Ask]()); err != nil {
				b.t.Fatal(err)
			}
		case said.Check != "":
			checks++
			b.t.Run(said.Check, func(t *testing.T) {
				if said.Error != "" {
					t.Error(said.Error)
				}
			})
		}
		done = done || said.Done
	}
	if !done {
		b.t.Error("the browser did not come to the end")
	}
	return checks
}
