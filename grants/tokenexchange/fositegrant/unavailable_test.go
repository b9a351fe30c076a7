package fositegrant_test

import (
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
)

// A key URL that is down is no verdict on the token.
func TestUnavailableReadsAsAVerdict(t *testing.T) {
	s := newServer()
	s.refusal = grants.Unavailable(grants.KeysUnavailable, "the keys of the issuer cannot be fetched at the moment", nil)
	if w, _ := s.post(t, form()); strings.Contains(w.Body.String(), "not accepted") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
