package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/admin"
	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// explain asks what an exchange would come to.
func (p *party) explain(members object) answer {
	p.s.t.Helper()
	return p.s.admin("POST", "/integrators/"+p.id+"/exchanges/explain", members)
}

// step gives a step of an explanation.
func (a answer) step(t *testing.T, name string) object {
	t.Helper()
	steps, _ := a.json["steps"].([]any)
	for _, step := range steps {
		if step := step.(object); step["name"] == name {
			return step
		}
	}
	t.Fatalf("no step %s in %s", name, a.body)
	return nil
}

func (a answer) results() (passed, failed, skipped []string) {
	steps, _ := a.json["steps"].([]any)
	for _, step := range steps {
		step := step.(object)
		name := step["name"].(string)
		switch step["result"] {
		case "passed":
			passed = append(passed, name)
		case "failed":
			failed = append(failed, name)
		case "skipped":
			skipped = append(skipped, name)
		}
	}
	return passed, failed, skipped
}

// interface.md §4: the steps, in order, each with expected and found, then the
// scopes and the dropped entries; nothing is stored.
func TestExplain(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		lockHolder := acme.manage("919424508", "east")
		keyURL := "/integrators/" + acme.id + "/key-urls/" + acme.keyURL
		s.admin("PATCH", keyURL, object{"single_use": true, "condition": "has(claims.scope)"}).mustBe(t, http.StatusOK)
		token := acme.idp.token(object{"jti": "1", "permissions": []string{lockScope, "lockHolder.identifier:NO.919424508.west", "x", "lockHolder.identifier:no"}})

		a := acme.explain(object{"subject_token": token, "client_id": acme.clientID}).mustBe(t, http.StatusOK)
		passed, failed, skipped := a.results()
		all := "client request target token key_url token_kind algorithm issuer audience times subject key signature condition permissions scope lifetime single_use"
		if strings.Join(passed, " ") != all || failed != nil || strings.Join(skipped, " ") != "required_claims" {
			t.Errorf("passed %q, failed %q, skipped %q", passed, failed, skipped)
		}
		if step := a.step(t, "audience"); step["key_url"] != acme.keyURL || !strings.Contains(fmt.Sprint(step["expected"]), s.url) || !strings.Contains(fmt.Sprint(step["found"]), "userinfo") {
			t.Errorf("audience: %v", step)
		}
		if a.text("result") != "granted" || !reflect.DeepEqual(a.json["scopes"], []any{lockScope}) || len(a.json["dropped"].([]any)) != 3 {
			t.Errorf("%s", a.body)
		}
		issued := a.json["token"].(object)
		if issued["sub"] != acme.idp.issuer+"#auth0|5934aafe4e52d93452b1c90" || issued["client_id"] != acme.clientID || !reflect.DeepEqual(issued["lock_holder_ids"], []any{lockHolder}) {
			t.Errorf("token %v", issued)
		}
		if n := len(s.admin("GET", "/integrators/"+acme.id+"/exchanges", nil).mustBe(t, http.StatusOK).json["items"].([]any)); n != 0 {
			t.Errorf("%d records", n)
		}
		if health := s.admin("GET", keyURL, nil).body; strings.Contains(health, "last_used") {
			t.Errorf("the key was noted as used: %s", health)
		}

		_, claims := decodeToken(t, acme.exchange(token).mustBe(t, http.StatusOK).text("access_token"))
		for _, name := range []string{"sub", "client_id", "scope", "integrator_id", "lock_holder_ids", "subject_issuer", "subject"} {
			if !reflect.DeepEqual(claims[name], issued[name]) {
				t.Errorf("%s: %v was issued, %v explained", name, claims[name], issued[name])
			}
		}
		a = acme.explain(object{"subject_token": token, "client_id": acme.clientID}).mustBe(t, http.StatusOK)
		if a.text("result") != "refused" || a.text("reason") != "replayed" || a.step(t, "single_use")["result"] != "failed" || a.json["token"] != nil {
			t.Errorf("after the exchange: %s", a.body)
		}
		if strings.Contains(s.log.String(), token[len(token)-40:]) {
			t.Error("the token is in the log")
		}
	})
}

// A refusal fails one step, and all after it are skipped.
func TestExplainRefusals(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, bob := s.newParty("Acme"), s.newParty("Bob")
	acme.manage("919424508", "east")
	limited, _ := acme.newClient(object{"client_name": "x", "grant_types": []string{grants.ClientCredentials}, "scope": "integrator.admin"})
	forger := newTestIDP(t, s.url)
	cases := []struct {
		name, step, code, reason string
		question                 object
	}{
		{"a token that is none", "token", "invalid_request", "malformed", object{"subject_token": "opaque"}},
		{"an issuer of another integrator's", "key_url", "invalid_request", "issuer_unknown", object{"subject_token": bob.idp.token(nil)}},
		{"another audience", "audience", "invalid_request", "audience_mismatch", object{"subject_token": acme.idp.token(object{"aud": "x"})}},
		{"a forged token", "signature", "invalid_request", "signature_invalid", object{"subject_token": forger.sign(object{"alg": "RS256", "kid": "key-1"}, acme.idp.claims(nil))}},
		{"permissions of a wrong type", "permissions", "invalid_request", "permissions_invalid", object{"subject_token": acme.idp.token(object{"permissions": "x"})}},
		{"no permission that counts", "scope", "invalid_scope", "", object{"subject_token": acme.idp.token(object{"permissions": []string{"x"}})}},
		{"a scope too many", "scope", "invalid_scope", "", object{"subject_token": acme.idp.token(nil), "scope": lockScope + " x"}},
		{"a target that is none", "target", "invalid_target", "", object{"subject_token": acme.idp.token(nil), "audience": []string{"https://nobody.example"}}},
		{"a client without the grant", "client", "unauthorized_client", "", object{"subject_token": acme.idp.token(nil), "client_id": limited}},
		{"an ID token", "token_kind", "invalid_request", "wrong_token_kind", object{"subject_token": acme.idp.token(nil), "subject_token_type": grants.TokenTypeIDToken}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := acme.explain(c.question).mustBe(t, http.StatusOK)
			passed, failed, skipped := a.results()
			if !slices.Equal(failed, []string{c.step}) || a.text("error") != c.code || a.text("reason") != c.reason || a.text("result") != "refused" {
				t.Errorf("passed %q, failed %q, skipped %q: %s", passed, failed, skipped, a.body)
			}
			if len(skipped) == 0 && c.step != "lifetime" || a.text("error_description") == "" || len(a.json["scopes"].([]any)) != 0 {
				t.Errorf("%s", a.body)
			}
			if strings.Contains(a.body, bob.keyURL) || strings.Contains(a.body, bob.id) {
				t.Errorf("it tells about another integrator: %s", a.body)
			}
		})
	}
	acme.explain(object{"subject_token": "x", "client_id": bob.clientID}).mustBe(t, http.StatusUnprocessableEntity)
	acme.explain(object{"client_id": acme.clientID}).mustBe(t, http.StatusUnprocessableEntity)
	acme.explain(object{"subject_token": "x", "scope": "a\"b"}).mustBe(t, http.StatusUnprocessableEntity)
	acme.explain(object{"subject_token": "x", "subject_tokens": "y"}).mustBe(t, http.StatusUnprocessableEntity)
	for range explainsPerTest {
		if a := acme.explain(object{"subject_token": "x"}); a.status == http.StatusTooManyRequests {
			if a.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			return
		}
	}
	t.Error("explanations are not limited")
}

// The mistake that is made most is told at once: an issuer that only looks right.
func TestExplainHintsAtIssuers(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, bob := s.newParty("Acme"), s.newParty("Bob")
	hint := func(issuer string) string {
		t.Helper()
		return acme.explain(object{"subject_token": acme.idp.token(object{"iss": issuer})}).mustBe(t, http.StatusOK).text("hint")
	}
	if h := hint(strings.TrimSuffix(acme.idp.issuer, "/")); !strings.Contains(h, acme.keyURL) || !strings.Contains(h, "byte by byte") {
		t.Errorf("no slash: %q", h)
	}
	if h := hint(bob.idp.issuer); !strings.Contains(h, acme.idp.issuer) || strings.Contains(h, bob.keyURL) {
		t.Errorf("another integrator's: %q", h)
	}
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"status": "disabled"}).mustBe(t, http.StatusOK)
	if h := hint(acme.idp.issuer); !strings.Contains(h, "is disabled") {
		t.Errorf("disabled: %q", h)
	}
	s.admin("DELETE", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, nil).mustBe(t, http.StatusNoContent)
	if h := hint(acme.idp.issuer); !strings.Contains(h, "no key URL yet") {
		t.Errorf("none: %q", h)
	}
}

// Of a provider that is known, explain says what to set there.
func TestExplainHintsAtTheProvider(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	const issuer = "https://acme.eu.auth0.com/"
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"issuer": issuer}).mustBe(t, http.StatusOK)
	for name, c := range map[string]struct{ token, step, says string }{
		"only userinfo":  {acme.idp.token(object{"iss": issuer, "aud": issuer + "userinfo"}), "audience", "Applications > APIs"},
		"no permissions": {acme.idp.token(object{"iss": issuer, "permissions": []string{}}), "scope", "Enable RBAC"},
		"opaque":         {"v2.local-Zm9v", "token", "opaque"},
		"encrypted":      {"eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aXY.Y2lwaGVy.dGFn", "token", "JWE"},
	} {
		a := acme.explain(object{"subject_token": c.token}).mustBe(t, http.StatusOK)
		if step := a.step(t, c.step); step["result"] != "failed" || !strings.Contains(a.text("hint"), c.says) || step["hint"] != a.text("hint") {
			t.Errorf("%s: %s", name, a.body)
		}
	}
}

// explainsPerTest is more than there are in a minute.
const explainsPerTest = 100

// Without a client an exchange is explained as it would happen: clientless where
// that is allowed, and else by a client without limits of its own.
func TestExplainWithoutAClient(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	token := acme.idp.token(nil)
	if a := acme.explain(object{"subject_token": token}).mustBe(t, http.StatusOK); a.json["clientless"] != false || a.text("result") != "granted" {
		t.Errorf("%s", a.body)
	}
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"clientless": true}).mustBe(t, http.StatusOK)
	a := acme.explain(object{"subject_token": token}).mustBe(t, http.StatusOK)
	if a.json["clientless"] != true || a.json["token"].(object)["client_id"] != acme.id {
		t.Errorf("%s", a.body)
	}
	a = acme.explain(object{"subject_token": acme.idp.token(object{"aud": "x"})}).mustBe(t, http.StatusOK)
	if a.text("reason") != "audience_mismatch" {
		t.Errorf("%s", a.body)
	}
}

// What explain says is what the grant does, for 10,000 tokens: same verdict,
// same scopes, same reason.
func TestExplainAndGrantAgree(t *testing.T) {
	const tokens = 10_000
	s := startServer(t, storagetest.SQLite(t), nil)
	g := newGenerator(t, s)
	verdicts := map[string]int{}
	for i := range tokens {
		q := g.question()
		explained, err := s.p.explainer.Explain(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		client, err := s.p.explainer.client(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		r := tokenexchange.Request{SubjectToken: q.SubjectToken, SubjectTokenType: q.SubjectTokenType, Scopes: q.Scopes, Audiences: q.Audiences, Client: client}
		decision, err := s.p.explainer.exchanger.Exchange(t.Context(), r)
		if client != nil { // the adapter asks this first
			if refusal := tokenexchange.CheckGrantType(client.GrantTypes, false); refusal != nil {
				decision, err = &tokenexchange.Decision{}, refusal
			}
		}
		verdict := "granted"
		if err != nil {
			refusal := err.(*grants.Refusal)
			verdict = string(refusal.Code) + " " + string(refusal.Reason)
			if explained.Refusal == nil || explained.Refusal.Code != refusal.Code || explained.Refusal.Reason != refusal.Reason || explained.Refusal.Description != refusal.Description {
				t.Fatalf("token %d: the grant says %v, explain %v", i, refusal, explained.Refusal)
			}
		} else if explained.Refusal != nil || !slices.Equal(explained.Token.Scopes, decision.Scopes) || !slices.Equal(explained.Token.Audience, decision.Audience) ||
			explained.Token.Subject != decision.PlatformSubject() || explained.Token.ClientID != decision.ClientID {
			t.Fatalf("token %d: the grant says %+v, explain %v %+v", i, decision, explained.Refusal, explained.Token)
		}
		if !slices.Equal(explained.Dropped, decision.Dropped) {
			t.Fatalf("token %d: the grant dropped %v, explain %v", i, decision.Dropped, explained.Dropped)
		}
		verdicts[verdict]++
	}
	t.Log(verdicts)
	for _, verdict := range []string{"granted", "invalid_scope ", "invalid_target ", "unauthorized_client ", "invalid_request replayed", "invalid_request condition_failed",
		"invalid_request signature_invalid", "invalid_request audience_mismatch", "invalid_request issuer_unknown", "invalid_request key_not_found", "invalid_request malformed",
		"invalid_request token_expired", "invalid_request claim_missing", "invalid_request permissions_invalid", "invalid_request wrong_token_kind"} {
		if verdicts[verdict] < 10 {
			t.Errorf("%s: only %d tokens came to that", verdict, verdicts[verdict])
		}
	}
}

// generator makes questions whose answers are of all kinds.
type generator struct {
	t       *testing.T
	random  *mathrand.Rand
	key     *ecdsa.PrivateKey
	acme    *party
	clients []string
}

func newGenerator(t *testing.T, s *server) *generator {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	acme := s.newParty("Acme")
	acme.idp.publishKeys(jose.JSONWebKey{Key: &key.PublicKey, KeyID: "key-1", Algorithm: "ES256", Use: "sig"})
	for _, suffix := range []string{"a", "b", "c"} {
		acme.manage("919424508", suffix)
	}
	acme.rule("read:*", "$1.read")
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{
		"algorithms": []string{"ES256"}, "single_use": true, "condition": `!has(claims.blocked)`, "audiences": []string{s.url, "other"},
	}).mustBe(t, http.StatusOK)
	s.admin("POST", "/integrators/"+acme.id+"/key-urls", object{"issuer": "urn:second", "url": acme.idp.url("/jwks.json"), "algorithms": []string{"ES256"}, "clientless": true}).mustBe(t, http.StatusCreated)
	g := &generator{t: t, random: mathrand.New(mathrand.NewPCG(5, 24)), key: key, acme: acme}
	some, _ := acme.newClient(object{"client_name": "x", "grant_types": []string{grants.TokenExchange}, "scope": "orders.read lockHolder.identifier:NO.919424508.a"})
	none, _ := acme.newClient(object{"client_name": "x", "grant_types": []string{grants.ClientCredentials}, "scope": "orders.read"})
	g.clients = []string{acme.clientID, acme.clientID, some, some, none, ""}
	return g
}

// pick gives one of some values.
func pick[T any](g *generator, values ...T) T { return values[g.random.IntN(len(values))] }

func (g *generator) question() admin.Question {
	q := admin.Question{IntegratorID: g.acme.id, SubjectToken: g.token(), SubjectTokenType: grants.TokenTypeJWT, ClientID: pick(g, g.clients...)}
	if g.random.IntN(4) == 0 {
		q.Scopes = []string{pick(g, "orders.read", "lockHolder.identifier:NO.919424508.a", "lockHolder.identifier:NO.919424508.b", "x")}
	}
	if g.random.IntN(20) == 0 {
		q.Audiences = []string{pick(g, g.acme.s.url, "https://nobody.example")}
	}
	if g.random.IntN(30) == 0 {
		q.SubjectTokenType = pick(g, grants.TokenTypeIDToken, grants.TokenTypeAccessToken, "x")
	}
	return q
}

func (g *generator) token() string {
	now := time.Now().Unix()
	claims := object{"iss": pick(g, g.acme.idp.issuer, g.acme.idp.issuer, g.acme.idp.issuer, "urn:second"), "sub": "jane", "aud": g.acme.s.url, "iat": now, "exp": now + 3600, "jti": fmt.Sprint(g.random.IntN(5000))}
	var entries []any
	for range g.random.IntN(5) {
		entries = append(entries, pick(g, "lockHolder.identifier:NO.919424508.a", "lockHolder.identifier:NO.919424508.b", "lockHolder.identifier:NO.919424508.z", "lockHolder.identifier:no", "read:orders", "read:\"", "x", "admin"))
	}
	claims["permissions"] = entries
	for g.random.IntN(3) == 0 {
		name := pick(g, "iss", "sub", "aud", "iat", "exp", "nbf", "jti", "permissions", "blocked", "nonce", "cnf")
		claims[name] = pick[any](g, nil, "x", 1, now-10, now+1e6, []any{}, []any{"other", 1}, "other", []any{"other"}, true)
	}
	header := object{"alg": pick(g, "ES256", "ES256", "ES256", "ES256", "ES256", "ES256", "ES256", "RS256"), "kid": "key-1"}
	if g.random.IntN(12) == 0 {
		header["kid"] = "key-2"
	}
	if g.random.IntN(40) == 0 {
		header[pick(g, "crit", "typ", "zip")] = pick(g, "x", "jwt", "secevent+jwt")
	}
	input := encodePart(g.t, header) + "." + encodePart(g.t, claims)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, g.key, digest[:])
	if err != nil {
		g.t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	if g.random.IntN(15) == 0 {
		signature[g.random.IntN(64)] ^= 1
	}
	token := input + "." + base64.RawURLEncoding.EncodeToString(signature)
	if g.random.IntN(40) == 0 {
		return token[:g.random.IntN(len(token))]
	}
	return token
}
