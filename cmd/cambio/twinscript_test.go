package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
)

// The same calls on SQLite and PostgreSQL give the same answers: a script that
// is drawn at random, and always the same, is asked of two servers in step.
func TestDatabasesAnswerAlike(t *testing.T) {
	const operator = "{token-1}"
	s := &script{operator: operator, sheltered: true, twins: newTwins(t), random: rand.New(rand.NewPCG(7, 2026)), things: map[string][]thing{}, cursors: []string{"", "x"}}
	s.open()
	s.play(600)
	s.sweep()
	s.sheltered = false
	s.play(100)
	for _, status := range []int{200, 201, 204, 400, 401, 403, 404, 405, 409, 412, 415, 422} {
		if s.seen[status] == 0 {
			t.Errorf("no call was answered %d: the script proves little", status)
		}
	}
	if s.asked < 700 || s.seen[201] < 50 || s.seen[200]+s.seen[204] < 150 {
		t.Errorf("the script proves little: %d calls, answered %v", s.asked, s.seen)
	}
	if s.replayed < 5 {
		t.Errorf("only %d answers were given again", s.replayed)
	}
	t.Logf("%d calls, answered %v", s.asked, s.seen)
}

// thing is an object that was made, or was to be.
type thing struct {
	path  string
	etags []string // newest last
}

// script draws calls from what the answers so far have told.
type script struct {
	*twins
	random   *rand.Rand
	things   map[string][]thing // by kind
	operator string             // alias of its token
	cursors  []string

	replayed      int
	posted        []call // with an idempotency key, and done
	sheltered     bool   // the first integrator and its first client are left alone
	administrator string // alias of the token of the first integrator's own
	console       string // the form that gets one
}

// open makes two integrators, the first with an administrator of its own and
// users who exchanged tokens, so that there are records.
func (s *script) open() {
	idp := newTestIDP(s.t, "https://cambio.example")
	made := func(path, body string) reply {
		c := call{method: "POST", path: path, who: s.operator, body: body}
		r := s.ask(c)
		s.learn(c, r)
		return r
	}
	post := func(format string, values ...any) reply {
		return s.ask(call{method: "POST", path: tokenEndpoint, contentType: formType, body: fmt.Sprintf(format, values...)})
	}
	made("/admin/v1/integrators", `{"name":"Ærlig Ω 鍵 é"}`)
	made("/admin/v1/integrators", `{"name":"Other"}`)
	acme := s.things["integrators"][0].path
	made("/admin/v1/lock-holders", `{"name":"East","country_iso":"NO","organization_id":"919424508","organization_id_suffix":"east"}`)
	s.ask(call{method: "PUT", path: acme + strings.TrimPrefix(s.things["lock-holders"][0].path, "/admin/v1"), who: s.operator})
	made(acme+"/key-urls", fmt.Sprintf(`{"issuer":%q,"url":%q}`, idp.issuer, idp.url("/jwks.json")))
	console := made(acme+"/clients", `{"client_name":"console","scope":"integrator.admin"}`)
	s.console = fmt.Sprintf("grant_type=client_credentials&client_id=%s&client_secret=%s", console.text("client_id"), console.text("client_secret"))
	s.administrator = post("%s", s.console).text("access_token")
	backend := made(acme+"/clients", `{"client_name":"backend"}`)
	for n := range 9 {
		claims := object{"sub": fmt.Sprint("user ", n%3)}
		if n%2 == 0 {
			claims["aud"] = "https://elsewhere.example"
		}
		post("grant_type=%s&subject_token_type=%s&subject_token=%s&client_id=%s&client_secret=%s",
			grants.TokenExchange, grants.TokenTypeJWT, idp.token(claims), backend.text("client_id"), backend.text("client_secret"))
	}
	for _, path := range []string{"/jwks.json", "/nothing"} {
		s.ask(call{method: "POST", path: acme + "/key-urls/check", who: s.operator, body: fmt.Sprintf(`{"issuer":"https://checked.example/","url":%q}`, idp.url(path))})
	}
	s.ask(call{method: "POST", path: s.things["key-urls"][0].path + "/refresh", who: s.operator})
}

// learn keeps what later calls are about.
func (s *script) learn(c call, r reply) {
	location, kind := r.location(), kindOf(c.path)
	if c.key != "" && r.status < 300 {
		s.posted = append(s.posted, c)
	}
	if r.headerOf("Idempotency-Replayed") != "" { // what it tells is known
		s.replayed++
		return
	}
	if r.status == 201 && location != "" {
		s.things[kind] = append(s.things[kind], thing{path: location, etags: []string{r.etag()}})
	}
	for i := range s.things[kind] {
		if one := &s.things[kind][i]; one.path == c.path && r.status == 200 && r.etag() != "" {
			one.etags = append(one.etags, r.etag())
		}
	}
	if r.status == 401 && c.who == s.administrator { // something has ended its tokens
		if again := s.ask(call{method: "POST", path: tokenEndpoint, contentType: formType, body: s.console}); again.status == 200 {
			s.administrator = again.text("access_token")
		}
	}
	if cursor := r.text("next_cursor"); cursor != "" {
		s.cursors = append(s.cursors, cursor)
	}
}

// play asks calls as they are drawn.
func (s *script) play(calls int) {
	for range calls {
		c := s.draw()
		s.learn(c, s.ask(c))
	}
}

// sweep reads all there is: every list page by page, the record by every
// filter and as an export.
func (s *script) sweep() {
	lists := []string{s.things["integrators"][0].path + "/exchanges", s.things["integrators"][0].path + "/lock-holders"}
	for _, kind := range kinds() {
		path := "/admin/v1/" + kind
		if strings.Contains(s.things[kind][0].path, "/integrators/") && kind != "integrators" {
			path = s.things["integrators"][0].path + "/" + kind
		}
		lists = append(lists, path)
	}
	for _, list := range lists {
		for cursor := ""; ; {
			c := call{method: "GET", path: list + "?limit=2&cursor=" + cursor, who: s.operator}
			if cursor = s.ask(c).text("next_cursor"); cursor == "" {
				break
			}
		}
	}
	for _, filter := range filters() {
		s.ask(call{method: "GET", path: lists[0] + "?" + filter, who: s.operator})
		s.ask(call{method: "GET", path: lists[0] + "?" + filter, who: s.operator, accept: "application/x-ndjson"})
	}
}

func filters() []string {
	return []string{"", "result=granted", "result=refused", "reason=audience_mismatch", "subject=user+1", "subject=user%251", "subject=USER+1", "subject=user+_", "kid=key-1", "kid=KEY-1", "jti=%C3%B8", "x=y", "subject=%00",
		"subject_token_sha256=" + strings.Repeat("0", 64), "from=2026-01-01T00:00:00Z", "to=2026-01-01T00:00:00Z", "from=9999-12-31T23:59:59Z", "result=granted&subject=user+2"}
}

// kindOf names the collection that a path is of.
func kindOf(path string) string {
	for _, kind := range kinds() {
		if strings.Contains(path, "/"+kind) && (kind != "integrators" || strings.Count(path, "/") <= 4) && (kind != "lock-holders" || !strings.Contains(path, "/integrators/")) {
			return kind
		}
	}
	return ""
}

func kinds() []string {
	return []string{"key-urls", "clients", "scope-rules", "lock-holders", "resource-servers", "integrators"}
}

func one[T any](s *script, of []T) T { return of[s.random.IntN(len(of))] }

// draw gives the next call.
func (s *script) draw() call {
	c := call{who: s.operator}
	if s.random.IntN(6) == 0 {
		c.who = one(s, []string{"", s.administrator, s.administrator, s.administrator, s.administrator, s.administrator})
	}
	switch n := s.random.IntN(100); {
	case n < 20:
		s.drawCreate(&c)
	case n < 30:
		s.drawPut(&c)
	case n < 50:
		s.drawChange(&c)
	case n < 60:
		c.method, c.path = "GET", s.path()
	case n < 64:
		c.method, c.path, c.ifMatch = "DELETE", s.path(), s.match()
	case n < 82:
		s.drawList(&c)
	case n < 92:
		s.drawLink(&c)
	default:
		s.drawOther(&c)
	}
	if c.method == "POST" && s.random.IntN(4) == 0 {
		c.key = one(s, []string{"a", `"a"`, `"`, fmt.Sprint("key ", s.asked), fmt.Sprint("key ", s.asked), fmt.Sprint("key ", s.asked), fmt.Sprint("key ", s.asked)})
		if len(s.posted) > 0 && s.random.IntN(2) == 0 { // again, or nearly so
			key := c.key
			if c = one(s, s.posted); s.random.IntN(4) == 0 {
				c.key = key
			}
		}
	}
	if c.method == "PATCH" || c.method == "DELETE" {
		for _, kind := range []string{"integrators", "clients"} { // too much hangs on the first
			if c.path == s.things[kind][0].path && s.sheltered {
				c.method, c.body = "GET", ""
			}
		}
	}
	return c
}

// path is of an object: nearly always of one that was made.
func (s *script) path() string {
	things := s.things[one(s, kinds())]
	if len(things) == 0 || s.random.IntN(10) == 0 {
		path := s.collection(one(s, kinds()))
		return path + "/" + one(s, []string{"019aa2f0-0000-7000-8000-000000000000", "nobody", "%C3%B8", "%00", "%FF", "*", "%25", "x'--", strings.Repeat("x", 300)})
	}
	return one(s, things).path
}

// match is an If-Match: none, of some version of some object, or none at all.
func (s *script) match() string {
	return one(s, []string{"", "", "*", `"1"`, `"2"`, `"2", "1"`, `W/"1"`, "x"})
}

// collection is the path of a collection, an integrator's where it is one.
func (s *script) collection(kind string) string {
	switch kind {
	case "integrators", "lock-holders", "resource-servers":
		return "/admin/v1/" + kind
	}
	return s.integrator() + "/" + kind
}

func (s *script) integrator() string {
	if s.random.IntN(12) == 0 {
		return "/admin/v1/integrators/" + one(s, []string{"me", "nobody", "%00"})
	}
	if s.random.IntN(2) == 0 { // so that things meet
		return s.things["integrators"][0].path
	}
	return one(s, s.things["integrators"]).path
}

func (s *script) drawCreate(c *call) {
	kind := one(s, kinds())
	c.method, c.path = "POST", s.collection(kind)
	s.drawBody(c, kind, 4)
}

// drawPut names an object by what it is called, nearly always wholly.
func (s *script) drawPut(c *call) {
	kind := one(s, kinds())
	s.drawBody(c, kind, 4)
	c.method, c.path, c.ifMatch = "PUT", s.collection(kind), one(s, []string{"", "", "", s.match()})
	c.ifNoneMatch = one(s, []string{"", "", "", "", "*", `"1"`})
	names := map[string][]string{
		"integrators": {"name"}, "key-urls": {"issuer", "url"}, "clients": {"client_name"}, "scope-rules": {"permission"},
		"lock-holders": {"country_iso", "organization_id", "organization_id_suffix"}, "resource-servers": {"audience"},
	}[kind]
	body, key := map[string]any{}, url.Values{}
	_ = json.Unmarshal([]byte(c.body), &body) // what is no object has no names
	for _, name := range names {
		value, _ := body[name].(string)
		if s.random.IntN(30) > 0 {
			key.Set(name, value)
		}
		if s.random.IntN(2) == 0 && c.contentType == "" {
			delete(body, name)
		}
	}
	if text, err := json.Marshal(body); err == nil && c.contentType == "" {
		c.body = string(text)
	}
	c.path += "?" + key.Encode()
}

func (s *script) drawChange(c *call) {
	c.method, c.path, c.ifMatch = "PATCH", s.path(), s.match()
	if s.random.IntN(2) == 0 {
		c.ifMatch = ""
		c.contentType = "application/merge-patch+json"
	}
	s.drawBody(c, kindOf(c.path), 2)
}

// drawBody writes a body of a kind: required members nearly always, others one
// time in so many.
func (s *script) drawBody(c *call, kind string, rare int) {
	if s.random.IntN(16) == 0 {
		c.body = one(s, []string{"", "{", "[]", "null", `"x"`, `{"name":"a","name":"b"}`, `{"x":1}`, `{"id":"x","created_at":1}`, `{"name":{}}`, "\xff", `{"name":"\ud800"}`, `{"":1}`, "{}"})
		c.contentType = one(s, []string{"application/json", "application/json", "text/plain", "", "application/json; charset=latin1", formType})
		return
	}
	var list []string
	for _, member := range membersOfKind(kind) {
		if member.required && rare > 2 && s.random.IntN(30) > 0 || s.random.IntN(rare) == 0 {
			list = append(list, fmt.Sprintf("%q:%s", member.name, member.values[min(s.random.IntN(len(member.values)), s.random.IntN(len(member.values)), s.random.IntN(len(member.values)))]))
		}
	}
	c.body = "{" + strings.Join(list, ",") + "}"
}

func (s *script) drawList(c *call) {
	c.method, c.path = "GET", s.collection(one(s, kinds()))
	if s.random.IntN(3) == 0 {
		c.path = s.integrator() + one(s, []string{"/exchanges", "/exchanges", "/lock-holders"})
	}
	var query []string
	if s.random.IntN(3) > 0 {
		query = append(query, "limit="+one(s, []string{"1", "2", "3", "7", "200", "0", "201", "x", ""}))
	}
	if s.random.IntN(2) == 0 {
		query = append(query, "cursor="+one(s, s.cursors[max(0, len(s.cursors)-6):]))
	}
	if strings.HasSuffix(c.path, "/exchanges") {
		query = append(query, one(s, filters()))
	}
	c.path += "?" + strings.Join(query, "&")
}

func (s *script) drawLink(c *call) {
	holder := "nobody"
	if things := s.things["lock-holders"]; len(things) > 0 && s.random.IntN(8) > 0 {
		holder = strings.TrimPrefix(one(s, things).path, "/admin/v1/lock-holders/")
	}
	c.method, c.path = one(s, []string{"PUT", "PUT", "PUT", "GET", "DELETE"}), s.integrator()+"/lock-holders/"+holder
}

func (s *script) drawOther(c *call) {
	c.method = "POST"
	switch s.random.IntN(4) {
	case 0:
		c.path = s.integrator() + "/tokens/revoke"
		c.body = one(s, []string{`{"subject":"user 1"}`, `{"subject":"Ω 鍵"}`, `{"subject":""}`, `{"subject":null}`, `{"subject":1}`, `{"x":1}`})
	case 1:
		c.path = s.collection("clients") + "/nobody/secret"
		if things := s.things["clients"]; len(things) > 2 && s.random.IntN(6) > 0 {
			c.path = one(s, things[2:]).path + "/secret" + one(s, []string{"", "?overlap=60", "?overlap=60", "?overlap=x", "?overlap=2592001"})
		}
	case 2:
		c.method, c.path = one(s, []string{"PUT", "DELETE", "OPTIONS", "HEAD"}), s.collection(one(s, kinds()))
	default:
		c.path = one(s, s.things["key-urls"]).path + "/nothing"
	}
}

// memberPool is what a member may be: few values, so that objects clash, the
// good ones first, which are drawn more often.
type memberPool struct {
	name     string
	required bool
	values   []string // JSON
}

func membersOfKind(kind string) []memberPool {
	names := []string{`"A"`, `"Ærlig Ω 鍵"`, `"Ærlig Ω 鍵 "`, `"e\u0301"`, `"<b>&\u2028"`, `""`, `"a\u0000b"`, `"a\nb"`, `null`, `1`, `"` + strings.Repeat("é", 513) + `"`}
	status := memberPool{"status", false, []string{`"active"`, `"active"`, `"disabled"`, `"Active"`, `null`}}
	switch kind {
	case "integrators":
		return []memberPool{{"name", true, names}, status}
	case "lock-holders":
		return []memberPool{{"name", true, names}, {"country_iso", true, []string{`"NO"`, `"NO"`, `"SE"`, `"no"`}}, {"organization_id", true, []string{`"AbCd"`, `"abcd"`, `"a_-9"`, `"a.bc"`}},
			{"organization_id_suffix", false, []string{`""`, `"east"`, `"East"`, `"_"`, `null`, `"é"`}}}
	case "resource-servers":
		return []memberPool{{"name", true, names}, {"audience", true, []string{`"https://a.example"`, `"https://A.example"`, `"https://a.example/"`, `"a_b"`, `"a%b"`, `"axb"`, `"a b"`, `""`, `"é"`}}}
	case "scope-rules":
		return []memberPool{{"permission", true, []string{`"read:*"`, `"read:orders"`, `"READ:orders"`, `"ø*"`, `"é"`, `"e\u0301"`, `"*"`, `"a*b"`, `"x\u0000"`, `""`}},
			{"scope", true, []string{`"orders.read"`, `"o.$1"`, `"$1"`, `"admin"`, `"a b"`, `"é"`}}}
	case "clients":
		return []memberPool{{"client_name", true, names}, {"token_endpoint_auth_method", false, []string{`"client_secret_post"`, `"none"`, `"private_key_jwt"`, `"x"`}},
			{"scope", false, []string{`"read write"`, `"write  read"`, `"integrator.admin"`, `"admin"`, `""`, `null`, `"` + lockScope + `"`}}, {"access_token_ttl", false, []string{`60`, `0`, `1.5`, `null`, `99999999999`}},
			{"allowed_origins", false, []string{`["https://app.example"]`, `[]`, `["*"]`, `null`}}, {"grant_types", false, []string{`["client_credentials"]`, `["password"]`, `[]`, `null`}}, status}
	}
	return []memberPool{{"issuer", true, []string{`"https://one.example/"`, `"https://ONE.example/"`, `"https://one.example"`, `"https://two.example/é"`, `"https://three.example/"`, `""`}},
		{"url", true, []string{`"https://idp.example/jwks"`, `"https://idp.example/JWKS"`, `"https://idp.example/a%62"`, `"http://10.0.0.1/"`, `"x"`}}, {"audiences", false, []string{`["a","b"]`, `["é"]`, `["a"]`, `null`, `[""]`, `["A"]`}},
		{"algorithms", false, []string{`["ES256","RS256"]`, `["none"]`, `[]`, `null`}}, {"permissions_claim", false, []string{`"permissions"`, `["roles","scp"]`, `"/a/b"`, `""`, `[]`}},
		{"permissions_format", false, []string{`"auto"`, `"space"`, `"x"`}}, {"clientless", false, []string{`true`, `false`, `"true"`}}, {"single_use", false, []string{`true`, `false`}},
		{"max_lifetime", false, []string{`600`, `0`, `9223372036854775808`, `null`}}, {"condition", false, []string{`null`, `"claims.tid == \"é\""`, `"claims.tid"`, `"("`}},
		{"audience_claims", false, []string{`["aud"]`, `["client_id"]`, `["aud","client_id"]`, `[]`, `null`}}, {"mode", false, []string{`"enforce"`, `"audit"`, `"x"`}},
		{"required_claims", false, []string{`[{"claim":"tid","values":["é","x"]}]`, `[{"claim":"/a/b"}]`, `[{"claim":"tid","value":"x"}]`, `[]`, `null`}},
		{"change", false, []string{`{"max_lifetime":60}`, `{"max_lifetime":null,"condition":"true"}`, `{"issuer":"x"}`, `{}`, `null`}}, status}
}
