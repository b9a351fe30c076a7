package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// permit is what an operation answers to those who may know of it. To anybody
// else it is 401, 403 or 404 whatever the operation.
type permit struct {
	body     string // valid, behind a query if it begins with ?; {integrator} stands for the integrator's id
	own      int    // to an integrator, on its own
	operator int
}

// permits has a row for every operation of openapi.yaml.
func permits() map[string]permit {
	const keyURL, lockHolder = `{"issuer":"https://{integrator}.example/","url":"https://idp.invalid/jwks.json"}`, `{"name":"New","country_iso":"NO","organization_id":"{integrator}","organization_id_suffix":"new"}`
	const shown = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ1cm46eCJ9.c2ln" // of the issuer urn:x
	return map[string]permit{
		"PUT /integrators":                           {`?name={integrator} {}`, 404, 201},
		"PUT /lock-holders":                          {`?country_iso=NO&organization_id={integrator}&organization_id_suffix=put {"name":"New"}`, 404, 201},
		"PUT /resource-servers":                      {`?audience=https://put.{integrator}.example {"name":"New"}`, 404, 201},
		"PUT /integrators/{integrator}/key-urls":     {`?issuer=https://put.{integrator}.example/&url=https://idp.invalid/jwks.json {}`, 201, 201},
		"PUT /integrators/{integrator}/clients":      {`?client_name=put {}`, 201, 201},
		"PUT /integrators/{integrator}/scope-rules":  {`?permission=put {"scope":"put"}`, 403, 201},
		"GET /integrators":                           {"", 404, 200},
		"POST /integrators":                          {`{"name":"New"}`, 404, 201},
		"GET /integrators/{integrator}":              {"", 200, 200},
		"PATCH /integrators/{integrator}":            {`{"name":"Renamed"}`, 403, 200},
		"DELETE /integrators/{integrator}":           {"", 403, 204},
		"GET /lock-holders":                          {"", 404, 200},
		"POST /lock-holders":                         {lockHolder, 404, 201},
		"GET /lock-holders/{lock_holder}":            {"", 404, 200},
		"PATCH /lock-holders/{lock_holder}":          {`{"name":"Renamed"}`, 404, 200},
		"DELETE /lock-holders/{lock_holder}":         {"", 404, 204},
		"GET /resource-servers":                      {"", 404, 200},
		"POST /resource-servers":                     {`{"name":"New","audience":"https://new.{integrator}.example"}`, 404, 201},
		"GET /resource-servers/{resource_server}":    {"", 404, 200},
		"PATCH /resource-servers/{resource_server}":  {`{"name":"Renamed"}`, 404, 200},
		"DELETE /resource-servers/{resource_server}": {"", 404, 204},

		"GET /integrators/{integrator}/key-urls":                    {"", 200, 200},
		"POST /integrators/{integrator}/key-urls":                   {keyURL, 201, 201},
		"GET /integrators/{integrator}/key-urls/{key_url}":          {"", 200, 200},
		"PATCH /integrators/{integrator}/key-urls/{key_url}":        {`{"max_lifetime":60}`, 200, 200},
		"DELETE /integrators/{integrator}/key-urls/{key_url}":       {"", 204, 204},
		"POST /integrators/{integrator}/key-urls/check":             {`{"url":"https://idp.invalid/jwks.json"}`, 200, 200},
		"POST /integrators/{integrator}/key-urls/{key_url}/refresh": {"", 200, 200},
		"POST /integrators/{integrator}/key-urls/from-token":        {`{"subject_token":"` + shown + `"}`, 200, 200},
		"GET /integrators/{integrator}/key-urls/{key_url}/audit":    {"", 200, 200},
		"POST /integrators/{integrator}/exchanges/explain":          {`{"subject_token":"` + shown + `"}`, 200, 200},
		"GET /audit-events":                                           {"", 200, 200},
		"GET /signing-keys":                                           {"", 404, 200},
		"POST /signing-keys/rotate":                                   {"", 404, 200},
		"GET /failing-key-urls":                                       {"", 404, 200},
		"GET /provider-presets":                                       {"", 200, 200},
		"GET /integrators/{integrator}/clients":                       {"", 200, 200},
		"POST /integrators/{integrator}/clients":                      {`{"client_name":"new"}`, 201, 201},
		"GET /integrators/{integrator}/clients/{client_id}":           {"", 200, 200},
		"PATCH /integrators/{integrator}/clients/{client_id}":         {`{"client_name":"renamed"}`, 200, 200},
		"DELETE /integrators/{integrator}/clients/{client_id}":        {"", 204, 204},
		"POST /integrators/{integrator}/clients/{client_id}/secret":   {"", 201, 201},
		"GET /integrators/{integrator}/lock-holders":                  {"", 200, 200},
		"GET /integrators/{integrator}/lock-holders/{lock_holder}":    {"", 200, 200},
		"PUT /integrators/{integrator}/lock-holders/{lock_holder}":    {"", 403, 204},
		"DELETE /integrators/{integrator}/lock-holders/{lock_holder}": {"", 403, 204},
		"GET /integrators/{integrator}/scope-rules":                   {"", 200, 200},
		"POST /integrators/{integrator}/scope-rules":                  {`{"permission":"new","scope":"new"}`, 403, 201},
		"GET /integrators/{integrator}/scope-rules/{scope_rule}":      {"", 200, 200},
		"PATCH /integrators/{integrator}/scope-rules/{scope_rule}":    {`{"scope":"renamed"}`, 403, 200},
		"DELETE /integrators/{integrator}/scope-rules/{scope_rule}":   {"", 403, 204},
		"GET /integrators/{integrator}/exchanges":                     {"", 200, 200},
		"GET /exchange-statistics":                                    {"", 404, 200},
		"GET /integrators/{integrator}/exchange-statistics":           {"", 200, 200},
		"POST /integrators/{integrator}/tokens/revoke":                {"", 204, 204},
	}
}

// An integrator's client with integrator.admin can do all of its own and
// nothing of another's; nobody else can do anything.
func TestWhoMayDoWhat(t *testing.T) {
	w := newCompany(t)
	operations := operationsOf(t)
	table := permits()
	for operation, described := range operations {
		row, ok := table[operation]
		if !ok {
			t.Errorf("%s has no row here", operation)
			continue
		}
		t.Run(operation, func(t *testing.T) {
			// The document tells integrators which operations are for them.
			forIntegrators := described.Security == nil || slices.ContainsFunc(*described.Security, func(r openapi3.SecurityRequirement) bool { return slices.Contains(r["bearer"], "integrator.admin") })
			if forIntegrators != (row.own < 300) {
				t.Errorf("an integrator gets %d, and the document says that it may: %v", row.own, forIntegrators)
			}
			w.refuses(t, operation, row)
			w.allows(t, operation, row)
		})
	}
	for operation := range table {
		if operations[operation] == nil {
			t.Errorf("%s is not in the document", operation)
		}
	}
}

// operationsOf reads openapi.yaml; what needs no token is left out.
func operationsOf(t *testing.T) map[string]*openapi3.Operation {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromFile(filepath.Join("..", "..", "admin", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	operations := map[string]*openapi3.Operation{}
	for path, item := range document.Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.Security != nil && len(*operation.Security) == 0 {
				if path != "/openapi.yaml" {
					t.Errorf("%s %s needs no token", method, path)
				}
				continue
			}
			operations[method+" "+path] = operation
		}
	}
	return operations
}

// company is a server with tenants, and tokens that are good for nothing.
type company struct {
	s        *server
	operator *server // the same, for what is not under test here
	idp      *testIDP
	tenants  int
	victim   *tenant // whom everybody tries to change, and who stays as it is
	other    *tenant // and another one
	revoked  string
	expired  string
	issued   string // by an exchange
}

// tenant is an integrator with one object of each kind.
type tenant struct {
	ids   map[string]string // by path variable
	token string            // of its own administrator
}

func newCompany(t *testing.T) *company {
	t.Helper()
	clock := &clock{}
	s := startServerAt(t, clock.now, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.idp.now = clock.now
	acme.manage("919424508", "east")
	operator := *s
	operator.document = nil // other tests hold these answers against openapi.yaml
	w := &company{s: s, operator: &operator, idp: acme.idp, revoked: acme.adminToken("integrator.admin")}
	_, claims := decodeToken(t, w.revoked)
	if err := s.p.store.Revoke(t.Context(), claims["jti"].(string), farFuture()); err != nil {
		t.Fatal(err)
	}
	id, secret := acme.newClient(object{"client_name": "short", "scope": "integrator.admin", "access_token_ttl": 60})
	form := url.Values{"grant_type": {grants.ClientCredentials}}
	w.expired = s.post(tokenEndpoint, basic(id, secret), form).mustBe(t, http.StatusOK).text("access_token")
	clock.advance(2 * time.Minute)
	w.issued = acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token")
	w.victim, w.other = w.tenant(), w.tenant()
	return w
}

func (w *company) tenant() *tenant {
	w.s.t.Helper()
	w.tenants++
	name := fmt.Sprint("tenant-", w.tenants)
	made := func(path, member string, body object) string {
		return w.operator.admin("POST", path, body).mustBe(w.s.t, http.StatusCreated).text(member)
	}
	t := &tenant{ids: map[string]string{}}
	integrator := made("/integrators", "id", object{"name": name})
	of := "/integrators/" + integrator
	t.ids["integrator"] = integrator
	t.ids["lock_holder"] = made("/lock-holders", "id", object{"name": name, "country_iso": "NO", "organization_id": name})
	t.ids["resource_server"] = made("/resource-servers", "id", object{"name": name, "audience": "https://" + name + ".example"})
	t.ids["key_url"] = made(of+"/key-urls", "id", object{"issuer": "https://" + name + ".example/", "url": w.idp.url("/jwks.json"), "mode": "audit", "change": object{"max_lifetime": 60}})
	t.ids["client_id"] = made(of+"/clients", "client_id", object{"client_name": name})
	t.ids["scope_rule"] = made(of+"/scope-rules", "id", object{"permission": name, "scope": name})
	w.operator.admin("PUT", of+"/lock-holders/"+t.ids["lock_holder"], nil).mustBe(w.s.t, http.StatusNoContent)
	t.token = (&party{s: w.operator, id: integrator}).adminToken("integrator.admin")
	w.s.flush() // or the client's last use would show up as a change
	return t
}

// state is all that there is of a tenant, as the operator sees it.
func (w *company) state(t *tenant) string {
	w.s.t.Helper()
	of := "/integrators/" + t.ids["integrator"]
	state := ""
	for _, path := range []string{of, of + "/key-urls", of + "/clients", of + "/lock-holders", of + "/scope-rules", of + "/exchanges",
		"/lock-holders/" + t.ids["lock_holder"], "/resource-servers/" + t.ids["resource_server"]} {
		state += path + ": " + w.operator.admin("GET", path, nil).mustBe(w.s.t, http.StatusOK).body + "\n"
	}
	w.s.mustBeActive(t.token, true)
	return state
}

// call asks for an operation; ids are the values of its path's variables.
func (w *company) call(operation, body, token string, ids map[string]string) answer {
	w.s.t.Helper()
	method, path, _ := strings.Cut(operation, " ")
	for name, id := range ids {
		path, body = strings.ReplaceAll(path, "{"+name+"}", id), strings.ReplaceAll(body, "{"+name+"}", id)
	}
	if query, rest, ok := strings.Cut(body, " "); ok && strings.HasPrefix(query, "?") {
		path, body = path+query, rest
	}
	var options []option
	if token != "" {
		options = append(options, header("Authorization", "Bearer "+token))
	}
	if body != "" {
		options = append(options, header("Content-Type", "application/json"))
	}
	return w.s.do(method, "/admin/v1"+path, body, options...)
}

// with gives ids of which some are others.
func with(ids, others map[string]string, names ...string) map[string]string {
	ids = maps.Clone(ids)
	for _, name := range names {
		ids[name] = others[name]
	}
	return ids
}

// refuses: whoever may not gets nothing, and nothing has changed afterwards.
func (w *company) refuses(t *testing.T, operation string, row permit) {
	mine, theirs := w.victim, w.other
	before := w.state(mine) + w.state(theirs)
	lists := w.lists()
	for who, token := range map[string]string{"nobody": "", "garbage": "x", "a revoked token": w.revoked, "an expired token": w.expired, "a subject token": w.idp.token(nil)} {
		t.Run(who, func(t *testing.T) {
			w.call(operation, row.body, token, mine.ids).mustBeProblem(t, 401, "invalid_token")
		})
	}
	t.Run("a token of an exchange", func(t *testing.T) {
		w.call(operation, row.body, w.issued, mine.ids).mustBeProblem(t, 403, "insufficient_scope")
	})
	if row.own != http.StatusOK || strings.Contains(operation, "{") { // it is somebody's
		t.Run("another's", func(t *testing.T) {
			w.call(operation, row.body, mine.token, theirs.ids).mustBeProblem(t, 404, "not_found")
		})
	}
	nested := slices.DeleteFunc(slices.Sorted(maps.Keys(mine.ids)), func(name string) bool { return name == "integrator" || !strings.Contains(operation, "{"+name+"}") })
	if strings.Contains(operation, "{integrator}") && len(nested) > 0 {
		t.Run("another's, below one's own", func(t *testing.T) { w.refusesNested(t, operation, row, mine, theirs, nested) })
	}
	if after := w.state(mine) + w.state(theirs); after != before {
		t.Errorf("something was changed\nfrom %s\nto %s", before, after)
	}
	if after := w.lists(); after != lists {
		t.Errorf("something was made\nfrom %s\nto %s", lists, after)
	}
}

// lists is what has been made of the kinds that are no integrator's.
func (w *company) lists() string {
	w.s.t.Helper()
	lists := ""
	for _, path := range []string{"/integrators", "/lock-holders", "/resource-servers"} {
		for cursor := ""; ; {
			page := w.operator.admin("GET", path+"?limit=200&cursor="+cursor, nil).mustBe(w.s.t, http.StatusOK)
			lists += page.body
			if cursor = page.text("next_cursor"); cursor == "" {
				break
			}
		}
	}
	return lists
}

// refusesNested: an object of another integrator is not found below one's own
// path, not even by the operator, and no answer tells that it exists elsewhere.
func (w *company) refusesNested(t *testing.T, operation string, row permit, mine, theirs *tenant, nested []string) {
	status, code := http.StatusNotFound, "not_found"
	if row.own == http.StatusForbidden {
		status, code = http.StatusForbidden, "forbidden"
	}
	for _, owner := range []string{"me", mine.ids["integrator"]} {
		ids := with(mine.ids, theirs.ids, nested...)
		ids["integrator"] = owner
		a := w.call(operation, row.body, mine.token, ids).mustBeProblem(t, status, code)
		for _, name := range nested {
			ids[name] = "019aa2f0-0000-7000-8000-000000000000" // nobody's
		}
		if b := w.call(operation, row.body, mine.token, ids); a.body != b.body || a.status != b.status {
			t.Errorf("what exists is %s, what does not is %s", a.body, b.body)
		}
	}
	if !strings.HasSuffix(operation, "/lock-holders/{lock_holder}") || strings.HasPrefix(operation, "GET") { // which the operator may link to anybody
		w.call(operation, row.body, w.s.token, with(mine.ids, theirs.ids, nested...)).mustBeProblem(t, 404, "not_found")
	}
}

// allows: an integrator does its own, by its id and as me, and the operator
// everything; another's has not changed afterwards.
func (w *company) allows(t *testing.T, operation string, row permit) {
	before := w.state(w.other)
	for _, named := range []string{"its id", "me"} {
		t.Run("its own by "+named, func(t *testing.T) {
			mine := w.tenant()
			ids := maps.Clone(mine.ids)
			if named == "me" {
				ids["integrator"] = "me"
			}
			body := strings.ReplaceAll(row.body, "{integrator}", mine.ids["integrator"])
			was := w.state(mine)
			if a := w.call(operation, body, mine.token, ids).mustBe(t, row.own); row.own == 403 {
				a.mustBeProblem(t, 403, "forbidden")
			}
			if row.own >= 400 && w.state(mine) != was {
				t.Error("refused, and something was changed")
			}
		})
	}
	t.Run("the operator", func(t *testing.T) { w.call(operation, row.body, w.s.token, w.tenant().ids).mustBe(t, row.operator) })
	if after := w.state(w.other); after != before {
		t.Errorf("another's was changed\nfrom %s\nto %s", before, after)
	}
}
