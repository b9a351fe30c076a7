package registry_test

import (
	"testing"

	"github.com/cambio-oauth/cambio/registry"
)

// XTI-04.
func TestIssuersThatReadTheSame(t *testing.T) {
	const issuer = "https://xn--acm-yla.example/Tenant"
	for _, same := range []string{
		issuer, issuer + "/", issuer + "//", issuer + "?", "http://xn--acm-yla.example/Tenant", "xn--acm-yla.example/tenant", "HTTPS://XN--ACM-YLA.Example/tenant",
		"https://xn--acm-yla.example:443/Tenant", "https://xn--acm-yla.example./Tenant", "https://xn--acm-yla.example/x/../Tenant", "https://xn--acm-yla.example/%54enant", "https://x@xn--acm-yla.example/Tenant",
		"https:///xn--acm-yla.example/Tenant", "https:/xn--acm-yla.example/Tenant", "//xn--acm-yla.example/Tenant", "https://xn--acm-yla.example:0443/Tenant", "https://xn--acm-yla.example../Tenant", "xn--acm%2Dyla.example/Tenant",
	} {
		if got := registry.IssuerKey(same); got != registry.IssuerKey(issuer) {
			t.Errorf("%s is %s", same, got)
		}
	}
	for _, other := range []string{
		"https://xn--acm-yla.example/", "https://xn--acm-yla.example/tenant2", "https://xn--acm-yla.example:8443/Tenant", "https://xn--acm-yla.example.org/Tenant",
		"https://xn--acm-yla.example@evil.example/Tenant", issuer + "?x=1", "https://acm.example/Tenant", "tenant", "", "%zz",
	} {
		if registry.IssuerKey(other) == registry.IssuerKey(issuer) {
			t.Errorf("%s is taken for %s", other, issuer)
		}
	}
}
