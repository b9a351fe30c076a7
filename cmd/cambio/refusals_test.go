package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// Every bad subject token is refused for its own reason: a test that passes
// for another one would prove nothing.
func TestRefusedSubjectTokens(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme, other := s.newParty("Acme"), s.newParty("Other")
		acme.manage("919424508", "east")
		good := acme.idp.token(nil)
		cases := badSubjectTokens(t, acme, other, good)
		for _, c := range cases {
			t.Run(c.rule, func(t *testing.T) {
				a := acme.exchange(c.token)
				a.mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, c.reason)
				if d := a.text("error_description"); !strings.Contains(d, "expected ") || !strings.Contains(d, "found ") {
					t.Errorf("error_description does not say what was expected and found: %s", d)
				}
				s.mustNotLog(c.token)
			})
		}
		// Nothing was lost: the good token is still good, and its record says so.
		acme.exchange(good).mustBe(t, http.StatusOK)
		checkRecord(t, s, acme, len(cases))
	})
}

// badSubjectToken is one that is good but for one thing.
type badSubjectToken struct {
	rule   string
	token  string
	reason grants.Reason
}

func badSubjectTokens(t *testing.T, acme, other *party, good string) []badSubjectToken {
	now, s, forger := time.Now(), acme.s, newTestIDP(t, acme.s.url)
	return []badSubjectToken{
		{"a wrong signature", forger.sign(object{"alg": "RS256", "kid": acme.idp.kid}, acme.idp.claims(nil)), grants.SignatureInvalid},
		{"a signature of another token", strings.Join(append(splitDots(acme.idp.token(object{"sub": "x"}))[:2], splitDots(good)[2]), "."), grants.SignatureInvalid},
		{"a wrong issuer", acme.idp.token(object{"iss": "https://evil.example/"}), grants.IssuerUnknown},
		{"the issuer without its slash", acme.idp.token(object{"iss": strings.TrimSuffix(acme.idp.issuer, "/")}), grants.IssuerUnknown},
		{"a wrong audience", acme.idp.token(object{"aud": "https://somebody-else.example"}), grants.AudienceMismatch},
		{"an empty audience", acme.idp.token(object{"aud": []string{}}), grants.AudienceMismatch},
		{"an audience that is no string", acme.idp.token(object{"aud": []any{s.url, nil}}), grants.ClaimInvalid},
		{"expired", acme.idp.token(object{"exp": now.Add(-time.Second).Unix()}), grants.TokenExpired},
		{"not yet valid", acme.idp.token(object{"nbf": now.Add(2 * time.Minute).Unix()}), grants.TokenNotYetValid},
		{"issued in the future", acme.idp.token(object{"iat": now.Add(2 * time.Minute).Unix()}), grants.TokenNotYetValid},
		{"a life of a week", acme.idp.token(object{"exp": now.Add(7 * 24 * time.Hour).Unix()}), grants.LifetimeTooLong},
		{"another integrator's token", other.idp.token(nil), grants.IssuerUnknown},
		{"another integrator's key under our issuer", other.idp.sign(object{"alg": "RS256", "kid": "key-1"}, acme.idp.claims(nil)), grants.SignatureInvalid},
		{"alg none", encodePart(t, object{"alg": "none"}) + "." + encodePart(t, acme.idp.claims(nil)) + ".", grants.AlgNotAllowed},
		{"alg none with a signature", encodePart(t, object{"alg": "none"}) + "." + encodePart(t, acme.idp.claims(nil)) + "." + splitDots(good)[2], grants.AlgNotAllowed},
		{"HS256 with the public key", acme.idp.mac(acme.idp.claims(nil)), grants.AlgNotAllowed},
		{"PS256, which the key URL does not allow", acme.idp.sign(object{"alg": "PS256", "kid": "key-1"}, acme.idp.claims(nil)), grants.AlgNotAllowed},
		{"a kid that is not there", acme.idp.sign(object{"alg": "RS256", "kid": "key-2"}, acme.idp.claims(nil)), grants.KeyNotFound},
		{"an embedded key", forger.sign(object{"alg": "RS256", "kid": "key-1", "jku": forger.url("/jwks.json")}, acme.idp.claims(nil)), grants.SignatureInvalid},
		{"a critical extension", acme.idp.sign(object{"alg": "RS256", "kid": "key-1", "crit": []string{"exp"}}, acme.idp.claims(nil)), grants.HeaderNotAllowed},
		{"a logout token", acme.idp.sign(object{"alg": "RS256", "kid": "key-1", "typ": "logout+jwt"}, acme.idp.claims(nil)), grants.TypNotAllowed},
		{"an ID token", acme.idp.token(object{"nonce": "n"}), grants.WrongTokenKind},
		{"our own token", s.token, grants.WrongTokenKind},
		{"a token bound to a key of its client", acme.idp.token(object{"cnf": object{"jkt": "x"}}), grants.WrongTokenKind},
		{"a header of thousands of members", acme.idp.sign(manyMembers(2500), acme.idp.claims(nil)), grants.Malformed},
		{"no sub", acme.idp.token(object{"sub": nil}), grants.ClaimMissing},
		{"no exp", acme.idp.token(object{"exp": nil}), grants.ClaimMissing},
		{"no iat", acme.idp.token(object{"iat": nil}), grants.ClaimMissing},
		{"no iss", acme.idp.token(object{"iss": nil}), grants.ClaimMissing},
		{"no aud", acme.idp.token(object{"aud": nil}), grants.ClaimMissing},
		{"exp as text", acme.idp.token(object{"exp": "9999999999"}), grants.ClaimInvalid},
		{"permissions as text", acme.idp.token(object{"permissions": lockScope}), grants.PermissionsInvalid},
		{"a permission that is no string", acme.idp.token(object{"permissions": []any{lockScope, 1}}), grants.PermissionsInvalid},
		{"deep nesting", acme.idp.token(object{"x": nested(17)}), grants.Malformed},
		{"no JWT at all", "garbage", grants.Malformed},
		{"a JWE", "a.b.c.d.e", grants.Malformed},
		{"more than 32 KiB", acme.idp.token(object{"x": strings.Repeat("a", 25<<10)}), grants.TooLarge},
	}
}

// manyMembers makes a header that costs much to read and says little.
func manyMembers(n int) object {
	header := object{"alg": "RS256", "kid": "key-1"}
	for i := range n {
		header[strconv.Itoa(i)] = 1
	}
	return header
}

func nested(depth int) any {
	var value any = 1
	for range depth {
		value = []any{value}
	}
	return value
}

// checkRecord: every attempt is in the exchange log, with its reason.
func checkRecord(t *testing.T, s *server, acme *party, refused int) {
	t.Helper()
	exchanges, err := s.p.store.Exchanges(t.Context(), acme.id, everything(), page(200))
	if err != nil {
		t.Fatal(err)
	}
	if len(exchanges) != refused+1 {
		t.Fatalf("%d records, want %d", len(exchanges), refused+1)
	}
	newest := exchanges[0]
	if newest.Result != "granted" || newest.TokenID == "" || newest.KeyID != acme.idp.kid || newest.Issuer != acme.idp.issuer || len(newest.Granted) != 1 || len(newest.Dropped) != 1 {
		t.Errorf("record of the granted exchange: %+v", newest)
	}
	for _, e := range exchanges[1:] {
		if e.Result != "refused" || e.Code != "invalid_request" || e.Reason == "" || e.TokenID != "" {
			t.Errorf("record of a refused exchange: %+v", e)
		}
	}
}

// interface.md "Refusals": every reason, and the same word in the answer, the
// log, the metrics and the record.
func TestTheReasonIsTheSameEverywhere(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"single_use": true, "condition": "claims.?tid.orValue(\"\") != \"x\""}).mustBe(t, 200)
	idp := acme.idp
	second, forEncryption := idp.jwk(), idp.jwk()
	second.KeyID, forEncryption.KeyID, forEncryption.Use = "key-2", "key-3", "enc"
	idp.publishKeys(idp.jwk(), second, forEncryption)
	acme.exchange(idp.token(object{"jti": "used"})).mustBe(t, 200)
	now := time.Now()
	of := func(header, claims object) string {
		whole := object{"alg": "RS256", "kid": "key-1"}
		for name, value := range header {
			whole[name] = value
		}
		return idp.sign(whole, idp.claims(claims))
	}
	for reason, token := range map[grants.Reason]string{
		grants.Malformed: "x", grants.TooLarge: strings.Repeat("x", 33<<10), grants.AlgNotAllowed: of(object{"alg": "RS512"}, nil),
		grants.HeaderNotAllowed: of(object{"crit": []string{"exp"}}, nil), grants.TypNotAllowed: of(object{"typ": "dpop+jwt"}, nil),
		grants.IssuerUnknown: of(nil, object{"iss": "https://x.example"}), grants.KeyNotFound: of(object{"kid": "key-9"}, object{"jti": "x"}),
		grants.KeyAmbiguous: of(object{"kid": ""}, object{"jti": "x"}), grants.KeyUnusable: of(object{"kid": "key-3"}, object{"jti": "x"}),
		grants.SignatureInvalid: "", grants.AudienceMismatch: of(nil, object{"aud": "x"}),
		grants.TokenExpired: of(nil, object{"exp": now.Unix() - 1}), grants.TokenNotYetValid: of(nil, object{"nbf": now.Unix() + 600}),
		grants.LifetimeTooLong: of(nil, object{"exp": now.Add(48 * time.Hour).Unix()}), grants.ClaimMissing: of(nil, object{"sub": nil}),
		grants.ClaimInvalid: of(nil, object{"sub": 1}), grants.WrongTokenKind: of(nil, object{"nonce": "x", "jti": "x"}),
		grants.PermissionsInvalid: of(nil, object{"permissions": 1, "jti": "x"}), grants.Replayed: idp.token(object{"jti": "used"}),
		grants.IntegratorDisabled: "", grants.ConditionFailed: of(nil, object{"tid": "x", "jti": "x"}),
	} {
		t.Run(string(reason), func(t *testing.T) {
			if reason == grants.SignatureInvalid {
				token = newTestIDP(t, s.url).sign(object{"alg": "RS256", "kid": "key-1"}, idp.claims(object{"jti": "x"}))
			}
			party := acme
			if reason == grants.IntegratorDisabled {
				party = s.newParty("Closed")
				s.admin("PATCH", "/integrators/"+party.id, object{"status": "disabled"}).mustBe(t, 200)
				token = party.idp.token(nil)
			}
			before := len(s.log.String())
			party.exchange(token).mustRefuse(t, 400, grants.InvalidRequest, reason)
			line := `"error":"invalid_request","reason":"` + string(reason) + `","client_id":"` + party.clientID + `"`
			eventually(t, "the log holds "+line, func() bool { return strings.Contains(s.log.String()[before:], line) })
			ops := &server{t: t, url: "http://" + s.p.ops.Addr().String()}
			metric := `cambio_requests_total{endpoint="token",error="invalid_request",grant_type="` + grants.TokenExchange + `",reason="` + string(reason) + `",status="400"} 1`
			if metrics := ops.do("GET", "/metrics", "").mustBe(t, 200).body; !strings.Contains(metrics, metric) {
				t.Errorf("no %s", metric)
			}
			records, err := s.p.store.Exchanges(t.Context(), party.id, everything(), page(1))
			if err != nil || len(records) != 1 || records[0].Reason != string(reason) || records[0].Code != "invalid_request" {
				t.Errorf("record %+v %v", records, err)
			}
		})
	}
}

// Strangers get a fixed text: neither the reason nor what is registered.
func TestStrangersLearnNothing(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"clientless": true}).mustBe(t, http.StatusOK)
	public, _ := acme.newClient(object{"client_name": "app", "token_endpoint_auth_method": "none"})
	tokens := map[string]string{
		"an unknown issuer":  acme.idp.token(object{"iss": "https://unknown.example/"}),
		"a wrong signature":  newTestIDP(t, s.url).sign(object{"alg": "RS256", "kid": "key-1"}, acme.idp.claims(nil)),
		"an expired token":   acme.idp.token(object{"exp": time.Now().Add(-time.Hour).Unix(), "iat": time.Now().Add(-2 * time.Hour).Unix()}),
		"an audience amiss":  acme.idp.token(object{"aud": "x"}),
		"something unsigned": "a.b.c",
	}
	for rule, token := range tokens {
		for who, form := range map[string]url.Values{"no client": exchangeForm(token), "a public client": exchangeForm(token, "client_id", public)} {
			t.Run(rule+" from "+who, func(t *testing.T) {
				a := s.post(tokenEndpoint, anonymous, form)
				a.mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, "")
				if a.body != `{"error":"invalid_request","error_description":"the subject token was not accepted"}` {
					t.Errorf("a stranger is told %s", a.body)
				}
			})
		}
	}
}

// A key URL that is down is our trouble: 503, never "invalid". Keys that were
// fetched before go on verifying.
func TestKeyURLDown(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	cold, warm := s.newParty("Cold"), s.newParty("Warm")
	warm.manage("919424508", "east")
	warm.exchange(warm.idp.token(nil)).mustBe(t, http.StatusOK)
	cold.idp.broken.Store(true)
	warm.idp.broken.Store(true)
	cold.exchange(cold.idp.token(nil)).mustRefuse(t, http.StatusServiceUnavailable, grants.TemporarilyUnavailable, "")
	warm.exchange(warm.idp.token(nil)).mustBe(t, http.StatusOK)
}

// A database that is down is 503 at every endpoint: never 200, never 401,
// never active:false (fosite §2.2: CVE-2020-15223's symptom, and its kin).
func TestDatabaseDown(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		acme.manage("919424508", "east")
		token := acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token")
		if err := s.p.store.Close(); err != nil {
			t.Fatal(err)
		}
		form := url.Values{"token": {token}}
		credentials := url.Values{"grant_type": {grants.ClientCredentials}, "scope": {"admin"}}
		operator := basic(testOperator, testOperatorSecret)
		calls := map[string]func() answer{
			"an exchange":                    func() answer { return acme.exchange(acme.idp.token(nil)) },
			"client credentials":             func() answer { return s.post(tokenEndpoint, operator, credentials) },
			"introspection":                  func() answer { return s.post(introspectEndpoint, operator, form) },
			"revocation":                     func() answer { return s.post(revokeEndpoint, acme.authenticated(), form) },
			"a client nobody knows":          func() answer { return s.post(tokenEndpoint, basic("unknown", "x"), credentials) },
			"an issuer nobody knows":         func() answer { return acme.exchange(acme.idp.token(object{"iss": "https://new.example"})) },
			"a target nobody knows":          func() answer { return acme.exchange(acme.idp.token(nil), "audience", "https://new.example") },
			"an exchange in the old dialect": func() answer { return s.post(dialectEndpoint, acme.authenticated(), exchangeForm(acme.idp.token(nil))) },
		}
		for name, call := range calls {
			t.Run(name, func(t *testing.T) {
				call().mustRefuse(t, http.StatusServiceUnavailable, grants.TemporarilyUnavailable, "")
			})
		}
		t.Run("the admin API", func(t *testing.T) {
			a := s.admin("GET", "/integrators", nil).mustBe(t, http.StatusServiceUnavailable)
			if a.header.Get("Content-Type") != "application/problem+json" || a.header.Get("Retry-After") == "" {
				t.Errorf("headers %v", a.header)
			}
		})
		if _, err := s.p.ready(t.Context()); err == nil {
			t.Error("ready without a database")
		}
	})
}
