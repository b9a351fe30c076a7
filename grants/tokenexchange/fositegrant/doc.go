// Package fositegrant registers the token exchange of package tokenexchange
// with any server built on ory/fosite: one fosite.TokenEndpointHandler, with
// the few types a server must name to compose it. It decides nothing itself.
package fositegrant
