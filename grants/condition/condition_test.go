package condition_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants/condition"
)

func compiler(t testing.TB) *condition.Compiler {
	t.Helper()
	c, err := condition.NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func claims(t testing.TB, text string) map[string]json.RawMessage {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		t.Fatal(err)
	}
	return members
}

func TestHolds(t *testing.T) {
	const token = `{"tid":"t1","email_verified":true,"level":3,"share":0.5,"big":18446744073709551615,"nothing":null,
		"roles":["a","b"],"realm":{"roles":["c"]},"https://acme.example/org":"o1","name":"Zo\u00eb \"Z\"","claims":"x"}`
	cases := []struct {
		condition string
		holds     bool
		found     string // part of it
	}{
		{`claims.tid == "t1"`, true, ""},
		{`claims.tid == "T1"`, false, `tid = \"t1\"`},
		{`claims.email_verified == true && claims.level >= 3`, true, ""},
		{`claims.email_verified == "true"`, false, "email_verified = true"},
		{`claims.level == 3.0 && claims.share < 1`, true, ""},
		{`claims.level == "3"`, false, `level = 3`},
		{`claims.big == 18446744073709551615u && claims.big != 18446744073709551614u`, true, ""},
		{`claims.nothing == null`, true, ""},
		{`claims.missing == null`, false, "no such key: missing; missing = none"},
		{`has(claims.missing)`, false, "missing = none"},
		{`!has(claims.missing)`, true, ""},
		{`claims.?missing.orValue("x") == "x"`, true, ""},
		{`"tid" in claims`, true, ""},
		{`"b" in claims.roles`, true, ""},
		{`claims.roles.all(r, r in ["a", "b"])`, true, ""},
		{`"c" in claims.realm.roles`, true, ""},
		{`claims["https://acme.example/org"] == "o1"`, true, ""},
		{`claims.name == "Zoë \"Z\""`, true, ""},
		{`claims.all(name, name != "evil")`, true, ""},
		{`size(claims) == 11`, true, ""},
		{`claims["t" + "id"] == "t1"`, true, ""},
		{`["x"].all(claims, claims == "x")`, true, ""}, // another thing of that name
		{`claims.claims == "x"`, true, ""},
		{`claims.tid.matches("^t[0-9]$")`, true, ""},
		{`claims.level.startsWith("3")`, false, "no such overload"},
		{`claims.tid < 3`, false, "no such overload"},
		{`false`, false, ""},
	}
	c := compiler(t)
	for _, test := range cases {
		t.Run(test.condition, func(t *testing.T) {
			compiled, err := c.Compile(test.condition)
			if err != nil {
				t.Fatal(err)
			}
			holds, found := compiled.Holds(claims(t, token))
			if holds != test.holds || !strings.Contains(found, test.found) || holds && found != "" {
				t.Errorf("holds %v, found %q, want %v, %q", holds, found, test.holds, test.found)
			}
			if compiled.String() != test.condition {
				t.Errorf("text %q", compiled)
			}
		})
	}
}

// What is not a condition is found out when it is written, not when somebody's
// users cannot get in.
func TestCompileRefuses(t *testing.T) {
	cases := map[string]struct{ condition, why string }{
		"no CEL":                  {`claims.tid = "x"`, "Syntax error"},
		"nothing":                 {``, "Syntax error"},
		"another variable":        {`token.tid == "x"`, "undeclared reference to 'token'"},
		"another function":        {`http(claims.url)`, "undeclared reference to 'http'"},
		"a type that is wrong":    {`size(3) == 3`, "no matching overload"},
		"a text":                  {`"tid"`, "true or false"},
		"a claim of any type":     {`claims.admin`, "true or false"},
		"a pattern of a claim":    {`claims.name.matches(claims.pattern)`, "must be written out"},
		"a pattern that is none":  {`claims.name.matches("(")`, "invalid matches"},
		"lists that multiply":     {`optional.of([1]).optMap(x, [x, x, x]).optMap(x, x == x).orValue(false)`, "optMap"},
		"a list of claims":        {`[claims.a] == [claims.b]`, "written values only"},
		"a map":                   {`{"a": claims.b} == {}`, "makes no maps"},
		"map":                     {`claims.a.map(x, x) == []`, "undeclared reference to 'map'"},
		"filter":                  {`claims.a.filter(x, x == 1) == []`, "undeclared reference to 'filter'"},
		"a pattern that is large": {`claims.a.matches("[ab]{999}")`, "at most 200 instructions"},
		"too long":                {`claims.a == "` + strings.Repeat("x", condition.MaxBytes) + `"`, "at most 2048 bytes"},
		"too deep":                {strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200), "recursion"},
		"loops in loops":          {`claims.a.all(x, claims.b.all(y, claims.c.all(z, x == y && y == z)))`, "nesting"},
	}
	c := compiler(t)
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			compiled, err := c.Compile(test.condition)
			if err == nil {
				t.Fatalf("compiled %s", compiled)
			}
			if !strings.Contains(err.Error(), test.why) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q does not say %q in one line", err, test.why)
			}
		})
	}
}

// A token is as long as its owner likes: the condition must not be.
func TestCostIsBounded(t *testing.T) {
	compiled, err := compiler(t).Compile(`claims.a.all(x, claims.a.all(y, x == y))`)
	if err != nil {
		t.Fatal(err)
	}
	list := `{"a":["` + strings.Repeat(`x","`, 2000) + `x"]}`
	holds, found := compiled.Holds(claims(t, list))
	if holds || !strings.Contains(found, "cost limit exceeded") {
		t.Errorf("holds %v, found %q", holds, found)
	}
}

// As many permissions as a token may have can be looked at one by one.
func TestCostAllowsWhatIsNeeded(t *testing.T) {
	compiled, err := compiler(t).Compile(`claims.permissions.exists(p, p.startsWith("lock:")) && claims.permissions.all(p, p != "root")`)
	if err != nil {
		t.Fatal(err)
	}
	list := `{"permissions":["lock:1"` + strings.Repeat(`,"read:orders"`, 499) + `]}`
	if holds, found := compiled.Holds(claims(t, list)); !holds {
		t.Error(found)
	}
}

// What CEL counts when it is done must be small before: equal lists, texts that
// are matched.
func TestReadIsBounded(t *testing.T) {
	c := compiler(t)
	for text, limit := range map[string]int{
		`claims.a != "y"`:                     16 << 10,
		`claims.all(name, name != "x")`:       16 << 10,
		`claims.a.matches("^x*$") || true`:    2 << 10,
		`size(claims.a) > 1 && claims.b == 1`: 16 << 10,
	} {
		compiled, err := c.Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if holds, found := compiled.Holds(claims(t, `{"a":"`+strings.Repeat("x", limit-64)+`","b":1}`)); !holds {
			t.Errorf("%s, just below: %s", text, found)
		}
		if holds, found := compiled.Holds(claims(t, `{"a":"`+strings.Repeat("x", limit)+`","b":1}`)); holds || !strings.Contains(found, "at the most") {
			t.Errorf("%s, past it: %v %s", text, holds, found)
		}
	}
}

func TestClaimsOfACondition(t *testing.T) {
	c := compiler(t)
	for text, want := range map[string]string{`claims.b == claims.?a.orValue(1)`: "a b", `true`: "", `claims.all(n, n != "x")`: ""} {
		compiled, err := c.Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(compiled.Claims(), " "); got != want {
			t.Errorf("%s names %q, want %q", text, got, want)
		}
	}
}

// Nothing of a claim is shown without bound, or in characters that move a
// terminal.
func TestFoundIsBounded(t *testing.T) {
	compiled, err := compiler(t).Compile(`claims.a == "x"`)
	if err != nil {
		t.Fatal(err)
	}
	_, found := compiled.Holds(claims(t, `{"a":"\u001b[31m`+strings.Repeat("é", 9000)+`"}`))
	if len(found) > 700 || strings.ContainsFunc(found, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("%d bytes: %q", len(found), found)
	}
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{`claims.tid == "x"`, `claims.?a[?"b"].orValue(1) in claims.c`, `claims.a.exists(x, x.matches("a{3}"))`, `{"a": claims}.a.b == {1: 2}[1]`} {
		f.Add(seed, `{"tid":"x","a":{"b":[1,2.5,null]}}`)
	}
	c := compiler(f)
	f.Fuzz(func(t *testing.T, text, token string) {
		compiled, err := c.Compile(text)
		var members map[string]json.RawMessage
		if err != nil || json.Unmarshal([]byte(token), &members) != nil {
			return
		}
		holds, found := compiled.Holds(members)
		if holds && found != "" {
			t.Errorf("%q holds, and found %q", text, found)
		}
	})
}

func BenchmarkHolds(b *testing.B) {
	const token = `{"iss":"https://acme.eu.auth0.com/","sub":"auth0|1","tid":"72f988bf-86f1-41af-91ab-2d7cd011db47","email_verified":true,
		"roles":["admin","reader","writer"],"scope":"openid email","exp":1800000000,"iat":1700000000,"azp":"x","permissions":["a","b","c","d","e","f","g","h"]}`
	for name, text := range map[string]string{
		"tenant":  `claims.tid == "72f988bf-86f1-41af-91ab-2d7cd011db47"`,
		"typical": `claims.tid == "72f988bf-86f1-41af-91ab-2d7cd011db47" && claims.email_verified == true && "admin" in claims.roles`,
	} {
		compiled, err := compiler(b).Compile(text)
		if err != nil {
			b.Fatal(err)
		}
		members := claims(b, token)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if holds, found := compiled.Holds(members); !holds {
					b.Fatal(found)
				}
			}
		})
	}
}
