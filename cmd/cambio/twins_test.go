package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// twins are two servers, one on each kind of database, that are asked the same
// and must answer the same.
type twins struct {
	t       *testing.T
	servers [2]*server
	aliases [2]*aliases
	asked   int
	seen    map[int]int // answers by status
	diffs   int
}

// call is one request. Its texts hold aliases where the server chose a value.
type call struct {
	method, path string
	who          string // alias of a token; empty: nobody
	body         string
	contentType  string // empty: application/json, if there is a body
	ifMatch      string
	ifNoneMatch  string
	key          string // Idempotency-Key
	accept       string
}

func (c call) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s as %q %s", c.method, c.path, c.who, c.body))
}

// reply is what of an answer must be the same, in aliases.
type reply struct {
	status int
	header string
	body   string
	json   map[string]any
}

func newTwins(t *testing.T) *twins {
	t.Helper()
	w := &twins{t: t, seen: map[int]int{}}
	for i, databaseURL := range []string{storagetest.SQLite(t), storagetest.Postgres(t)} {
		w.servers[i] = startServer(t, databaseURL, map[string]string{"issuer": "https://cambio.example"})
		w.aliases[i] = newAliases()
		w.aliases[i].name("token", w.servers[i].token)
	}
	return w
}

// ask sends a call to both and gives what they agree on.
func (w *twins) ask(c call) reply {
	w.t.Helper()
	var replies [2]reply
	for i := range w.servers {
		replies[i] = w.send(i, c)
	}
	w.asked++
	w.seen[replies[0].status]++
	if diff := differences(replies[0], replies[1]); diff != "" {
		w.t.Errorf("call %d: %s\n- SQLite\n+ PostgreSQL\n%s", w.asked, c, diff)
		if w.diffs++; w.diffs == 10 || replies[0].status != replies[1].status {
			w.t.FailNow() // what follows would differ because of this
		}
	}
	return replies[0]
}

func (w *twins) send(i int, c call) reply {
	w.t.Helper()
	names := w.aliases[i]
	var options []option
	if c.who != "" {
		options = append(options, header("Authorization", "Bearer "+names.values(c.who)))
	}
	if c.contentType == "" && c.body != "" {
		c.contentType = "application/json"
	}
	if c.contentType != "" {
		options = append(options, header("Content-Type", c.contentType))
	}
	if c.ifMatch != "" {
		options = append(options, header("If-Match", c.ifMatch))
	}
	if c.ifNoneMatch != "" {
		options = append(options, header("If-None-Match", c.ifNoneMatch))
	}
	if c.key != "" {
		options = append(options, header("Idempotency-Key", c.key))
	}
	if c.accept != "" {
		options = append(options, header("Accept", c.accept))
	}
	a := w.servers[i].do(c.method, names.values(c.path), names.values(c.body), options...)
	// When a client was last used is stored every five seconds: between which two
	// calls is the machine's business. (clientstates_test.go looks at it.)
	body := regexp.MustCompile(`"last_used_at":"[^"]*",?`).ReplaceAllString(a.body, "")
	r := reply{status: a.status, body: names.names(body)}
	for _, name := range []string{"Location", "ETag", "Content-Type", "Allow", "Cache-Control", "WWW-Authenticate", "Retry-After", "Idempotency-Replayed"} {
		r.header += name + ": " + names.names(a.header.Get(name)) + "\n"
	}
	_ = json.Unmarshal([]byte(r.body), &r.json)
	return r
}

func (r reply) text(member string) string {
	text, _ := r.json[member].(string)
	return text
}

func (r reply) etag() string     { return r.headerOf("ETag") }
func (r reply) location() string { return r.headerOf("Location") }

func (r reply) headerOf(name string) string {
	_, rest, _ := strings.Cut(r.header, name+": ")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// aliases name what a server chose itself, in order of first appearance, so
// that two servers that chose differently say the same.
type aliases struct {
	nameOf, valueOf map[string]string
	count           map[string]int
	chosen, alias   *regexp.Regexp
}

func newAliases() *aliases {
	return &aliases{
		nameOf: map[string]string{}, valueOf: map[string]string{}, count: map[string]int{},
		chosen: regexp.MustCompile(`(?P<token>eyJ[\w-]+\.[\w-]+\.[\w-]+)` +
			`|(?P<secret>cbs_[\w-]{43})` +
			`|(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})` +
			`|(?P<time>20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)` +
			`|"jti":"(?P<jti>[\w-]{22})"` +
			`|"next_cursor":"(?P<cursor>[\w-]+)"`),
		alias: regexp.MustCompile(`\{(?:token|secret|id|time|jti|cursor)-\d+\}`),
	}
}

// name gives the alias of a value.
func (a *aliases) name(kind, value string) string {
	name, ok := a.nameOf[value]
	if !ok {
		a.count[kind]++
		name = fmt.Sprintf("{%s-%d}", kind, a.count[kind])
		a.nameOf[value], a.valueOf[name] = name, value
	}
	return name
}

// names puts aliases for values.
func (a *aliases) names(text string) string {
	var out strings.Builder
	end := 0
	for _, m := range a.chosen.FindAllStringSubmatchIndex(text, -1) {
		for group, kind := range a.chosen.SubexpNames() {
			if from, to := m[2*group], m[2*group+1]; group > 0 && from >= 0 {
				out.WriteString(text[end:from] + a.name(kind, text[from:to]))
				end = to
			}
		}
	}
	return out.String() + text[end:]
}

// values puts values for aliases; of what has no value the alias stays.
func (a *aliases) values(text string) string {
	return a.alias.ReplaceAllStringFunc(text, func(name string) string {
		if value, ok := a.valueOf[name]; ok {
			return value
		}
		return name
	})
}

// differences are the lines that only one of two replies has.
func differences(a, b reply) string {
	lines := func(r reply) []string {
		var indented bytes.Buffer
		if json.Indent(&indented, []byte(r.body), "", "  ") != nil {
			indented.Reset()
			indented.WriteString(r.body)
		}
		return strings.Split(fmt.Sprintf("status %d %s\n%s%s", r.status, http.StatusText(r.status), r.header, indented.String()), "\n")
	}
	one, two := lines(a), lines(b)
	for len(one) > 0 && len(two) > 0 && one[0] == two[0] {
		one, two = one[1:], two[1:]
	}
	for len(one) > 0 && len(two) > 0 && one[len(one)-1] == two[len(two)-1] {
		one, two = one[:len(one)-1], two[:len(two)-1]
	}
	var diff strings.Builder
	for i := range max(len(one), len(two)) {
		switch {
		case i < len(one) && i < len(two) && one[i] == two[i]:
			continue
		case i < len(one) && i < len(two):
			diff.WriteString("- " + one[i] + "\n+ " + two[i] + "\n")
		case i < len(one):
			diff.WriteString("- " + one[i] + "\n")
		default:
			diff.WriteString("+ " + two[i] + "\n")
		}
	}
	return diff.String()
}

// The comparison itself sees what differs, and nothing else.
func TestDifferences(t *testing.T) {
	const idOne, idTwo, idThree = "019aa2f0-7c1e-7b54-9a51-3f0e6f6d2c11", "019aa2f0-7c1e-7b54-9a51-3f0e6f6d2c12", "019aa2f0-7c1e-7b54-9a51-3f0e6f6d2c13"
	object := func(id, created, updated, cursor string) string {
		return fmt.Sprintf(`{"id":%q,"created_at":%q,"updated_at":%q,"next_cursor":%q}`, id, created, updated, cursor)
	}
	said := object(idOne, "2026-11-24T08:12:55.1Z", "2026-11-24T08:12:55.1Z", "abc")
	for rule, c := range map[string]struct {
		a, b []reply // in turn
		diff string
	}{
		"other values in the same places": {[]reply{{body: said}}, []reply{{body: object(idTwo, "2026-11-24T09:00:00Z", "2026-11-24T09:00:00Z", "x_-9")}}, ""},
		"the status":                      {[]reply{{status: 200}}, []reply{{status: 404}}, "- status 200 OK\n+ status 404 Not Found\n"},
		"a header":                        {[]reply{{header: "ETag: \"1\"\n"}}, []reply{{header: "ETag: \"2\"\n"}}, "- ETag: \"1\"\n+ ETag: \"2\"\n"},
		"a member":                        {[]reply{{body: `{"a":1,"b":2}`}}, []reply{{body: `{"a":1,"b":3}`}}, "-   \"b\": 2\n+   \"b\": 3\n"},
		"the order of members":            {[]reply{{body: `{"a":1,"b":2}`}}, []reply{{body: `{"b":2,"a":1}`}}, "-   \"a\": 1,\n+   \"b\": 2,\n-   \"b\": 2\n+   \"a\": 1\n"},
		"times that are one and are two":  {[]reply{{body: said}}, []reply{{body: object(idTwo, "2026-11-24T09:00:00Z", "2026-11-24T09:00:01Z", "x_-9")}}, "-   \"updated_at\": \"{time-1}\",\n+   \"updated_at\": \"{time-2}\",\n"},
		"ids in another order": {
			[]reply{{body: idOne + " " + idTwo}, {body: idOne}}, []reply{{body: idThree + " " + idOne}, {body: idOne}}, "- {id-1}\n+ {id-2}\n",
		},
	} {
		t.Run(rule, func(t *testing.T) {
			one, two, diff := newAliases(), newAliases(), ""
			for i := range c.a {
				sent := c.a[i].body
				c.a[i].body, c.b[i].body = one.names(c.a[i].body), two.names(c.b[i].body)
				if back := one.values(c.a[i].body); back != sent {
					t.Errorf("%s became %s", sent, back)
				}
				diff += differences(c.a[i], c.b[i])
			}
			if diff != c.diff {
				t.Errorf("got\n%s\nwant\n%s", diff, c.diff)
			}
		})
	}
}
