package registry_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

// pointers names the members at fault.
func pointers(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var faults registry.Invalid
	if !errors.As(err, &faults) || len(faults) == 0 {
		t.Fatalf("got %v, which lists no fault", err)
	}
	var list []string
	for _, fault := range faults {
		list = append(list, fault.Pointer)
		if fault.Code == "" || fault.Detail == "" || !strings.Contains(err.Error(), fault.Pointer+": "+fault.Detail) {
			t.Errorf("a fault that helps nobody: %+v in %q", fault, err)
		}
	}
	return list
}

// rule is a change that makes a valid object invalid, or leaves it valid.
type rule[T any] struct {
	name    string
	change  func(*T)
	pointer string // of the member at fault; empty: none
}

// check holds each rule against a valid object.
func check[T any](t *testing.T, valid func() *T, validate func(*T) error, rules []rule[T]) {
	t.Helper()
	if got := pointers(t, validate(valid())); got != nil {
		t.Fatalf("what is valid has faults: %v", got)
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			value := valid()
			rule.change(value)
			var want []string
			if rule.pointer != "" {
				want = []string{rule.pointer}
			}
			if got := pointers(t, validate(value)); !slices.Equal(got, want) {
				t.Errorf("faults %v, want %v", got, want)
			}
		})
	}
}

func TestValidateIntegrator(t *testing.T) {
	check(t, func() *registry.Integrator { return &registry.Integrator{Name: "Acme", Status: registry.Active} },
		(*registry.Integrator).Validate,
		[]rule[registry.Integrator]{
			{"a disabled one", func(i *registry.Integrator) { i.Status = registry.Disabled }, ""},
			{"no name", func(i *registry.Integrator) { i.Name = "" }, "/name"},
			{"no status", func(i *registry.Integrator) { i.Status = "" }, "/status"},
			{"another status", func(i *registry.Integrator) { i.Status = "Active" }, "/status"},
		})
	t.Run("all faults are told at once", func(t *testing.T) {
		if got := pointers(t, (&registry.Integrator{}).Validate()); !slices.Equal(got, []string{"/name", "/status"}) {
			t.Errorf("got %v", got)
		}
	})
}

func TestValidateResourceServer(t *testing.T) {
	check(t, func() *registry.ResourceServer {
		return &registry.ResourceServer{Name: "Locks", Audience: "https://api.example"}
	}, (*registry.ResourceServer).Validate, []rule[registry.ResourceServer]{
		{"an audience that is no URL", func(r *registry.ResourceServer) { r.Audience = "locks" }, ""},
		{"512 bytes of audience", func(r *registry.ResourceServer) { r.Audience = strings.Repeat("a", 512) }, ""},
		{"513 bytes of audience", func(r *registry.ResourceServer) { r.Audience = strings.Repeat("a", 513) }, "/audience"},
		{"no audience", func(r *registry.ResourceServer) { r.Audience = "" }, "/audience"},
		{"a space in it", func(r *registry.ResourceServer) { r.Audience = "a b" }, "/audience"},
		{"NUL in it", func(r *registry.ResourceServer) { r.Audience = "a\x00" }, "/audience"},
		{"DEL in it", func(r *registry.ResourceServer) { r.Audience = "a\x7f" }, "/audience"},
		{"other than ASCII in it", func(r *registry.ResourceServer) { r.Audience = "https://bücher.example" }, "/audience"},
		{"other than UTF-8 in it", func(r *registry.ResourceServer) { r.Audience = "a\xff" }, "/audience"},
		{"no name", func(r *registry.ResourceServer) { r.Name = " \t" }, "/name"},
	})
}

func TestValidateKeyURL(t *testing.T) {
	type k = registry.KeyURL
	check(t, func() *k {
		return &k{
			Issuer: "https://idp.example/", URL: "https://idp.example/jwks", Format: registry.FormatAuto, Status: registry.Active,
			TokenRules: registry.TokenRules{
				Algorithms: []string{"RS256"}, AudienceClaims: []string{"aud"},
				PermissionsClaims: []string{registry.DefaultPermissions}, PermissionsFormat: registry.FormatArray, MaxLifetime: registry.Seconds(registry.DefaultMaxLifetime),
			},
		}
	}, (*registry.KeyURL).Validate, []rule[k]{
		{"an issuer that is a bare name", func(k *k) { k.Issuer = "accounts.example.com" }, ""},
		{"no issuer", func(k *k) { k.Issuer = "" }, "/issuer"},
		{"an issuer with a line end", func(k *k) { k.Issuer = "https://idp.example/\n" }, "/issuer"},
		{"an issuer with a fragment", func(k *k) { k.Issuer = "https://idp.example/#x" }, "/issuer"},
		{"512 bytes of issuer", func(k *k) { k.Issuer = strings.Repeat("i", 512) }, ""},
		{"513 bytes of issuer", func(k *k) { k.Issuer = strings.Repeat("i", 513) }, "/issuer"},
		{"JWKS", func(k *k) { k.Format = registry.FormatJWKS }, ""},
		{"PEM", func(k *k) { k.Format = registry.FormatPEM }, ""},
		{"no format", func(k *k) { k.Format = "" }, "/format"},
		{"a format that is none", func(k *k) { k.Format = "der" }, "/format"},
		{"every algorithm there is", func(k *k) { k.Algorithms = registry.Algorithms() }, ""},
		{"no algorithm", func(k *k) { k.Algorithms = nil }, "/algorithms"},
		{"an algorithm twice", func(k *k) { k.Algorithms = []string{"RS256", "ES256", "RS256"} }, "/algorithms"},
		{"the algorithm none", func(k *k) { k.Algorithms = []string{"RS256", "none"} }, "/algorithms"},
		{"a symmetric algorithm", func(k *k) { k.Algorithms = []string{"HS256"} }, "/algorithms"},
		{"an algorithm in small letters", func(k *k) { k.Algorithms = []string{"rs256"} }, "/algorithms"},
		{"16 audiences", func(k *k) { k.Audiences = letters(16) }, ""},
		{"17 audiences", func(k *k) { k.Audiences = letters(17) }, "/audiences"},
		{"an empty audience", func(k *k) { k.Audiences = []string{""} }, "/audiences"},
		{"an audience twice", func(k *k) { k.Audiences = []string{"a", "a"} }, "/audiences"},
		{"an audience with a space", func(k *k) { k.Audiences = []string{"a b"} }, "/audiences"},
		{"a permissions claim by pointer", func(k *k) { k.PermissionsClaims = []string{"/realm_access/roles"} }, ""},
		{"no permissions claim", func(k *k) { k.PermissionsClaims = nil }, "/permissions_claim"},
		{"an empty permissions claim", func(k *k) { k.PermissionsClaims = []string{""} }, "/permissions_claim"},
		{"two permissions claims", func(k *k) { k.PermissionsClaims = []string{"scp", "roles"} }, ""},
		{"one permissions claim twice", func(k *k) { k.PermissionsClaims = []string{"scp", "scp"} }, "/permissions_claim"},
		{"nine permissions claims", func(k *k) { k.PermissionsClaims = strings.Split("a b c d e f g h i", " ") }, "/permissions_claim"},
		{"permissions as keys", func(k *k) { k.PermissionsFormat = "keys" }, ""},
		{"permissions of no known form", func(k *k) { k.PermissionsFormat = "xml" }, "/permissions_format"},
		{"255 bytes of claim", func(k *k) { k.PermissionsClaims = []string{strings.Repeat("c", 255)} }, ""},
		{"256 bytes of claim", func(k *k) { k.PermissionsClaims = []string{strings.Repeat("c", 256)} }, "/permissions_claim"},
		{"no lifetime", func(k *k) { k.MaxLifetime = 0 }, "/max_lifetime"},
		{"a negative lifetime", func(k *k) { k.MaxLifetime = registry.Seconds(-time.Second) }, "/max_lifetime"},
		{"less than a second", func(k *k) { k.MaxLifetime = registry.Seconds(time.Second - 1) }, "/max_lifetime"},
		{"a second", func(k *k) { k.MaxLifetime = registry.Seconds(time.Second) }, ""},
		{"366 days", func(k *k) { k.MaxLifetime = registry.Seconds(366 * 24 * time.Hour) }, ""},
		{"longer", func(k *k) { k.MaxLifetime = registry.Seconds(366*24*time.Hour + 1) }, "/max_lifetime"},
		{"two audience claims", func(k *k) { k.AudienceClaims, k.Audiences = []string{"aud", "client_id"}, []string{"a"} }, ""},
		{"an audience claim without audiences", func(k *k) { k.AudienceClaims = []string{"client_id"} }, "/audiences"},
		{"no audience claim", func(k *k) { k.AudienceClaims = nil }, "/audience_claims"},
		{"an audience claim twice", func(k *k) { k.AudienceClaims = []string{"aud", "aud"} }, "/audience_claims"},
		{"five audience claims", func(k *k) { k.AudienceClaims, k.Audiences = letters(5), []string{"a"} }, "/audience_claims"},
		{"a required claim", func(k *k) { k.RequiredClaims = []registry.RequiredClaim{{Claim: "/a/b"}} }, ""},
		{"a required claim without a name", func(k *k) { k.RequiredClaims = []registry.RequiredClaim{{Values: []string{"a"}}} }, "/required_claims"},
		{"a required claim twice", func(k *k) { k.RequiredClaims = []registry.RequiredClaim{{Claim: "a"}, {Claim: "a"}} }, "/required_claims"},
		{"a required value twice", func(k *k) { k.RequiredClaims = []registry.RequiredClaim{{Claim: "a", Values: []string{"a", "a"}}} }, "/required_claims"},
		{"an empty required value", func(k *k) { k.RequiredClaims = []registry.RequiredClaim{{Claim: "a", Values: []string{""}}} }, "/required_claims"},
		{"33 required values", func(k *k) { k.RequiredClaims = []registry.RequiredClaim{{Claim: "a", Values: letters(33)}} }, "/required_claims"},
		{"a change", func(k *k) { k.Audited = registry.Change(`{"max_lifetime":60,"condition":"true"}`) }, ""},
		{"a change to nothing sound", func(k *k) { k.Audited = registry.Change(`{"max_lifetime":0}`) }, "/change/max_lifetime"},
		{"a change of what is no rule", func(k *k) { k.Audited = registry.Change(`{"issuer":"x"}`) }, "/change"},
		{"a change of another type", func(k *k) { k.Audited = registry.Change(`{"audiences":"x"}`) }, "/change"},
		{"a status that is none", func(k *k) { k.Status = "paused" }, "/status"},
	})
}

// letters makes so many different texts.
func letters(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = strings.Repeat("a", i+1)
	}
	return list
}

func TestValidateClient(t *testing.T) {
	type c = registry.Client
	grantTypes := []string{"client_credentials", "exchange"}
	validScope := func(s string) bool { return s != "" && !strings.ContainsAny(s, " \"\\") }
	check(t, func() *c {
		return &c{Name: "backend", AuthMethod: registry.AuthBasic, GrantTypes: []string{"client_credentials"}, Status: registry.Active}
	}, func(c *c) error { return c.Validate(grantTypes, validScope) }, []rule[c]{
		{"a secret in the body", func(c *c) { c.AuthMethod = registry.AuthPost }, ""},
		{"a method that is none of ours", func(c *c) { c.AuthMethod = "client_secret_jwt" }, "/token_endpoint_auth_method"},
		{"a key of its own", func(c *c) { c.AuthMethod, c.JWKS = registry.AuthKey, "{}" }, ""},
		{"a key of its own, by URL", func(c *c) { c.AuthMethod, c.JWKSURI = registry.AuthKey, "https://client.example/jwks" }, ""},
		{"no key of its own", func(c *c) { c.AuthMethod = registry.AuthKey }, "/jwks"},
		{"a key beside a secret", func(c *c) { c.JWKS = "{}" }, "/jwks"},
		{"no method", func(c *c) { c.AuthMethod = "" }, "/token_endpoint_auth_method"},
		{"a public client that exchanges", func(c *c) { c.AuthMethod, c.GrantTypes = registry.AuthNone, []string{"exchange"} }, ""},
		{"RFC 6749 §4.4: a public client with client credentials", func(c *c) { c.AuthMethod = registry.AuthNone }, "/grant_types"},
		{"every grant type there is", func(c *c) { c.GrantTypes = grantTypes }, ""},
		{"a grant type that is none", func(c *c) { c.GrantTypes = []string{"password"} }, "/grant_types"},
		{"a grant type twice", func(c *c) { c.GrantTypes = []string{"exchange", "exchange"} }, "/grant_types"},
		{"scopes", func(c *c) { c.Scopes = []string{"a", "b"} }, ""},
		{"a scope twice", func(c *c) { c.Scopes = []string{"a", "b", "a"} }, "/scope"},
		{"RFC 6749 §3.3: a scope that is no scope-token", func(c *c) { c.Scopes = []string{`a"b`} }, "/scope"},
		{"an empty scope", func(c *c) { c.Scopes = []string{""} }, "/scope"},
		{"a day of life", func(c *c) { c.AccessTokenTTL = registry.MaxAccessTokenTTL }, ""},
		{"more than a day", func(c *c) { c.AccessTokenTTL = registry.MaxAccessTokenTTL + 1 }, "/access_token_ttl"},
		{"a negative life", func(c *c) { c.AccessTokenTTL = -1 }, "/access_token_ttl"},
		{"no name", func(c *c) { c.Name = "" }, "/client_name"},
		{"no status", func(c *c) { c.Status = "" }, "/status"},
	})
}

// An allowed origin is what a browser sends in Origin (RFC 6454 §6.2), byte by
// byte; any other text would never match, and nobody would know why.
func TestValidateOrigins(t *testing.T) {
	for origin, want := range map[string]bool{
		"https://app.example":            true,
		"https://app.example:8443":       true,
		"http://localhost:3000":          true,
		"https://127.0.0.1":              true,
		"https://[::1]:8443":             true,
		"https://xn--bcher-kva.example":  true,
		"":                               false,
		"*":                              false,
		"null":                           false,
		"app.example":                    false,
		"//app.example":                  false,
		"https://":                       false,
		"https:app.example":              false,
		"https://app.example/":           false,
		"https://app.example/path":       false,
		"https://app.example?q":          false,
		"https://app.example#f":          false,
		"https://user@app.example":       false,
		"https://APP.example":            false,
		"HTTPS://app.example":            false,
		"https://app.example ":           false,
		"https://app.example\n":          false,
		"ftp://app.example":              false,
		"javascript://app.example":       false,
		"https://app.example:port":       false,
		"https://app.example:":           false,
		"https://app.example:443":        false,
		"http://app.example:80":          false,
		"https://a.example https://b.ex": false,
	} {
		c := &registry.Client{
			Name: "app", AuthMethod: registry.AuthNone, Status: registry.Active, AllowedOrigins: []string{"https://ok.example", origin},
		}
		err := c.Validate(nil, nil)
		if got := err == nil; got != want {
			t.Errorf("%q: valid %v, want %v (%v)", origin, got, want, err)
		} else if !want && !slices.Equal(pointers(t, err), []string{"/allowed_origins"}) {
			t.Errorf("%q: %v", origin, err)
		}
	}
	many := &registry.Client{Name: "app", AuthMethod: registry.AuthNone, Status: registry.Active}
	for range 65 {
		many.AllowedOrigins = append(many.AllowedOrigins, "https://app.example")
	}
	if many.Validate(nil, nil) == nil {
		t.Error("65 origins are valid")
	}
}

// A name is for people: one line that can be seen.
func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"Acme":                       true,
		"Müller & Söhne":             true,
		"鍵屋":                         true,
		"👩‍🔧 repairs":                true,
		"' OR 1=1 --":                true, // is a name like any other
		"<script>":                   true,
		strings.Repeat("n", 1024):    true,
		strings.Repeat("n", 1025):    false,
		strings.Repeat("ü", 513):     false,
		"":                           false,
		"   ":                        false,
		"\u00a0\u2003":               false,
		"a\x00b":                     false,
		"a\nb":                       false,
		"a\tb":                       false,
		"a\x1b[31mb":                 false,
		"a\u0085b":                   false,
		"a\u2028b":                   false,
		"a\u2029b":                   false,
		"a\xffb":                     false,
		"\u200bAcme":                 true,
		"a" + strings.Repeat(" ", 9): true,
	} {
		if got := registry.ValidName(name); got != want {
			t.Errorf("%.40q: %v, want %v", name, got, want)
		}
	}
}

func TestNoFaultIsNoError(t *testing.T) {
	var faults registry.Invalid
	faults.Add(true, "/x", "invalid", "never seen")
	if err := faults.Err(); err != nil {
		t.Errorf("got %v", err)
	}
	faults.Add(false, "/x", "invalid", "seen")
	faults.Add(false, "/y", "invalid", "seen too")
	if got := pointers(t, faults.Err()); !slices.Equal(got, []string{"/x", "/y"}) {
		t.Errorf("got %v", got)
	}
}

func TestPageIsNeverNothingAndNeverAll(t *testing.T) {
	for limit, want := range map[int]int{-1 << 62: 1, -1: 1, 0: 1, 1: 1, 200: 200, 201: 201, 202: 201, 1 << 62: 201} {
		if got := (registry.Page{Limit: limit}).Rows(); got != want {
			t.Errorf("limit %d: %d rows, want %d", limit, got, want)
		}
	}
}
