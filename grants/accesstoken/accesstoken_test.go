package accesstoken_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
)

// mint gives a token and its payload as a stranger reads it.
func mint(t *testing.T, g accesstoken.Grant) (raw string, claims map[string]any) {
	t.Helper()
	minted, err := minter().Mint(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(minted.Token, ".")[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return minted.Token, claims
}

// interface.md "Issued tokens", RFC 9068 §2.2: exactly these members; gen is
// what revocation counts with.
func TestMembersOfIssuedTokens(t *testing.T) {
	always := []string{"aud", "client_id", "exp", "gen", "iat", "iss", "jti", "scope", "sub"}
	without := func(change func(*accesstoken.Grant)) accesstoken.Grant { g := exchanged(); change(&g); return g }
	for _, test := range []struct {
		name  string
		grant accesstoken.Grant
		more  []string
	}{
		{"an exchange", exchanged(), []string{"integrator_id", "lock_holder_ids", "subject", "subject_issuer"}},
		{"an exchange without lock holders", without(func(g *accesstoken.Grant) { g.LockHolderIDs = nil }), []string{"integrator_id", "subject", "subject_issuer"}},
		{"client credentials of an integrator", accesstoken.Grant{Subject: "app", ClientID: "app", IntegratorID: "acme", Audience: []string{"x"}, Scopes: []string{"a"}}, []string{"integrator_id"}},
		{"client credentials of the operator", accesstoken.Grant{Subject: "app", ClientID: "app", Audience: []string{"x"}, Scopes: []string{"a"}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, claims := mint(t, test.grant)
			want := slices.Sorted(slices.Values(append(slices.Clone(always), test.more...)))
			if got := slices.Sorted(maps.Keys(claims)); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			for name, value := range claims {
				if value == nil {
					t.Errorf("%s is null", name)
				}
			}
		})
	}
}

func TestValuesOfIssuedTokens(t *testing.T) {
	_, claims := mint(t, exchanged())
	id := claims["jti"].(string)
	if raw, err := base64.RawURLEncoding.DecodeString(id); err != nil || len(raw) != 16 {
		t.Errorf("jti %q is not 128 random bits", id)
	}
	delete(claims, "jti")
	want := map[string]any{
		"iss": issuer, "sub": "https://acme.example/#auth0|1", "aud": "https://locks.example", "client_id": "app", "scope": "a b",
		"exp": float64(1_800_003_600), "iat": float64(1_800_000_000), "integrator_id": "acme", "lock_holder_ids": []any{"id-1", "id-2"},
		"subject_issuer": "https://acme.example/", "subject": "auth0|1", "gen": []any{float64(7), float64(3)},
	}
	if !reflect.DeepEqual(claims, want) {
		t.Errorf("got  %v\nwant %v", claims, want)
	}
}

func TestTokenIDsAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		minted, err := minter().Mint(t.Context(), exchanged())
		if err != nil || minted.Claims.ID == "" || seen[minted.Claims.ID] {
			t.Fatalf("%q, %v", minted.Claims.ID, err)
		}
		seen[minted.Claims.ID] = true
	}
}

// RFC 7519 §4.1.3: one value as a string, several as an array.
func TestAudience(t *testing.T) {
	for _, test := range []struct {
		audience accesstoken.Audience
		json     string
	}{
		{accesstoken.Audience{"a"}, `"a"`}, {accesstoken.Audience{"a", "b"}, `["a","b"]`}, {accesstoken.Audience{}, `[]`}, {accesstoken.Audience{"a b"}, `"a b"`},
	} {
		data, err := json.Marshal(test.audience)
		if err != nil || string(data) != test.json {
			t.Errorf("%q is written %s, %v", test.audience, data, err)
		}
		var again accesstoken.Audience
		if err := json.Unmarshal(data, &again); err != nil || !slices.Equal(again, test.audience) {
			t.Errorf("%s is read %q, %v", data, again, err)
		}
	}
	var one accesstoken.Audience
	if err := json.Unmarshal([]byte(`["a"]`), &one); err != nil || !slices.Equal(one, []string{"a"}) {
		t.Errorf("an array of one is read %q, %v", one, err)
	}
	for _, data := range []string{`1`, `{}`, `[1]`, `true`} {
		if err := json.Unmarshal([]byte(data), new(accesstoken.Audience)); err == nil {
			t.Errorf("%s is read as an audience", data)
		}
	}
}

func TestMintedTokensVerify(t *testing.T) {
	for _, audience := range [][]string{{"https://locks.example"}, {"https://locks.example", "https://doors.example"}} {
		g := exchanged()
		g.Audience = audience
		minted, err := minter().Mint(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		claims, err := verifier().Verify(t.Context(), minted.Token)
		if err != nil || !reflect.DeepEqual(*claims, minted.Claims) {
			t.Fatalf("got %+v, %v, want %+v", claims, err, minted.Claims)
		}
		if !slices.Equal(claims.Audience, audience) || claims.Generations() != g.Generations || !claims.Exchanged() || claims.Clientless() ||
			!claims.HasScope("a") || !claims.HasScope("b") || claims.HasScope("a b") || claims.HasScope("c") ||
			!claims.Expires().Equal(time.Unix(1_800_003_600, 0)) {
			t.Errorf("got %+v", claims)
		}
	}
}

func TestClaimsOfOtherGrants(t *testing.T) {
	for _, test := range []struct {
		name                  string
		claims                accesstoken.Claims
		exchanged, clientless bool
	}{
		{"clientless", accesstoken.Claims{ClientID: "acme", IntegratorID: "acme", SubjectIssuer: "i"}, true, true},
		{"client credentials", accesstoken.Claims{ClientID: "app", IntegratorID: "acme"}, false, false},
		{"the operator's", accesstoken.Claims{ClientID: "app"}, false, false},
		{"nobody's", accesstoken.Claims{}, false, false},
	} {
		if test.claims.Exchanged() != test.exchanged || test.claims.Clientless() != test.clientless {
			t.Errorf("%s: exchanged %v, clientless %v", test.name, test.claims.Exchanged(), test.claims.Clientless())
		}
	}
}

func TestASignerThatFails(t *testing.T) {
	down := errors.New("no active key")
	m := minter()
	m.Signer = &signer{err: down}
	if minted, err := m.Mint(t.Context(), exchanged()); !errors.Is(err, down) || minted != nil {
		t.Errorf("got %+v, %v", minted, err)
	}
	s := &signer{}
	m.Signer = s
	if _, err := m.Mint(t.Context(), exchanged()); err != nil || s.typ != "at+jwt" {
		t.Errorf("signed as %q (RFC 9068 §2.1), %v", s.typ, err)
	}
}

// What the generations are is for the database to compare.
func TestGenerationsSurvive(t *testing.T) {
	for _, g := range []grants.Generations{{}, {Integrator: 1}, {Client: 1}, {Integrator: 1 << 40, Client: 1<<53 - 1}} {
		grant := exchanged()
		grant.Generations = g
		raw, _ := mint(t, grant)
		if claims, err := verifier().Verify(t.Context(), raw); err != nil || claims.Generations() != g {
			t.Errorf("%+v: got %+v, %v", g, claims, err)
		}
	}
}
