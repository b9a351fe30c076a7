package remote

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants/assertion"
)

// forbidden are the addresses of SSRF-03 and SSRF-04, and their like.
var forbidden = []string{
	"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255",
	"172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255", "169.254.169.254",
	"100.64.0.1", "100.100.100.200", "100.127.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1",
	"198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
	"240.0.0.1", "255.255.255.255", "168.63.129.16", "192.88.99.1",
	"::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::127.0.0.1", "fe80::1", "fe80::1%lo",
	"fc00::1", "fd00:ec2::254", "fd20:ce::254", "fec0::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
	"64:ff9b:1::a9fe:a9fe", "2002:7f00:1::", "2001::1", "100::1", "2001:db8::1", "3fff::1", "5f00::1",
	"ff02::1", "2606:4700:4700::1111%eth0", "::ffff:168.63.129.16",
}

func urlHost(addr string) string {
	if strings.Contains(addr, ":") {
		return "[" + strings.ReplaceAll(addr, "%", "%25") + "]"
	}
	return addr
}

func prefixes(texts ...string) []netip.Prefix {
	list := []netip.Prefix{}
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func newSource(t *testing.T, config Config) *Source {
	t.Helper()
	s := New(config)
	s.fetcher.timeout = time.Minute // a slow machine must not decide a test
	t.Cleanup(s.Close)
	return s
}

// noDial makes any attempt to connect fail the test.
func noDial(t *testing.T, s *Source) {
	s.fetcher.dial = func(_ context.Context, to netip.AddrPort, _ bool) (net.Conn, error) {
		t.Errorf("dialled %s", to)
		return nil, errors.New("no network here")
	}
}

// urlRule is a URL that may, or may not, become a key URL.
type urlRule struct {
	name, url string
	ok        bool
}

func checkRules(t *testing.T, rules []urlRule) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			if err := newSource(t, Config{}).CheckURL(r.url); (err == nil) != r.ok {
				t.Errorf("%s: %v", r.url, err)
			}
		})
	}
}

const publicURL = "https://idp.example.com/keys"

// SSRF-01, SSRF-02; asked at registration and at every edit (SSRF-14).
func TestKeyURLRulesForTheWholeURL(t *testing.T) {
	checkRules(t, []urlRule{
		{"https", publicURL, true},
		{"HTTPS", "HTTPS://idp.example.com/keys", true},
		{"with a query", publicURL + "?tenant=a", true},
		{"without a path", "https://idp.example.com", true},
		{"2,048 bytes", publicURL + strings.Repeat("a", 2048-len(publicURL)), true},
		{"2,049 bytes", publicURL + strings.Repeat("a", 2049-len(publicURL)), false},
		{"http", "http://idp.example.com/keys", false},
		{"HTTP", "HTTP://idp.example.com/keys", false},
		{"http with a public address", "http://8.8.8.8/keys", false},
		{"file", "file:///etc/passwd", false},
		{"file with a host", "file://host/etc/passwd", false},
		{"gopher", "gopher://h/", false},
		{"ftp", "ftp://h/", false},
		{"data", "data:,{}", false},
		{"unix", "unix:///run/x.sock", false},
		{"jar", "jar:https://h!/x", false},
		{"javascript", "javascript:alert(1)", false},
		{"no scheme", "//idp.example.com/keys", false},
		{"relative", "keys", false},
		{"relative with a slash", "/keys", false},
		{"opaque", "https:idp.example.com", false},
		{"no host", "https:///keys", false},
		{"only a port", "https://:443/keys", false},
		{"empty", "", false},
		{"user and password", "https://u:p@idp.example.com/", false},
		{"user", "https://good@evil.example/", false},
		{"empty user", "https://@evil.example/", false},
		{"escaped at sign", "https://good%40evil.example/", false},
		{"fragment", publicURL + "#x", false},
		{"empty fragment", publicURL + "#", false},
		{"backslash", `https://good\@evil.example/`, false},
		{"backslash in the path", publicURL + `\x`, false},
		{"carriage return", publicURL + "\r", false},
		{"line feed", publicURL + "\nHost: evil", false},
		{"tab", "https://idp.exa\tmple.com/", false},
		{"space", publicURL + " ", false},
		{"leading space", " " + publicURL, false},
		{"NUL", publicURL + "\x00", false},
		{"invalid UTF-8", publicURL + "\xff", false},
		{"invalid escape", publicURL + "%zz", false},
	})
}

// SSRF-03, SSRF-04, SSRF-09; asked at registration and at every edit (SSRF-14).
func TestKeyURLRulesForHostAndPort(t *testing.T) {
	checkRules(t, []urlRule{
		{"port 443", "https://idp.example.com:443/keys", true},
		{"a public address", "https://8.8.8.8/keys", true},
		{"a public IPv6 address", "https://[2606:4700:4700::1111]/keys", true},
		{"an international name in ASCII", "https://xn--bcher-kva.example/keys", true},
		{"http at the port of https", "http://idp.example.com:443/keys", false},
		{"escaped host", "https://idp%2eexample.com/", false},
		{"escaped letters beyond ASCII", "https://idp%E3%80%82example.com/", false},
		{"escaped digits of an address", "https://%31%32%37.0.0.1/", false},
		{"letters beyond ASCII", "https://bücher.example/", false},
		{"wide digits", "https://１２７.0.0.1/", false},
		{"decimal address", "https://2130706433/", false},
		{"octal address", "https://0177.0.0.1/", false},
		{"hexadecimal address", "https://0x7f.0.0.1/", false},
		{"hexadecimal number", "https://0x7f000001/", false},
		{"short address", "https://127.1/", false},
		{"address with a final dot", "https://127.0.0.1./", false},
		{"IPv6 without brackets", "https://::1/", false},
		{"a name in brackets", "https://[idp.example.com]/", false},
		{"an address of the future", "https://[v1.x]/", false},
		{"a public address with a zone", "https://[2606:4700:4700::1111%25eth0]/", false},
		{"a public IPv4-mapped address with a zone", "https://[::ffff:8.8.8.8%25eth0]/", false},
		{"a public IPv4-mapped address", "https://[::ffff:8.8.8.8]/keys", true},
		{"two final dots", "https://idp.example.com../", false},
		{"a final dot", "https://idp.example.com./", true},
		{"empty label", "https://idp..example.com/", false},
		{"label of 64 bytes", "https://" + strings.Repeat("a", 64) + ".example/", false},
		{"name of 254 bytes", "https://" + strings.Repeat("a.", 126) + "bc/", false},
		{"other characters in the name", "https://a*b.example/", false},
		{"localhost", "https://localhost/", false},
		{"localhost with a final dot", "https://localhost./", false},
		{"under localhost", "https://a.LocalHost./", false},
		{"port 0", "https://idp.example.com:0/", false},
		{"port 22", "https://idp.example.com:22/", false},
		{"port 25", "https://idp.example.com:25/", false},
		{"port 53", "https://idp.example.com:53/", false},
		{"port 80", "https://idp.example.com:80/", false},
		{"port 5432", "https://idp.example.com:5432/", false},
		{"port 6379", "https://idp.example.com:6379/", false},
		{"port 8443", "https://idp.example.com:8443/", false},
		{"port 65536", "https://idp.example.com:65536/", false},
		{"a public address on port 8443", "https://8.8.8.8:8443/", false},
	})
	s := newSource(t, Config{})
	for _, addr := range forbidden {
		if s.CheckURL("https://"+urlHost(addr)+"/keys") == nil {
			t.Errorf("%s is accepted", addr)
		}
	}
}

// SSRF-09, SSRF-14.
func TestKeyURLRulesWhereTheOperatorAllowsNetworks(t *testing.T) {
	s := newSource(t, Config{Allow: prefixes("127.0.0.0/8", "fd00:1::/32")})
	for url, ok := range map[string]bool{
		"http://127.0.0.1:8080/keys":         true,
		"https://127.0.0.1:8443/keys":        true,
		"http://[::ffff:127.0.0.1]/keys":     true,
		"http://[fd00:1::1]:9000/keys":       true,
		"http://keycloak:8080/keys":          true, // decided when dialled
		"https://idp.internal:8443/keys":     true,
		"http://localhost/keys":              true,
		"https://8.8.8.8/keys":               true,
		"http://8.8.8.8/keys":                false,
		"https://8.8.8.8:8443/keys":          false,
		"http://10.0.0.1/keys":               false,
		"https://[fd00:2::1]/keys":           false,
		"http://127.0.0.1:0/keys":            false,
		"http://[::ffff:127.0.0.1%25lo]/":    false,
		"http://127.1/keys":                  false,
		"ftp://127.0.0.1/keys":               false,
		"http://u@127.0.0.1/keys":            false,
		"https://[64:ff9b::7f00:1]/keys":     false,
		"https://[fd00:1::1%25eth0]:80/keys": false,
	} {
		if err := s.CheckURL(url); (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// SSRF-11.
func TestErrorsOfKeyURLsSayWhatWasExpected(t *testing.T) {
	s := newSource(t, Config{})
	for _, url := range []string{"", "ftp://h/", "https://secret:pw@h/", "https://10.0.0.1/", "https://h:1/", "http://h/", "https://h/#f", `https://h/\`, "https://h/ "} {
		err := s.CheckURL(url)
		if err == nil || !strings.HasPrefix(err.Error(), "expected ") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// SSRF-03, SSRF-04, SSRF-06, SSRF-07. SSRF-12: open, closed and filtered ports
// of such an address look alike, because none is dialled.
func TestForbiddenAddressesAreNotDialled(t *testing.T) {
	for _, addr := range forbidden {
		for where, answers := range map[string][]string{
			"alone": {addr}, "before a public one": {addr, "8.8.8.8"}, "after a public one": {"8.8.8.8", "2606:4700:4700::1111", addr},
		} {
			t.Run(addr+" "+where, func(t *testing.T) {
				s := newSource(t, Config{LookupNetIP: answer(answers...)})
				noDial(t, s)
				_, err := s.Find(t.Context(), query("https://idp.example.com/keys", ""))
				wantWord(t, err, WordAddress)
			})
		}
		t.Run(addr+" literally", func(t *testing.T) {
			s := newSource(t, Config{})
			noDial(t, s)
			_, err := s.Find(t.Context(), query("https://"+urlHost(addr)+"/keys", ""))
			wantWord(t, err, WordAddress)
		})
		t.Run(addr+" at the socket", func(t *testing.T) {
			control := newGuard(Config{}).control(false)
			address := net.JoinHostPort(addr, "443")
			for _, network := range []string{"tcp4", "tcp6"} {
				if control(network, address, nil) == nil {
					t.Error("let through")
				}
			}
		})
	}
}

// SSRF-07, SSRF-09.
func TestTheSocketIsJudgedByItsTrueAddress(t *testing.T) {
	g := newGuard(Config{Allow: prefixes("127.0.0.0/8")})
	for _, c := range []struct {
		network, address string
		plain, ok        bool
	}{
		{"tcp4", "8.8.8.8:443", false, true},
		{"tcp6", "[2606:4700:4700::1111]:443", false, true},
		{"tcp4", "8.8.8.8:443", true, false},
		{"tcp4", "8.8.8.8:80", false, false},
		{"tcp4", "8.8.8.8:8443", false, false},
		{"tcp4", "127.0.0.1:6379", true, true},
		{"tcp6", "[::ffff:127.0.0.1]:80", true, true},
		{"tcp4", "127.0.0.1:0", true, false},
		{"tcp4", "10.0.0.1:443", false, false},
		{"udp4", "8.8.8.8:443", false, false},
		{"unix", "/run/x.sock", false, false},
		{"tcp4", "nonsense", false, false},
	} {
		if err := g.control(c.plain)(c.network, c.address, nil); (err == nil) != c.ok {
			t.Errorf("%s %s plain=%v: %v", c.network, c.address, c.plain, err)
		}
	}
}

// SSRF-09.
func TestPublicAddressesAreDialledOnPort443(t *testing.T) {
	s := newSource(t, Config{LookupNetIP: answer("8.8.8.8", "::ffff:9.9.9.9", "2606:4700:4700::1111")})
	dialled := []string{}
	s.fetcher.dial = func(_ context.Context, to netip.AddrPort, plain bool) (net.Conn, error) {
		dialled = append(dialled, to.String())
		return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
	}
	_, err := s.Find(t.Context(), query("https://idp.example.com/keys", ""))
	wantWord(t, err, WordUnreachable)
	if want := []string{"8.8.8.8:443", "9.9.9.9:443", "[2606:4700:4700::1111]:443"}; !slices.Equal(dialled, want) {
		t.Errorf("dialled %v", dialled)
	}
}

// SSRF-01, SSRF-09.
func TestHTTPIsForAllowedAddressesOnly(t *testing.T) {
	s := newSource(t, Config{Allow: prefixes("127.0.0.0/8"), LookupNetIP: answer("8.8.8.8")})
	noDial(t, s)
	for _, url := range []string{"http://idp.example.com/keys", "https://idp.example.com:8443/keys"} {
		_, err := s.Find(t.Context(), query(url, ""))
		wantWord(t, err, WordAddress)
	}
}

// KEY-20.
func TestNamesThatDoNotResolve(t *testing.T) {
	failing := func(err error) func(context.Context, string, string) ([]netip.Addr, error) {
		return func(context.Context, string, string) ([]netip.Addr, error) { return nil, err }
	}
	for rule, c := range map[string]struct {
		lookup func(context.Context, string, string) ([]netip.Addr, error)
		word   string
	}{
		"NXDOMAIN":   {failing(&net.DNSError{Err: "no such host", IsNotFound: true}), WordUnreachable},
		"SERVFAIL":   {failing(&net.DNSError{Err: "server misbehaving", IsTemporary: true}), WordUnreachable},
		"a timeout":  {failing(&net.DNSError{Err: "timeout", IsTimeout: true}), WordTimeout},
		"no answers": {answer(), WordUnreachable},
	} {
		t.Run(rule, func(t *testing.T) {
			s := newSource(t, Config{LookupNetIP: c.lookup})
			noDial(t, s)
			_, err := s.Find(t.Context(), query("https://idp.example.com/keys", ""))
			wantWord(t, err, c.word)
		})
	}
}

func answer(addrs ...string) func(context.Context, string, string) ([]netip.Addr, error) {
	list := []netip.Addr{}
	for _, addr := range addrs {
		list = append(list, netip.MustParseAddr(addr))
	}
	return func(context.Context, string, string) ([]netip.Addr, error) { return list, nil }
}

func query(url, kid string) assertion.KeyQuery {
	return assertion.KeyQuery{Ref: assertion.KeyRef{IntegratorID: "acme", URL: url, Format: "auto"}, KeyID: kid}
}
