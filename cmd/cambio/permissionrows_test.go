package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

const (
	bareScope = "lockHolder.identifier:NO.919424508."
	apexScope = "lockHolder.identifier:NO.425234653."
)

// permissionRow is a row of the threat model's catalogue §2.3. What is granted
// is said in full: with nothing beside it, invalid_scope or the reason.
type permissionRow struct {
	rule        string
	permissions any      // nil: the claim is missing
	scope       []string // of the request, when it has one
	granted     string
	dropped     string        // why the last entry was, by the record
	reason      grants.Reason // of a refused token
}

// PRM rows over HTTP, at an integrator to which a rule gives every scope that
// a rule can give: nothing but the conversion stands in the way. Each list has
// an integrator of its own, whose record has room for a hundred refusals.
func TestPermissionRows(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	first := s.newParty("First")
	holders := []string{first.manage("919424508", "east"), first.manage("425234653", "")}
	for _, rows := range [][]permissionRow{wrongClaims(), injections(), ownScopes(), patterns(), hierarchy(), spellings(), requests()} {
		if len(rows) > 100 {
			t.Fatalf("%d rows in one list", len(rows))
		}
		acme := s.newParty("Acme")
		acme.rule("*", "$1")
		for _, holder := range holders {
			acme.share(holder)
		}
		for _, row := range rows {
			t.Run(row.rule, func(t *testing.T) { row.check(t, acme) })
		}
	}
}

func (row permissionRow) check(t *testing.T, acme *party) {
	token := acme.idp.token(object{"permissions": row.permissions})
	var members []string
	for _, scope := range row.scope {
		members = append(members, "scope", scope)
	}
	a := acme.exchange(token, members...)
	switch {
	case row.reason != "":
		a.mustRefuse(t, 400, grants.InvalidRequest, row.reason)
	case row.granted == "":
		a.mustRefuse(t, 400, grants.InvalidScope, "")
	default:
		a.mustBe(t, 200)
		if _, claims := decodeToken(t, a.text("access_token")); a.text("scope") != row.granted || claims["scope"] != row.granted {
			t.Errorf("granted %q, in the token %q, want %q", a.text("scope"), claims["scope"], row.granted)
		}
	}
	record := acme.exchanges("?limit=1")[0].(object)
	dropped := record["dropped"].([]any)
	if record["subject_token_sha256"] != hashOf(token) || row.dropped == "" && len(dropped) > 0 || row.dropped != "" && (len(dropped) == 0 || dropped[len(dropped)-1].(object)["reason"] != row.dropped) {
		t.Errorf("dropped %v, want %q", dropped, row.dropped)
	}
}

const (
	malformed = "malformed"
	unknown   = "unknown_lock_holder"
)

// PRM-01: a wrong type anywhere refuses the token, never a part of it.
func wrongClaims() []permissionRow {
	rows := []permissionRow{
		{rule: "PRM-01: missing"},
		{rule: "PRM-01: null", permissions: json.RawMessage("null")},
		{rule: "PRM-01: an empty array", permissions: []string{}},
		{rule: "PRM-12: 10,000 entries", permissions: slices.Repeat([]string{"p"}, 10_000), reason: grants.TooLarge},
		{rule: "PRM-12: the order is the sender's", permissions: []string{apexScope, lockScope, apexScope}, granted: apexScope + " " + lockScope},
	}
	for _, claim := range []string{`"` + lockScope + `"`, `"a b"`, `1`, `true`, `{"0":"` + lockScope + `"}`, `[["` + lockScope + `"]]`, `[1]`, `[null]`, `[true]`, `[{}]`, `["` + lockScope + `",1]`, `["` + lockScope + `",null]`} {
		rows = append(rows, permissionRow{rule: "PRM-01: " + claim, permissions: json.RawMessage(claim), reason: grants.PermissionsInvalid})
	}
	return rows
}

// PRM-02, PRM-03: one entry is one scope or none.
func injections() []permissionRow {
	rows := []permissionRow{
		{rule: "PRM-02: two scopes in one entry", permissions: []string{lockScope + " integrator.admin"}, dropped: malformed},
		{rule: "PRM-02: two scopes in one entry, beside a good one", permissions: []string{apexScope, lockScope + " integrator.admin"}, granted: apexScope, dropped: malformed},
		{rule: "PRM-02: two scopes in one entry for a rule", permissions: []string{"read integrator.admin"}, dropped: malformed},
	}
	for _, c := range []string{"\t", "\n", "\r", "\v", "\f", "\x00", "\u0085", "\u00a0", "\u2003", "\u2028", "\u3000", "\u200b", "%20", "+"} {
		rows = append(rows, permissionRow{rule: fmt.Sprintf("PRM-03: %q", c), permissions: []string{lockScope + c + "integrator.admin"}, dropped: malformed},
			permissionRow{rule: fmt.Sprintf("PRM-03: %q at the end", c), permissions: []string{lockScope + c}, dropped: malformed})
	}
	for _, c := range []string{"\t", "\n", "\r", "\v", "\f", "\x00", "\u0085", "\u00a0", "\u2003", "\u2028", "\u3000", "\u200b"} {
		rows = append(rows, permissionRow{rule: fmt.Sprintf("PRM-03: %q for a rule", c), permissions: []string{"read" + c + "integrator.admin"}, dropped: malformed})
	}
	return rows
}

// PRM-04: what is Cambio's own is nobody's to bring, in whatever case. Other
// scopes are an integrator's if an operator wrote a rule for them.
func ownScopes() []permissionRow {
	var rows []permissionRow
	for _, scope := range []string{"integrator.admin", "admin", "Admin", "INTEGRATOR.ADMIN", "lockHolder.admin:0b9a2d3c-5f0e-4f7c-9d5a-2f3f0a4f9d11", "LOCKHOLDER.identifier:NO.919424508.east"} {
		rows = append(rows, permissionRow{rule: "PRM-04: " + scope, permissions: []string{scope}, dropped: malformed},
			permissionRow{rule: "PRM-04: requested, " + scope, permissions: []string{lockScope, scope}, scope: []string{scope}, dropped: malformed})
	}
	return append(rows, permissionRow{rule: "PRM-04: an empty permission", permissions: []string{""}, dropped: malformed})
}

// PRM-05: a star is a character, and no identifier holds it.
func patterns() []permissionRow {
	var rows []permissionRow
	for _, pattern := range []string{"lockHolder.identifier:NO.*.", "lockHolder.identifier:NO.919424508.*", "lockHolder.*", "lockHolder.identifier:*"} {
		rows = append(rows, permissionRow{rule: "PRM-05: " + pattern, permissions: []string{pattern}, dropped: malformed},
			permissionRow{rule: "PRM-05: requested, " + pattern, permissions: []string{lockScope}, scope: []string{pattern}})
	}
	return rows
}

// PRM-06: east is managed without its apex, and an apex without its north.
func hierarchy() []permissionRow {
	return []permissionRow{
		{rule: "PRM-06: below what it manages", permissions: []string{otherLockScope}, dropped: unknown},
		{rule: "PRM-06: above what it manages", permissions: []string{bareScope}, dropped: unknown},
		{rule: "PRM-06: below, requested", permissions: []string{apexScope}, scope: []string{otherLockScope}},
		{rule: "PRM-06: above, requested", permissions: []string{lockScope}, scope: []string{bareScope}},
	}
}

// PRM-07, PRM-09: a text is read in one way, byte by byte.
func spellings() []permissionRow {
	const prefix = "lockHolder.identifier:"
	rows := []permissionRow{
		{rule: "PRM-07: two dots, an empty suffix", permissions: []string{apexScope}, granted: apexScope},
		{rule: "PRM-09: a suffix in other case", permissions: []string{prefix + "NO.919424508.East"}, dropped: unknown},
	}
	for _, text := range []string{"NO.425234653", "NO.425234653..", "NO..east", ".919424508.east", "NO.919.424508.east", "NO.aaaa.b.c", "NO.919424508.ea.st", ""} {
		rows = append(rows, permissionRow{rule: fmt.Sprintf("PRM-07: %q", text), permissions: []string{prefix + text}, dropped: malformed})
	}
	for _, text := range []string{"no.919424508.east", "No.919424508.east", "nO.919424508.east", "N\u00f8.919424508.east", "NO.919424508.ea\u017ft", "\u2115O.919424508.east"} {
		rows = append(rows, permissionRow{rule: "PRM-09: " + text, permissions: []string{prefix + text}, dropped: malformed})
	}
	return rows
}

// PRM-13 to PRM-16: the requested scope narrows, all of it or not at all.
func requests() []permissionRow {
	both := []string{lockScope, apexScope}
	all := lockScope + " " + apexScope
	return []permissionRow{
		{rule: "PRM-13: beyond the permissions", permissions: []string{lockScope}, scope: []string{apexScope}},
		{rule: "PRM-13: beyond the entitlements", permissions: []string{lockScope, otherLockScope}, scope: []string{otherLockScope}, dropped: unknown},
		{rule: "PRM-13: partly allowed", permissions: both, scope: []string{lockScope + " " + otherLockScope}},
		{rule: "PRM-14: no scope is named", permissions: both, granted: all},
		{rule: "PRM-15: nothing is left", permissions: []string{otherLockScope}, dropped: unknown},
		{rule: "PRM-16: an empty scope is none", permissions: both, scope: []string{""}, granted: all},
		{rule: "PRM-16: spaces are none", permissions: both, scope: []string{"   "}, granted: all},
		{rule: "PRM-16: spaces around and between", permissions: both, scope: []string{"  " + apexScope + "  " + lockScope + " "}, granted: all},
		{rule: "PRM-16: a scope twice", permissions: both, scope: []string{apexScope + " " + apexScope}, granted: apexScope},
		{rule: "PRM-16: 8 KiB and a byte", permissions: both, scope: []string{strings.Repeat("s", 8<<10+1)}},
	}
}

// PRM-04 where no rule was written, which is how an integrator begins.
func TestNothingIsGrantedWithoutAnEntitlement(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	for _, scope := range []string{"integrator.admin", "admin", "lockHolder.admin:0b9a2d3c-5f0e-4f7c-9d5a-2f3f0a4f9d11", "openid", "offline_access", "*", "", "."} {
		t.Run(fmt.Sprintf("PRM-04: %q", scope), func(t *testing.T) {
			permissionRow{permissions: []string{scope}, dropped: "no_rule"}.check(t, acme)
			permissionRow{permissions: []string{scope}, scope: []string{"openid"}, dropped: "no_rule"}.check(t, acme)
		})
	}
	t.Run("PRM-06: the apex without its east", func(t *testing.T) {
		acme.manage("919424508", "")
		permissionRow{permissions: []string{lockScope}, dropped: unknown}.check(t, acme)
	})
	t.Run("PRM-13: a lock holder that is another's", func(t *testing.T) {
		s.newParty("Other").manage("425234653", "north")
		permissionRow{permissions: []string{otherLockScope, bareScope}, scope: []string{otherLockScope}, dropped: "not_entitled"}.check(t, acme)
	})
	t.Run("PRM-15: the client's scope holds none of it", func(t *testing.T) {
		id, secret := acme.newClient(object{"client_name": "other", "scope": "orders.read"})
		form := exchangeForm(acme.idp.token(object{"permissions": []string{bareScope}}))
		s.post(tokenEndpoint, basic(id, secret), form).mustRefuse(t, http.StatusBadRequest, grants.InvalidScope, "")
	})
}

// PRM-16, PRM-17: a scope that is none is refused and never said back, nor is
// anything to a stranger.
func TestScopesThatAreNone(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"clientless": true}).mustBe(t, 200)
	token := acme.idp.token(nil)
	for name, scope := range map[string]string{
		"PRM-16: a tab": lockScope + "\t" + lockScope, "PRM-17: a quote": `mark"quote`, "PRM-17: a backslash": `mark\back`, "PRM-17: DEL": "mark\x7f",
		"PRM-17: two bytes": "marké", "PRM-17: a line feed": "mark\nquote", "PRM-17: markup": "<script>mark</script>",
	} {
		t.Run(name, func(t *testing.T) {
			for who, option := range map[string]option{"a client": acme.authenticated(), "a stranger": anonymous} {
				a := s.post(tokenEndpoint, option, exchangeForm(token, "scope", scope))
				a.mustRefuse(t, http.StatusBadRequest, grants.InvalidScope, "")
				said := strings.Contains(a.text("error_description"), "mark")
				if wellFormed := grants.ValidScope(scope); said != (wellFormed && who == "a client") { // to whom PRO-28 lets us say it
					t.Errorf("%s is told %s", who, a.body)
				}
				if strings.Contains(a.body, "<") || a.header.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s could take it for a page: %v %s", who, a.header, a.body)
				}
			}
		})
	}
}

// PRM-18: what an integrator has lost no exchange gives any more. What was
// issued keeps it until it expires, as docs/divergences.md has it.
func TestAnEntitlementThatIsTakenAway(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		path := "/integrators/" + acme.id
		withdraw := map[string]string{
			lockScope:     path + "/lock-holders/" + acme.manage("919424508", "east"),
			"orders.read": path + "/scope-rules/" + acme.rule("read:orders", "orders.read"),
		}
		subject := acme.idp.token(object{"permissions": []string{lockScope, "read:orders"}})
		for scope, entitlement := range withdraw {
			t.Run("PRM-18: "+scope, func(t *testing.T) {
				token := acme.exchange(subject, "scope", scope).mustBe(t, 200).text("access_token")
				s.admin("DELETE", entitlement, nil).mustBe(t, 204)
				acme.exchange(subject, "scope", scope).mustRefuse(t, 400, grants.InvalidScope, "")
				if got := s.introspect(token).mustBe(t, 200).text("scope"); got != scope {
					t.Errorf("the token that was out has the scope %q", got)
				}
				s.admin("POST", path+"/tokens/revoke", nil).mustBe(t, 204)
				s.mustBeActive(token, false)
			})
		}
	})
}
