package panel

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// platformPage is a list of what is the platform's, with a form for one more.
type platformPage[T any] struct {
	Items  []T
	Next   string
	Form   *form
	Once   string
	Search string
}

func (p *Panel) lockHolders(v *visit) (page, error) {
	return lockHoldersPage(v, &form{Values: url.Values{}})
}

func lockHoldersPage(v *visit, f *form) (page, error) {
	query, search := cursorOf(v), strings.TrimSpace(v.URL.Query().Get("search"))
	if search != "" {
		query.Set("search", search)
	}
	holders, err := read[lockHolder](v, "/lock-holders", query)
	data := platformPage[lockHolder]{Search: search, Items: holders.Items, Next: nextPage(v, holders.Next), Form: f}
	return page{template: "lockholders", title: "Lock holders", status: f.status(), data: data}, err
}

// cursorOf gives where in a list this page is.
func cursorOf(v *visit) url.Values {
	query := url.Values{"limit": {"50"}}
	if cursor := v.URL.Query().Get("cursor"); cursor != "" {
		query.Set("cursor", cursor)
	}
	return query
}

func (p *Panel) createLockHolder(v *visit) (page, error) {
	f := &form{Values: v.PostForm}
	body := map[string]any{}
	for _, name := range []string{"name", "country_iso", "organization_id", "organization_id_suffix"} {
		body[name] = v.PostForm.Get(name)
	}
	_, err := v.ask(request{method: http.MethodPost, path: "/lock-holders", body: body}, nil)
	if err == nil {
		return done(Prefix+"lock-holders", "created"), nil
	}
	if err := f.faulty(err); err != nil {
		return page{}, err
	}
	return lockHoldersPage(v, f)
}

func (p *Panel) deleteLockHolder(v *visit) (page, error) {
	_, err := v.ask(request{method: http.MethodDelete, path: path("lock-holders", v.PathValue("lock_holder"))}, nil)
	return done(Prefix+"lock-holders", "deleted"), err
}

func (p *Panel) resourceServers(v *visit) (page, error) {
	return resourceServersPage(v, &form{Values: url.Values{}})
}

func resourceServersPage(v *visit, f *form) (page, error) {
	servers, err := read[resourceServer](v, "/resource-servers", cursorOf(v))
	data := platformPage[resourceServer]{Items: servers.Items, Next: nextPage(v, servers.Next), Form: f, Once: rand.Text()}
	return page{template: "resourceservers", title: "Resource servers", status: f.status(), data: data}, err
}

// createResourceServer shows the secret in its answer, and nowhere else.
func (p *Panel) createResourceServer(v *visit) (page, error) {
	f := &form{Values: v.PostForm}
	var made resourceServer
	body := map[string]any{"name": v.PostForm.Get("name"), "audience": v.PostForm.Get("audience")}
	reply, err := v.ask(request{method: http.MethodPost, path: "/resource-servers", body: body, once: v.PostForm.Get("once")}, &made)
	if err != nil {
		if err := f.faulty(err); err != nil {
			return page{}, err
		}
		return resourceServersPage(v, f)
	}
	if reply.replayed {
		return page{}, shownBefore()
	}
	return page{template: "secret", title: made.Name, data: secretPage{
		Lead:     "The resource server introspects tokens with these credentials. The secret is shown this once: what is stored is a hash of it.",
		ClientID: made.ClientID, Secret: made.Secret, Continue: Prefix + "resource-servers", Label: "Done",
	}}, nil
}

func (p *Panel) deleteResourceServer(v *visit) (page, error) {
	_, err := v.ask(request{method: http.MethodDelete, path: path("resource-servers", v.PathValue("server"))}, nil)
	return done(Prefix+"resource-servers", "deleted"), err
}

type signingKeysPage struct {
	Keys     []signingKey
	Timeline lanes
}

func (p *Panel) signingKeys(v *visit) (page, error) {
	var keys list[signingKey]
	if _, err := v.get("/signing-keys", &keys); err != nil {
		return page{}, err
	}
	show := signingKeysPage{Keys: keys.Items}
	var lives []life
	for _, k := range keys.Items {
		lives = append(lives, life{Name: k.KeyID, Class: k.State, From: k.CreatedAt, To: k.RetiredAt})
	}
	show.Timeline = timeline("When each signing key was in use", p.config.Now(), lives)
	return page{template: "signingkeys", title: "Signing keys", data: show}, nil
}

func (p *Panel) rotateSigningKeys(v *visit) (page, error) {
	_, err := v.ask(request{method: http.MethodPost, path: "/signing-keys/rotate"}, nil)
	return done(Prefix+"signing-keys", "rotated"), err
}

// auditPage says who changed what.
type auditPage struct {
	Rows []auditRow
	Next string
}

type auditRow struct {
	auditEvent
	Changes []change
}

// change is a member that has another value than before.
type change struct{ Member, Before, After string }

func (p *Panel) auditEvents(v *visit) (page, error) {
	events, err := read[auditEvent](v, "/audit-events", cursorOf(v))
	if err != nil {
		return page{}, err
	}
	show := auditPage{Next: nextPage(v, events.Next)}
	for _, e := range events.Items {
		show.Rows = append(show.Rows, auditRow{e, changesOf(e)})
	}
	return page{template: "audit", title: "Audit", data: show}, nil
}

// changesOf compares what was there before with what is there after.
func changesOf(e auditEvent) []change {
	before, after := members(e.Before), members(e.After)
	var changes []change
	for _, name := range sortedNames(before, after) {
		was, is := string(before[name]), string(after[name])
		if was == is || was == "" && (is == "null" || is == "[]" || is == `""` || is == "false") {
			continue
		}
		changes = append(changes, change{name, cut(plain(was), 160), cut(plain(is), 160)})
	}
	return changes
}

func members(data json.RawMessage) map[string]json.RawMessage {
	var values map[string]json.RawMessage
	if len(data) > 0 {
		_ = json.Unmarshal(data, &values) // what is no object has no members
	}
	return values
}

// plain writes a JSON text without its quotes.
func plain(value string) string {
	var text string
	if json.Unmarshal([]byte(value), &text) == nil {
		return text
	}
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(value)) == nil {
		return compact.String()
	}
	return value
}

func sortedNames(before, after map[string]json.RawMessage) []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	slices.Sort(names)
	return slices.Compact(names)
}
