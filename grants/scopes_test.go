package grants_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
)

// wantRefusal asserts code, reason and a part of the description, so that a
// refusal for another reason fails the test.
func wantRefusal(t *testing.T, got *grants.Refusal, code grants.Code, reason grants.Reason, text string) {
	t.Helper()
	if got == nil {
		t.Fatalf("accepted, want %s", code)
	}
	if got.Code != code || got.Reason != reason || !strings.Contains(got.Description, text) {
		t.Fatalf("got %q, want code %q, reason %q, text with %q", got.Error(), code, reason, text)
	}
}

func numbered(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return list
}

// RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ).
func TestScopeTokenGrammarByteByByte(t *testing.T) {
	for c := range 256 {
		allowed := c == 0x21 || c >= 0x23 && c <= 0x5b || c >= 0x5d && c <= 0x7e
		for _, scope := range []string{string([]byte{byte(c)}), string([]byte{'a', byte(c), 'b'})} {
			if got := grants.ValidScope(scope); got != allowed {
				t.Errorf("ValidScope(%q) = %v, want %v", scope, got, allowed)
			}
			if c == ' ' {
				continue // the separator, for SplitScope
			}
			got, refusal := grants.SplitScope(scope)
			if allowed {
				if refusal != nil || !slices.Equal(got, []string{scope}) {
					t.Errorf("SplitScope(%q) = %q, %v, want itself", scope, got, refusal)
				}
				continue
			}
			wantRefusal(t, refusal, grants.InvalidScope, "", "RFC 6749 section 3.3")
		}
	}
	if grants.ValidScope("") {
		t.Error("the empty text is no scope-token")
	}
}

func TestSplitScope(t *testing.T) {
	for _, test := range []struct {
		name, value string
		want        []string
	}{
		{"empty means left out (RFC 6749 §3.2)", "", nil},
		{"one space means left out", " ", nil},
		{"spaces alone mean left out", "     ", nil},
		{"one", "a", []string{"a"}},
		{"order is kept", "c a b", []string{"c", "a", "b"}},
		{"leading, trailing and double spaces are nothing", "  a   b ", []string{"a", "b"}},
		{"repeats collapse", "a b a a b", []string{"a", "b"}},
		{"case makes a different scope", "a A", []string{"a", "A"}},
		{"64 are allowed", strings.Join(numbered("s", 64), " "), numbered("s", 64)},
		{"65 of which two are the same are 64", strings.Join(append(numbered("s", 64), "s0"), " "), numbered("s", 64)},
		{"a comma separates nothing", "a,b", []string{"a,b"}},
		{"a plus sign is a plus sign here", "a+b", []string{"a+b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, refusal := grants.SplitScope(test.value)
			if refusal != nil {
				t.Fatal(refusal)
			}
			if !slices.Equal(got, test.want) || (got == nil) != (test.want == nil) {
				t.Errorf("got %#v, want %#v", got, test.want)
			}
		})
	}
}

func TestSplitScopeRefuses(t *testing.T) {
	for _, test := range []struct {
		name, value string
		code        grants.Code
		text        string
	}{
		{"a tab is no separator (PRM-16)", "a\tb", grants.InvalidScope, "RFC 6749 section 3.3"},
		{"a line feed is no separator", "a\nb", grants.InvalidScope, "RFC 6749 section 3.3"},
		{"a no-break space is no separator", "a\u00a0b", grants.InvalidScope, "RFC 6749 section 3.3"},
		{"a bad one among good ones", `a b c"d e`, grants.InvalidScope, "RFC 6749 section 3.3"},
		{"65 are too many", strings.Join(numbered("s", 65), " "), grants.InvalidRequest, "more than 64 scopes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, refusal := grants.SplitScope(test.value)
			wantRefusal(t, refusal, test.code, "", test.text)
			if got != nil {
				t.Errorf("a refused scope gave %q", got)
			}
			if strings.Contains(refusal.Error(), `c"d`) {
				t.Error("the refusal repeats what was sent (PRM-17)")
			}
		})
	}
}

func TestCheckGranted(t *testing.T) {
	for _, test := range []struct {
		name   string
		scopes []string
		text   string // empty: allowed
	}{
		{"no scope is never granted (PRM-15)", nil, "no scope is left"},
		{"an empty list neither", []string{}, "no scope is left"},
		{"one", []string{"a"}, ""},
		{"8 KiB", []string{strings.Repeat("a", 8<<10)}, ""},
		{"8 KiB with the space between", []string{strings.Repeat("a", 4<<10), strings.Repeat("b", 4<<10-1)}, ""},
		{"8 KiB and one byte", []string{strings.Repeat("a", 8<<10+1)}, "8193 bytes"},
		{"the space between counts", []string{strings.Repeat("a", 4<<10), strings.Repeat("b", 4<<10)}, "8193 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			refusal := grants.CheckGranted(test.scopes)
			if test.text == "" {
				if refusal != nil {
					t.Fatal(refusal)
				}
				return
			}
			wantRefusal(t, refusal, grants.InvalidScope, "", test.text)
		})
	}
}

func TestTargets(t *testing.T) {
	known := func(target string) (bool, error) { return strings.HasPrefix(target, "https://api"), nil }
	for _, test := range []struct {
		name                 string
		audiences, resources []string
		want                 []string
	}{
		{"none named: the default", nil, nil, []string{"default"}},
		{"empty values are left out (RFC 6749 §3.2)", []string{""}, []string{"", ""}, []string{"default"}},
		{"audience (RFC 8693 §2.1)", []string{"https://api"}, nil, []string{"https://api"}},
		{"resource (RFC 8707 §2)", nil, []string{"https://api"}, []string{"https://api"}},
		{"both join, audience first", []string{"https://api/a"}, []string{"https://api/r"}, []string{"https://api/a", "https://api/r"}},
		{"the same in both is one", []string{"https://api"}, []string{"https://api"}, []string{"https://api"}},
		{"16 together", numbered("https://api/a", 8), numbered("https://api/r", 8),
			append(numbered("https://api/a", 8), numbered("https://api/r", 8)...)},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, refusal := grants.Targets(test.audiences, test.resources, known, "default")
			if refusal != nil || !slices.Equal(got, test.want) {
				t.Errorf("got %q, %v, want %q", got, refusal, test.want)
			}
		})
	}
}

func TestTargetsRefuse(t *testing.T) {
	dead := errors.New("the database is gone")
	known := func(target string) (bool, error) {
		if target == "https://unlucky" {
			return true, dead // an answer beside an error is none
		}
		return target == "https://api", nil
	}
	for _, test := range []struct {
		name                 string
		audiences, resources []string
		code                 grants.Code
		reason               grants.Reason
		text                 string
	}{
		{"an unknown audience", []string{"https://other"}, nil, grants.InvalidTarget, "", "not a registered resource server"},
		{"an unknown resource: it is no way around the audience", nil, []string{"https://other"}, grants.InvalidTarget, "", "not a registered resource server"},
		{"an unknown one after a known one", []string{"https://api"}, []string{"https://other"}, grants.InvalidTarget, "", "not a registered resource server"},
		{"compared byte by byte: a slash", []string{"https://api/"}, nil, grants.InvalidTarget, "", "not a registered resource server"},
		{"a resource that is no absolute URI (RFC 8707 §2)", nil, []string{"api"}, grants.InvalidTarget, "", "not an absolute URI"},
		{"a resource with a fragment (RFC 8707 §2)", nil, []string{"https://api#x"}, grants.InvalidTarget, "", "not an absolute URI"},
		{"17 together", numbered("a", 9), numbered("r", 8), grants.InvalidTarget, "", "more than 16"},
		{"17 empty ones", make([]string, 17), nil, grants.InvalidTarget, "", "more than 16"},
		{"a look-up that fails is not invalid_target", []string{"https://unlucky"}, nil,
			grants.TemporarilyUnavailable, grants.DatabaseUnavailable, "at the moment"},
		{"nor is it for a resource", nil, []string{"https://api", "https://unlucky"},
			grants.TemporarilyUnavailable, grants.DatabaseUnavailable, "at the moment"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, refusal := grants.Targets(test.audiences, test.resources, known, "default")
			wantRefusal(t, refusal, test.code, test.reason, test.text)
			if got != nil {
				t.Errorf("a refusal gave the targets %q", got)
			}
			if errors.Is(refusal, dead) != (test.code == grants.TemporarilyUnavailable) {
				t.Errorf("cause: %v", refusal.Cause)
			}
		})
	}
}

func TestOwnScopes(t *testing.T) {
	for scope, own := range map[string]bool{
		"admin": true, "integrator.admin": true,
		"Admin": false, "admin ": false, "administrator": false, "integrator": false, "": false,
		"lockHolder.identifier:NO.919424508.east": false,
	} {
		if grants.IsOwnScope(scope) != own {
			t.Errorf("IsOwnScope(%q) = %v, want %v", scope, !own, own)
		}
	}
}
