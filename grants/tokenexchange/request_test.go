package tokenexchange_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
)

func TestASoundRequest(t *testing.T) {
	w := newWorld()
	token := soundClaims().signedBy(acmeKey())
	d, err := w.exchange(request(token))
	d = accepted(t, d, err)
	if d.IntegratorID != "acme" || d.ClientID != "acme-app" || d.Issuer != acmeIssuer || d.Subject != "auth0|1" || d.KeyID != "k1" ||
		d.PlatformSubject() != "https://acme.example/#auth0|1" {
		t.Errorf("got %+v", d)
	}
	if !slices.Equal(d.Scopes, []string{east, north}) || !slices.Equal(d.LockHolderIDs, []string{"id-east", "id-north"}) || d.Dropped != nil {
		t.Errorf("got %q for %q, dropped %+v", d.Scopes, d.LockHolderIDs, d.Dropped)
	}
	if !slices.Equal(d.Audience, []string{"https://default.example"}) || !d.ExpiresAt.Equal(now.Add(3600*time.Second-250*time.Millisecond)) {
		t.Errorf("for %q until %v", d.Audience, d.ExpiresAt)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256([]byte(token))); d.SubjectTokenHash != want {
		t.Errorf("the hash is %s, want %s", d.SubjectTokenHash, want)
	}
	if d.Generations != (grants.Generations{Integrator: 7, Client: 3}) {
		t.Errorf("generations %+v: want the policy's and the client's", d.Generations)
	}
}

// RFC 8693 §2.1. Refused before any policy or key is looked up.
func TestRequestsThatAreRefusedByTheirShape(t *testing.T) {
	sound := soundClaims().signedBy(acmeKey())
	for _, test := range []struct {
		name   string
		change func(*tokenexchange.Request)
		code   grants.Code
		text   string
	}{
		{"no subject_token", func(r *tokenexchange.Request) { r.SubjectToken = "" }, grants.InvalidRequest, "subject_token is missing"},
		{"no subject_token_type", func(r *tokenexchange.Request) { r.SubjectTokenType = "" }, grants.InvalidRequest, "subject_token_type is missing"},
		{"subject_token_type refresh_token", func(r *tokenexchange.Request) {
			r.SubjectTokenType = "urn:ietf:params:oauth:token-type:refresh_token"
		}, grants.InvalidRequest, "subject_token_type is not supported"},
		{"subject_token_type saml2", func(r *tokenexchange.Request) {
			r.SubjectTokenType = "urn:ietf:params:oauth:token-type:saml2"
		}, grants.InvalidRequest, "subject_token_type is not supported"},
		{"subject_token_type in another case", func(r *tokenexchange.Request) {
			r.SubjectTokenType = "URN:ietf:params:oauth:token-type:jwt"
		}, grants.InvalidRequest, "subject_token_type is not supported"},
		{"subject_token_type jwt, in short", func(r *tokenexchange.Request) { r.SubjectTokenType = "jwt" }, grants.InvalidRequest, "subject_token_type is not supported"},
		{"requested_token_type refresh_token", func(r *tokenexchange.Request) {
			r.RequestedTokenType = "urn:ietf:params:oauth:token-type:refresh_token"
		}, grants.InvalidRequest, "requested_token_type is not supported"},
		{"requested_token_type id_token", func(r *tokenexchange.Request) { r.RequestedTokenType = grants.TokenTypeIDToken }, grants.InvalidRequest, "requested_token_type is not supported"},
		{"actor_token (delegation does not exist)", func(r *tokenexchange.Request) { r.ActorToken = sound }, grants.InvalidRequest, "actor_token is not supported"},
		{"actor_token_type alone", func(r *tokenexchange.Request) { r.ActorTokenType = grants.TokenTypeJWT }, grants.InvalidRequest, "actor_token is not supported"},
		{"a client of no integrator", func(r *tokenexchange.Request) { r.Client.IntegratorID = "" }, grants.UnauthorizedClient, "belongs to no integrator"},
		{"an unknown audience", func(r *tokenexchange.Request) { r.Audiences = []string{"https://other"} }, grants.InvalidTarget, "not a registered"},
		{"an unknown resource", func(r *tokenexchange.Request) { r.Resources = []string{"https://other"} }, grants.InvalidTarget, "not a registered"},
		{"17 targets", func(r *tokenexchange.Request) { r.Audiences = make([]string, 17) }, grants.InvalidTarget, "more than 16"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, r := newWorld(), request(sound)
			test.change(&r)
			d, err := w.exchange(r)
			refused(t, d, err, test.code, "", test.text)
			if w.looked != nil || w.asked != nil {
				t.Errorf("policies of %q and keys of %q were asked for", w.looked, w.asked)
			}
		})
	}
}

func TestTokenTypesThatAreSupported(t *testing.T) {
	for _, subject := range []string{grants.TokenTypeJWT, grants.TokenTypeAccessToken} {
		for _, requested := range []string{"", grants.TokenTypeAccessToken, grants.TokenTypeJWT} {
			t.Run(subject+" for "+requested, func(t *testing.T) {
				r := request(soundClaims().signedBy(acmeKey()))
				r.SubjectTokenType, r.RequestedTokenType = subject, requested
				d, err := newWorld().exchange(r)
				accepted(t, d, err)
			})
		}
	}
}

// interface.md §2: id_token only where the key URL allows it, whether the
// request or the token says so.
func TestIDTokens(t *testing.T) {
	for _, test := range []struct {
		name, tokenType string
		nonce           any
		allowed, want   bool
	}{
		{"said to be one, not allowed", grants.TokenTypeIDToken, nil, false, false},
		{"said to be one, allowed", grants.TokenTypeIDToken, nil, true, true},
		{"is one, said to be a JWT, not allowed", grants.TokenTypeJWT, "n", false, false},
		{"is one, said to be an access token, not allowed", grants.TokenTypeAccessToken, "n", false, false},
		{"is one and said to be one, allowed", grants.TokenTypeIDToken, "n", true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			w.policies[0].AllowIDToken = test.allowed
			r := request(soundClaims().with("nonce", test.nonce).signedBy(acmeKey()))
			r.SubjectTokenType = test.tokenType
			d, err := w.exchange(r)
			if test.want {
				accepted(t, d, err)
				return
			}
			refused(t, d, err, grants.InvalidRequest, grants.WrongTokenKind, "ID token")
			if w.asked != nil {
				t.Error("keys were asked for")
			}
		})
	}
}

func TestTargetsOfAnExchange(t *testing.T) {
	for _, test := range []struct {
		name                 string
		audiences, resources []string
		want                 string
	}{
		{"none: the default", nil, nil, "[https://default.example]"},
		{"an audience", []string{apiTarget}, nil, "[https://locks.example]"},
		{"a resource", nil, []string{apiTarget}, "[https://locks.example]"},
		{"both the same", []string{apiTarget}, []string{apiTarget}, "[https://locks.example]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := request(soundClaims().signedBy(acmeKey()))
			r.Audiences, r.Resources = test.audiences, test.resources
			d, err := newWorld().exchange(r)
			if got := fmt.Sprint(accepted(t, d, err).Audience); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// PRO-18, PRO-19: our own tokens are never subject tokens, even under a policy
// that names our issuer.
func TestOurOwnTokensAreNotExchanged(t *testing.T) {
	w := newWorld()
	w.policies[0].Issuer = ourIssuer
	d, err := w.exchange(request(soundClaims().with("iss", ourIssuer).signedBy(acmeKey())))
	refused(t, d, err, grants.InvalidRequest, grants.WrongTokenKind, "issued by this server")
	if w.looked != nil || w.asked != nil {
		t.Errorf("policies of %q and keys of %q were asked for", w.looked, w.asked)
	}
}

// Life = min(the server's, the client's, what remains of the subject token).
func TestLifetimeIsTheLeastOfThree(t *testing.T) {
	for _, test := range []struct {
		name                   string
		server, client, remain time.Duration
		want                   time.Duration
	}{
		{"the server's", 10 * time.Minute, 20 * time.Minute, time.Hour, 10 * time.Minute},
		{"the client's", 20 * time.Minute, 10 * time.Minute, time.Hour, 10 * time.Minute},
		{"a client without its own", 20 * time.Minute, 0, time.Hour, 20 * time.Minute},
		{"the subject token's", time.Hour, time.Hour, 5 * time.Minute, 5*time.Minute - 250*time.Millisecond},
		{"two seconds are left", time.Hour, 0, 2 * time.Second, 1750 * time.Millisecond},
		{"less than a second is left", time.Hour, 0, time.Second, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			w.maxLifetime = test.server
			r := request(soundClaims().with("exp", now.Add(test.remain).Unix()).signedBy(acmeKey()))
			r.Client.MaxLifetime = test.client
			d, err := w.exchange(r)
			if test.want == 0 {
				refused(t, d, err, grants.InvalidRequest, grants.TokenExpired, "less than a second")
				return
			}
			if got := accepted(t, d, err).ExpiresAt.Sub(now); got != test.want {
				t.Errorf("lives %v, want %v", got, test.want)
			}
		})
	}
	t.Run("exactly a second", func(t *testing.T) {
		w := newWorld()
		w.now = time.Unix(now.Unix(), 0)
		d, err := w.exchange(request(soundClaims().with("exp", now.Unix()+1).signedBy(acmeKey())))
		if got := accepted(t, d, err).ExpiresAt; !got.Equal(w.now.Add(time.Second)) {
			t.Errorf("until %v", got)
		}
	})
}

// A store or a key URL that fails is answered 503, never "invalid": the client
// would throw a good token away.
func TestFailuresOfOursAreTemporary(t *testing.T) {
	dead := errors.New("connection refused")
	for _, test := range []struct {
		name   string
		hurt   func(*world, *tokenexchange.Request)
		reason grants.Reason
		text   string
	}{
		{"policies of an integrator", func(w *world, _ *tokenexchange.Request) { w.policiesErr = dead }, grants.DatabaseUnavailable, "configuration cannot be read"},
		{"policies without a client", func(w *world, r *tokenexchange.Request) { w.policiesErr, r.Client = dead, nil }, grants.DatabaseUnavailable, "configuration cannot be read"},
		{"audience", func(w *world, r *tokenexchange.Request) { w.targetErr, r.Audiences = dead, []string{apiTarget} }, grants.DatabaseUnavailable, "cannot be looked up"},
		{"resource", func(w *world, r *tokenexchange.Request) { w.targetErr, r.Resources = dead, []string{apiTarget} }, grants.DatabaseUnavailable, "cannot be looked up"},
		{"keys", func(w *world, _ *tokenexchange.Request) { w.keysErr["https://acme.example/jwks"] = dead }, grants.KeysUnavailable, "keys of the issuer cannot be used"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, r := newWorld(), request(soundClaims().signedBy(acmeKey()))
			test.hurt(w, &r)
			d, err := w.exchange(r)
			refused(t, d, err, grants.TemporarilyUnavailable, test.reason, test.text)
			if !errors.Is(err, dead) || len(d.Scopes) > 0 {
				t.Errorf("got %v, scopes %q", err, d.Scopes)
			}
		})
	}
}
