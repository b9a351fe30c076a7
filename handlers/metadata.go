package handlers

import (
	"net/http"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/clientassertion"
)

// metadataAnswer is RFC 8414 §2: what exists, and nothing else.
type metadataAnswer struct {
	Issuer                      string   `json:"issuer"`
	TokenEndpoint               string   `json:"token_endpoint"`
	IntrospectionEndpoint       string   `json:"introspection_endpoint"`
	RevocationEndpoint          string   `json:"revocation_endpoint"`
	JWKSURI                     string   `json:"jwks_uri"`
	GrantTypes                  []string `json:"grant_types_supported"`
	ResponseTypes               []string `json:"response_types_supported"` // required, and there are none
	TokenAuthMethods            []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgorithms         []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuthMethods    []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgorithms []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationAuthMethods       []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgorithms    []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	// RFC 9701 §7: those of all published keys, not of the active one alone.
	// While the algorithm is being changed, another replica signs with the old
	// one, and clients refuse what is not listed.
	IntrospectionAlgorithms []string `json:"introspection_signing_alg_values_supported"`
	// There are no ID tokens. go-oidc reads from this member which algorithms
	// a token of this issuer may have.
	IDTokenAlgorithms []string `json:"id_token_signing_alg_values_supported"`
}

func (s *Server) metadata(w http.ResponseWriter, r *http.Request, event *Event) {
	confidential := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	signed := clientassertion.Algorithms()
	w.Header().Set("Cache-Control", "public, max-age=300")
	s.write(w, r, event, http.StatusOK, metadataAnswer{
		Issuer:                      s.config.Issuer,
		TokenEndpoint:               s.endpoint(tokenPath),
		IntrospectionEndpoint:       s.endpoint(introspectPath),
		RevocationEndpoint:          s.endpoint(revokePath),
		JWKSURI:                     s.endpoint(jwksPath),
		GrantTypes:                  []string{grants.ClientCredentials, grants.TokenExchange, grants.JWTBearer},
		ResponseTypes:               []string{},
		TokenAuthMethods:            append(confidential, "none"),
		TokenAuthAlgorithms:         signed,
		IntrospectionAuthMethods:    confidential,
		IntrospectionAuthAlgorithms: signed,
		RevocationAuthMethods:       append(confidential, "none"),
		RevocationAuthAlgorithms:    signed,
		IntrospectionAlgorithms:     s.config.Algorithms(),
		IDTokenAlgorithms:           s.config.Algorithms(),
	})
}

func (s *Server) jwks(w http.ResponseWriter, _ *http.Request, event *Event) {
	// Short, so that a rotation is seen; the next key is in it beforehand.
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("Content-Type", "application/json")
	event.Status = http.StatusOK
	_, _ = w.Write(s.config.JWKS())
}
