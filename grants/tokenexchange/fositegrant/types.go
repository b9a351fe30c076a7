package fositegrant

import (
	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/grants/permissions"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
)

// Aliases, so that a server that composes the handler imports one package.
type (
	Exchanger  = tokenexchange.Exchanger
	Request    = tokenexchange.Request
	Decision   = tokenexchange.Decision
	Policy     = tokenexchange.Policy
	Client     = grants.Client
	Refusal    = grants.Refusal
	Verifier   = assertion.Verifier
	Trust      = assertion.Policy
	Key        = assertion.Key
	KeyQuery   = assertion.KeyQuery
	KeyRef     = assertion.KeyRef
	KeysFunc   = assertion.KeysFunc
	Identifier = permissions.Identifier
)
