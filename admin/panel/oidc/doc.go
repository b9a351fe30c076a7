// Package oidc signs people in at the panel by OpenID Connect: the
// authorization code flow with PKCE at the operator's own identity provider
// (OpenID Connect Core §3.1, RFC 7636, RFC 9700). The provider says who somebody
// is; the operator's configuration says which of its claims make operators, and
// which names the integrator whose people they are.
package oidc
