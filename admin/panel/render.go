package panel

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"time"
)

// layout is what every page shows around its own.
type layout struct {
	Title      string
	Person     *Person
	Operator   bool
	Nav        []navLink
	Integrator *integrator // whose pages these are
	Tabs       []navLink
	Done       string
	Data       any
	Now        time.Time
	Version    string
	CSS, JS    string
}

type navLink struct {
	Label, Target string
	Current       bool
}

func (p *Panel) layout(v *visit, answer page) layout {
	l := layout{
		Title: answer.title, Person: v.person, Operator: v.operator(), Integrator: v.integrator, Data: answer.data,
		Done: doneTexts(v.URL.Query().Get("done")), Now: p.config.Now(), Version: p.config.Version,
		CSS: p.assets["panel.css"].address, JS: p.assets["panel.js"].address,
	}
	if v.person == nil {
		return l
	}
	here := v.URL.Path
	add := func(links *[]navLink, label, target string, current bool) {
		*links = append(*links, navLink{label, target, current})
	}
	at := func(target string) bool { return here == target || strings.HasPrefix(here, target+"/") }
	if v.operator() {
		add(&l.Nav, "Overview", Prefix, here == Prefix)
		for _, link := range [][2]string{
			{"Integrators", "integrators"}, {"Lock holders", "lock-holders"}, {"Resource servers", "resource-servers"},
			{"Signing keys", "signing-keys"}, {"Audit", "audit"},
		} {
			add(&l.Nav, link[0], Prefix+link[1], at(Prefix+link[1]))
		}
	} else {
		add(&l.Nav, "Your integration", Prefix+"integrators/me", at(Prefix+"integrators/me"))
		add(&l.Nav, "Audit", Prefix+"audit", at(Prefix+"audit"))
	}
	if v.integrator != nil && v.integrator.ID != "" {
		add(&l.Tabs, "Summary", v.home(), here == v.home())
		for _, tab := range [][2]string{
			{"Key URLs", "key-urls"}, {"Clients", "clients"}, {"Entitlements", "entitlements"}, {"Exchanges", "exchanges"}, {"Why refused?", "explain"},
		} {
			add(&l.Tabs, tab[0], v.home(tab[1]), at(v.home(tab[1])))
		}
	}
	return l
}

// doneTexts says what has just been done. Only these can be said: the word comes
// from the address, which anybody can write.
func doneTexts(word string) string {
	return map[string]string{
		"created":   "Created.",
		"saved":     "Saved. It is in force on every replica within a second.",
		"deleted":   "Deleted.",
		"refreshed": "The keys were fetched just now. What was taken out of the document is refused from now on.",
		"revoked":   "Revoked. The tokens are dead on every replica.",
		"linked":    "Linked.",
		"withdrawn": "Withdrawn. Tokens with it are no longer issued.",
		"rotated":   "Rotated. New tokens are signed by the new key; the old one stays published until its last token has ended.",
	}[word]
}

func (p *Panel) loadPages() (map[string]*template.Template, error) {
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	shared, err := template.New("").Funcs(p.functions()).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "templates/"), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		own, err := shared.Clone()
		if err != nil {
			return nil, err
		}
		if pages[name], err = own.ParseFS(templateFiles, file); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

// functions are what templates can call.
func (p *Panel) functions() template.FuncMap {
	return template.FuncMap{
		"ago":    func(t time.Time) string { return ago(p.config.Now(), t) },
		"stamp":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
		"iso":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"join":   strings.Join,
		"words":  words,
		"cut":    cut,
		"many":   manyOf,
		"field":  newField,
		"reason": func(code string) string { return reasonsPage + "#" + code },
		"dict":   dict,
		"link":   safeLink,
		"span":   span,
	}
}

// words writes a code for people.
func words(code string) string {
	text := strings.ReplaceAll(code, "_", " ")
	return strings.NewReplacer("key url", "key URL", "id token", "ID token", "jwks", "JWKS", "http", "HTTP", "tls", "TLS").Replace(text)
}

// reasonsPage explains every reason of a refusal.
const reasonsPage = "https://github.com/cambio-oauth/cambio/blob/main/docs/reasons.md"

// safeLink gives the address to link to, when it is one of a page: what strangers
// registered must not become a link to anything else (ADM-07).
func safeLink(address string) string {
	if strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://") {
		return address
	}
	return ""
}

// dict gives a template several values.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("dict wants names and values")
	}
	values := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, errors.New("dict wants texts as names")
		}
		values[name] = pairs[i+1]
	}
	return values, nil
}

// cut shortens an id in the middle, where it tells least.
func cut(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	head := (limit - 1) / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(limit-1-head):])
}

// many counts things in words.
func many[N int | int64](n N, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return group(int64(n)) + " " + more
}

// manyOf is many for whatever number a template has.
func manyOf(n any, one, more string) (string, error) {
	switch n := n.(type) {
	case int:
		return many(n, one, more), nil
	case int64:
		return many(n, one, more), nil
	}
	return "", fmt.Errorf("%T is no number to count with", n)
}

// group writes a number with thin spaces between thousands.
func group(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}

// ago says how long a moment is past, or still to come.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	if d < 0 {
		return "in " + span(-d)
	}
	if d < 2*time.Second {
		return "just now"
	}
	return span(d) + " ago"
}

// span says a duration in one unit.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return many(int(d.Seconds()), "second", "seconds")
	case d < time.Hour:
		return many(int(d.Minutes()), "minute", "minutes")
	case d < 48*time.Hour:
		return many(int(d.Hours()), "hour", "hours")
	}
	return many(int(d.Hours()/24), "day", "days")
}

// asset is a file that browsers keep: its address changes with it.
type asset struct {
	address, mediaType string
	data, packed       []byte // packed by gzip
}

func loadAssets() (map[string]asset, error) {
	assets := map[string]asset{}
	for name, mediaType := range map[string]string{"panel.css": "text/css; charset=utf-8", "panel.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		data, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			return nil, err
		}
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		hash := sha256.Sum256(data)
		address := Prefix + "assets/" + name + "?v=" + base64.RawURLEncoding.EncodeToString(hash[:9])
		assets[name] = asset{address, mediaType, data, packed.Bytes()}
	}
	return assets, nil
}

func (p *Panel) serveAsset(w http.ResponseWriter, r *http.Request) {
	file, known := p.assets[r.PathValue("name")]
	if !known {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", file.mediaType)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Vary", "Accept-Encoding")
	// Pages are never packed: what is secret in them would show in their length,
	// beside what somebody else wrote (BREACH).
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(file.packed)
		return
	}
	_, _ = w.Write(file.data)
}
