package admin

import "testing"

// SSRF-16: however it is spelt, and by either scheme.
func TestOwnURL(t *testing.T) {
	for url, own := range map[string]bool{
		"https://auth.example/jwks": true, "https://AUTH.example/": true, "https://auth.example./": true, "https://auth.example:443/": true,
		"https://auth.example:0443/": true, "https://auth.example:/": true, "http://auth.example/": true, "https://auth.example?x": true,
		"https://auth.example:8443/": false, "https://auth.example.evil/": false, "https://idp.example/auth.example": false, "https://xauth.example/": false,
	} {
		if got := ownURL("https://auth.example/tenants/a", url); got != own {
			t.Errorf("%s: got %v", url, got)
		}
	}
	if !ownURL("http://127.0.0.1:8080", "http://127.0.0.1:8080/x") || ownURL("http://127.0.0.1:8080", "http://127.0.0.1:9090/x") {
		t.Error("ports of a loopback host")
	}
}
