package handlers

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
)

// fosite.md §2.1: what costs fosite quadratic time never gets there, whatever
// the grants would say of it afterwards.
func TestWhatFositeMustNotSee(t *testing.T) {
	for rule, c := range map[string]struct {
		form url.Values
		code grants.Code
	}{
		"scopes past their limit":           {url.Values{"scope": {strings.Join(distinct(grants.MaxRequestedScopes+1), " ")}}, grants.InvalidRequest},
		"audiences past their limit":        {url.Values{"audience": distinct(grants.MaxTargets + 1)}, grants.InvalidTarget},
		"resources past their limit":        {url.Values{"resource": distinct(grants.MaxTargets + 1)}, grants.InvalidTarget},
		"one audience that fosite splits":   {url.Values{"audience": {strings.Join(distinct(5000), " ")}}, grants.InvalidTarget},
		"one resource with a space":         {url.Values{"resource": {"a b"}}, grants.InvalidTarget},
		"a parameter of which it takes one": {url.Values{"client_id": {"a", "b"}}, grants.InvalidRequest},
	} {
		t.Run(rule, func(t *testing.T) {
			if refusal := checkParameters(c.form); refusal == nil || refusal.Code != c.code {
				t.Errorf("got %v, want %s", refusal, c.code)
			}
		})
	}
	atTheLimit := url.Values{"scope": {strings.Join(distinct(grants.MaxRequestedScopes), "  ")}, "audience": distinct(grants.MaxTargets), "resource": {"a"}}
	if refusal := checkParameters(atTheLimit); refusal != nil {
		t.Errorf("at the limit: %v", refusal)
	}
}

func distinct(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprint("n", i))
	}
	return names
}
