package handlers

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/ory/fosite"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
	"github.com/cambio-oauth/cambio/grants/clientassertion"
)

// note travels in the context of one request and says who asked and what came
// of it.
type note struct {
	address   netip.Addr // of whoever asks, for the limits
	presented bool       // any credential at all, right or wrong
	client    *Client    // whose id was given, once it was found
	verified  bool       // the client authenticated: it is no stranger
	minted    *accesstoken.Minted
	places    *places
	placed    bool // it is worked on, and holds one of them
}

type noteKey struct{}

func noteOf(ctx context.Context) *note { return ctx.Value(noteKey{}).(*note) }

func nothingPresented(ctx context.Context) bool { return !noteOf(ctx).presented }

// credentials are what a request presents.
type credentials struct {
	clientID  string
	secrets   []string                   // spellings of the one secret; none for a public client
	assertion *clientassertion.Assertion // private_key_jwt
}

// authenticate is fosite's client authentication. fosite goes on without a
// client when CanSkipClientAuth lets it, so the note says whether credentials
// were presented: a wrong secret, an unknown client and a dead database are
// never "no client".
func (s *Server) authenticate(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	presented, refusal := readCredentials(r, form)
	note := noteOf(ctx)
	note.presented = presented != nil || refusal != nil
	if refusal != nil {
		return nil, refusal
	}
	if presented == nil {
		return nil, grants.Refuse(grants.InvalidClient, "client authentication is required")
	}
	if presented.assertion != nil {
		if refusal := s.config.Assertions.CheckClaims(presented.assertion); refusal != nil {
			return nil, refusal
		}
	}
	failed := grants.Refuse(grants.InvalidClient, "client authentication failed")
	var ours *grants.Refusal // a failure of ours, which ends the search
	guess := s.limits.guess(note, presented.clientID)
	client, proven, err := s.config.Clients.Find(ctx, presented.clientID, guess.within(func(c *Client) bool {
		refusal = failed // of this look, not of the one before
		if presented.assertion == nil || c == nil || c.Keys == nil {
			return s.proves(c, presented)
		}
		failure := s.config.Assertions.Verify(ctx, presented.assertion, *c.Keys)
		switch {
		case failure == nil:
			return true
		case failure.Code == grants.TemporarilyUnavailable: // another look would find the assertion used
			ours = failure
			return true
		}
		refusal = failure
		return false
	}))
	if err != nil {
		return nil, grants.Unavailable(grants.DatabaseUnavailable, "the client cannot be looked up at the moment", err)
	}
	note.client = client
	if guess.wait > 0 {
		return nil, refuseFailures(guess.wait)
	}
	if ours != nil {
		return nil, ours
	}
	if !proven {
		guess.failed(refusal)
		return nil, refusal
	}
	note.verified = !client.Public
	return &fositeClient{client}, nil
}

// proves tells whether a secret, or none, is the client's. A secret is always
// hashed, so that time does not tell an unknown client from a wrong secret.
func (s *Server) proves(client *Client, presented *credentials) bool {
	matches := false
	for _, secret := range presented.secrets {
		if s.config.Clients.Matches(client, secret) {
			matches = true
		}
	}
	if client == nil || client.Keys != nil || presented.assertion != nil {
		return false
	}
	if client.Public {
		return len(presented.secrets) == 0
	}
	return matches
}

// readCredentials finds the one method a request uses. RFC 6749 §2.3: a client
// MUST NOT use more than one.
func readCredentials(r *http.Request, form url.Values) (*credentials, *grants.Refusal) {
	headers := r.Header.Values("Authorization")
	id, secret := form.Get("client_id"), form.Get("client_secret")
	switch {
	case form.Get("client_assertion") != "" || form.Get("client_assertion_type") != "":
		if len(headers) > 0 || secret != "" {
			return nil, grants.Refuse(grants.InvalidRequest, "more than one method of client authentication was used")
		}
		return readAssertion(form, id)
	case len(headers) > 1, len(headers) == 1 && secret != "":
		return nil, grants.Refuse(grants.InvalidRequest, "more than one method of client authentication was used")
	case len(headers) == 1:
		basic, refusal := readBasic(headers[0])
		if refusal == nil && id != "" && id != basic.clientID {
			return nil, grants.Refuse(grants.InvalidRequest, "client_id is not the client that authenticates")
		}
		return basic, refusal
	case id == "" && secret == "":
		return nil, nil
	case secret == "":
		return &credentials{clientID: id}, nil
	}
	return &credentials{clientID: id, secrets: []string{secret}}, nil
}

// readAssertion reads private_key_jwt (RFC 7523 §2.2). client_id may be left
// out: the assertion names the client.
func readAssertion(form url.Values, id string) (*credentials, *grants.Refusal) {
	if form.Get("client_assertion_type") != clientassertion.Type {
		return nil, grants.Refuse(grants.InvalidClient, "client_assertion_type must be %s", clientassertion.Type)
	}
	assertion, refusal := clientassertion.Parse(form.Get("client_assertion"))
	if refusal == nil && id != "" && id != assertion.ClientID {
		return nil, grants.Refuse(grants.InvalidRequest, "client_id is not the client that authenticates")
	}
	if refusal != nil {
		return nil, refusal
	}
	return &credentials{clientID: assertion.ClientID, assertion: assertion}, nil
}

// readBasic reads RFC 7617 as RFC 6749 §2.3.1 uses it: both parts are
// form-encoded first. Many libraries leave that out, so a secret is tried as
// it was sent, too.
func readBasic(header string) (*credentials, *grants.Refusal) {
	scheme, encoded, _ := strings.Cut(header, " ")
	text, err := base64.StdEncoding.DecodeString(strings.TrimLeft(encoded, " ")) // RFC 9110 §11.4: 1*SP
	id, secret, ok := strings.Cut(string(text), ":")
	if !strings.EqualFold(scheme, "Basic") || err != nil || !ok || id == "" || secret == "" {
		return nil, grants.Refuse(grants.InvalidClient, "the Authorization header is not HTTP Basic with client_id and client_secret")
	}
	presented := &credentials{clientID: id, secrets: []string{secret}}
	if decoded, err := url.QueryUnescape(id); err == nil {
		presented.clientID = decoded
	}
	if decoded, err := url.QueryUnescape(secret); err == nil && decoded != secret {
		presented.secrets = append(presented.secrets, decoded)
	}
	return presented, nil
}
