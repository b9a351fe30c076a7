package grants_test

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
)

func TestRefusals(t *testing.T) {
	cause := errors.New("disk full")
	for _, test := range []struct {
		name   string
		got    *grants.Refusal
		code   grants.Code
		reason grants.Reason
		text   string
	}{
		{"of a request", grants.Refuse(grants.InvalidScope, "more than %d", 64),
			grants.InvalidScope, "", "invalid_scope: more than 64"},
		{"of a subject token is always invalid_request (RFC 8693 §2.2.2)",
			grants.RefuseToken(grants.TokenExpired, "expired", "later", "earlier"),
			grants.InvalidRequest, grants.TokenExpired, "invalid_request (token_expired): expired"},
		{"for a failure of ours is never invalid anything",
			grants.Unavailable(grants.DatabaseUnavailable, "later", cause),
			grants.TemporarilyUnavailable, grants.DatabaseUnavailable, "temporarily_unavailable (database_unavailable): later: disk full"},
		{"without description", &grants.Refusal{Code: grants.InvalidClient}, grants.InvalidClient, "", "invalid_client"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.got.Code != test.code || test.got.Reason != test.reason || test.got.Error() != test.text {
				t.Errorf("got %q %q %q, want %q %q %q", test.got.Code, test.got.Reason, test.got.Error(), test.code, test.reason, test.text)
			}
		})
	}
	if !errors.Is(grants.Unavailable("", "", cause), cause) {
		t.Error("the cause is lost")
	}
}

// The log must not hold what a token says: Expected and Found may.
func TestTheTextOfARefusalHoldsNeitherExpectedNorFound(t *testing.T) {
	refusal := grants.RefuseToken(grants.IssuerUnknown, "iss is not the registered issuer", "EXPECTED", "FOUND")
	if got := refusal.Error(); got != "invalid_request (issuer_unknown): iss is not the registered issuer" {
		t.Errorf("got %q", got)
	}
}

// interface.md "Refusals": the words are exact, and none is missing.
func TestReasonsAreThoseOfTheContract(t *testing.T) {
	for _, test := range []struct {
		reason grants.Reason
		word   string
	}{
		{grants.Malformed, "malformed"}, {grants.TooLarge, "too_large"}, {grants.AlgNotAllowed, "alg_not_allowed"},
		{grants.HeaderNotAllowed, "header_not_allowed"}, {grants.TypNotAllowed, "typ_not_allowed"},
		{grants.IssuerUnknown, "issuer_unknown"}, {grants.KeyNotFound, "key_not_found"}, {grants.KeyAmbiguous, "key_ambiguous"},
		{grants.KeyUnusable, "key_unusable"}, {grants.SignatureInvalid, "signature_invalid"},
		{grants.AudienceMismatch, "audience_mismatch"}, {grants.TokenExpired, "token_expired"},
		{grants.TokenNotYetValid, "token_not_yet_valid"}, {grants.LifetimeTooLong, "lifetime_too_long"},
		{grants.ClaimMissing, "claim_missing"}, {grants.ClaimInvalid, "claim_invalid"}, {grants.ConditionFailed, "condition_failed"},
		{grants.WrongTokenKind, "wrong_token_kind"}, {grants.PermissionsInvalid, "permissions_invalid"},
		{grants.Replayed, "replayed"}, {grants.IntegratorDisabled, "integrator_disabled"},
	} {
		if string(test.reason) != test.word {
			t.Errorf("got %q, want %q", test.reason, test.word)
		}
	}
}

// Whoever counts by word must miss none.
func TestTheListsOfWordsAreWhole(t *testing.T) {
	source, err := os.ReadFile("refusal.go")
	if err != nil {
		t.Fatal(err)
	}
	var codes, reasons []string
	for _, code := range grants.Codes() {
		codes = append(codes, string(code))
	}
	for _, reason := range grants.Reasons() {
		reasons = append(reasons, string(reason))
	}
	for kind, list := range map[string][]string{"Code": codes, "Reason": reasons} {
		var declared []string
		for _, found := range regexp.MustCompile(`(?m)^\t\w+ +`+kind+` += "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
			declared = append(declared, found[1])
		}
		if !slices.Equal(list, declared) || len(list) < 9 {
			t.Errorf("%s: listed %v, declared %v", kind, list, declared)
		}
	}
}

func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		"https://idp.example/":   "https://idp.example/",
		"a\nb\x1b[31m\u202e\x00": `a\nb\x1b[31m\u202e\x00`,
		"blåbær":                 `bl\u00e5b\u00e6r`,
		strings.Repeat("a", 300): strings.Repeat("a", 256) + "...",
		strings.Repeat("å", 200): strings.Repeat(`\u00e5`, 128) + "...",
	} {
		if got := grants.Shown(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
