package admin

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"
)

// "me" of somebody who has come to another integrator is another address: what
// the first one's request was answered, a client's secret even, is not repeated.
func TestFingerprintKnowsWhoseMeIs(t *testing.T) {
	print := func(integratorID string) []byte {
		asked := httptest.NewRequest("POST", "/admin/v1/integrators/me/clients", strings.NewReader("{}"))
		sum, err := fingerprint(httptest.NewRecorder(), request{Request: asked, caller: Caller{ClientID: "oidc:somebody", IntegratorID: integratorID}})
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	if !bytes.Equal(print("one"), print("one")) {
		t.Error("the same request is not known again")
	}
	if bytes.Equal(print("one"), print("another")) {
		t.Error("two integrators' requests are one")
	}
}
