package panel

import (
	"reflect"
	"testing"
)

// What a form shows of a key URL is what it saves: nobody who presses Save may
// loosen a rule.
func TestRequiredClaimsComeBackFromTheForm(t *testing.T) {
	for _, claims := range [][]requiredClaim{
		{},
		{{"hd", []string{}}},
		{{"hd", []string{"acme.example"}}},
		{{"hd", []string{"a", "b"}}, {"email_verified", []string{"true"}}},
		{{"a=b", []string{"c=d", "x, y", " padded ", "", `"quoted"`, "two\nlines"}}},
		{{"/realm_access/roles", []string{"=", "ø"}}, {" a ", []string{}}, {`"`, []string{`"`}}},
	} {
		var texts []string
		for _, claim := range claims {
			texts = append(texts, claim.lines()...)
		}
		if got := requiredClaims(texts); !reflect.DeepEqual(got, claims) {
			t.Errorf("%v, written as %q, is read as %v", claims, texts, got)
		}
	}
}

func TestRequiredClaimsOfPeople(t *testing.T) {
	got := requiredClaims([]string{"hd=acme.example", "hd = other.example", "tid", `"a b" = c`})
	want := []requiredClaim{{"hd", []string{"acme.example", "other.example"}}, {"tid", []string{}}, {"a b", []string{"c"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}
