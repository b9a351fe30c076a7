package oidc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"

	rp "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// How long an answer about the provider holds. The library keeps keys for as
// long as it is asked for no others, so this is also how soon a key that the
// provider took out stops.
const (
	foundFor  = time.Hour
	failedFor = time.Second // against everybody who presses the button asking at once
)

// found is what a provider says of itself (OpenID Connect Discovery §3).
type found struct {
	endpoint    oauth2.Endpoint
	keys        rp.KeySet
	algorithms  []string
	namesItself bool // in each answer, by iss (RFC 9207)
}

// metadata is what was found, and when.
type metadata struct {
	turn    chan struct{} // whoever holds it asks, one at a time
	found   *found
	foundAt time.Time

	failed   error
	failedAt time.Time
}

func newMetadata() metadata { return metadata{turn: make(chan struct{}, 1)} }

// discovered gives what is known of the provider, and asks it when that is
// nothing, or old.
func (p *Provider) discovered(ctx context.Context) (*found, error) {
	m := &p.metadata
	select {
	case m.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-m.turn }()
	now := p.config.Now()
	switch {
	case m.found != nil && now.Sub(m.foundAt) < foundFor:
		return m.found, nil
	case m.failed == nil || now.Sub(m.failedAt) >= failedFor:
		fresh, err := p.discover(ctx)
		if m.failed, m.failedAt = err, now; err == nil {
			m.found, m.foundAt = fresh, now
		}
	}
	if m.found == nil {
		return nil, m.failed
	}
	return m.found, nil // old is better than nothing
}

// discover asks the provider. Whoever goes away meanwhile breaks nothing off:
// others wait for the answer.
func (p *Provider) discover(ctx context.Context) (*found, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	ctx = rp.ClientContext(ctx, p.client)
	provider, err := rp.NewProvider(ctx, p.config.Issuer) // which compares the issuer (Discovery §4.3)
	if err != nil {
		return nil, bounded(err)
	}
	var said struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
		Methods    []string `json:"token_endpoint_auth_methods_supported"`
		NamesIss   bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := provider.Claims(&said); err != nil {
		return nil, bounded(err)
	}
	endpoint := provider.Endpoint()
	for _, place := range []string{endpoint.AuthURL, endpoint.TokenURL, said.Keys} {
		if !ValidURL(place) {
			return nil, fmt.Errorf("the provider names %q, which is neither https nor on this machine", shown(place, 200))
		}
	}
	if endpoint.AuthStyle, err = p.style(said.Methods); err != nil {
		return nil, err
	}
	return &found{endpoint: endpoint, keys: rp.NewRemoteKeySet(ctx, said.Keys), algorithms: asymmetric(said.Algorithms), namesItself: said.NamesIss}, nil
}

// style is how this client authenticates. Nothing is tried out: a second
// attempt with the same code looks like a theft of it (RFC 6749 §4.1.2).
func (p *Provider) style(methods []string) (oauth2.AuthStyle, error) {
	switch {
	case p.config.ClientSecret == "":
		return oauth2.AuthStyleInParams, nil // nothing but the client_id
	case len(methods) == 0 || slices.Contains(methods, "client_secret_basic"): // Discovery §3: the default
		return oauth2.AuthStyleInHeader, nil
	case slices.Contains(methods, "client_secret_post"):
		return oauth2.AuthStyleInParams, nil
	}
	return 0, errors.New("the provider's token endpoint takes neither client_secret_basic nor client_secret_post")
}

// asymmetric are the provider's algorithms but none and those of shared secrets
// (RFC 8725 §3.1): RS256 when it names no other, which every provider has
// (Core §15.1).
func asymmetric(named []string) []string {
	known := []string{rp.RS256, rp.RS384, rp.RS512, rp.PS256, rp.PS384, rp.PS512, rp.ES256, rp.ES384, rp.ES512, rp.EdDSA}
	named = slices.DeleteFunc(slices.Clone(named), func(a string) bool { return !slices.Contains(known, a) })
	if len(named) == 0 {
		return []string{rp.RS256}
	}
	return named
}

// ValidURL tells whether a URL is https, or http on this machine: codes, secrets
// and keys come this way.
func ValidURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u)
}

func loopback(u *url.URL) bool {
	host := u.Hostname()
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && net.IP(ip.AsSlice()).IsLoopback()
}
