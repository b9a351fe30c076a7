package handlers

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	cases := []struct {
		rule      string
		peer      string
		forwarded []string
		want      string
	}{
		{"the peer", "192.0.2.1:4711", nil, "192.0.2.1"},
		{"the peer of an IPv4 connection on an IPv6 socket", "[::ffff:192.0.2.1]:4711", nil, "192.0.2.1"},
		{"a peer that is no trusted proxy may say what it likes", "192.0.2.1:4711", []string{"198.51.100.7"}, "192.0.2.1"},
		{"what a trusted proxy says", "10.0.0.1:4711", []string{"198.51.100.7"}, "198.51.100.7"},
		{"a trusted proxy on an IPv6 socket", "[::ffff:10.0.0.1]:4711", []string{"198.51.100.7"}, "198.51.100.7"},
		{"a trusted proxy that says nothing", "10.0.0.1:4711", nil, "10.0.0.1"},
		{"a trusted proxy that says nothing at length", "10.0.0.1:4711", []string{""}, "10.0.0.1"},
		{"what the client wrote itself is further left", "10.0.0.1:4711", []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		{"two trusted proxies", "10.0.0.1:4711", []string{"198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		{"two headers are one list", "10.0.0.1:4711", []string{"203.0.113.9", "198.51.100.7,10.0.0.2"}, "198.51.100.7"},
		{"trusted proxies all the way", "10.0.0.1:4711", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"a client behind its own garbage", "10.0.0.1:4711", []string{"unknown, 198.51.100.7"}, "198.51.100.7"},
		{"garbage", "10.0.0.1:4711", []string{"198.51.100.7, unknown"}, "10.0.0.1"},
		{"garbage behind a trusted proxy", "10.0.0.1:4711", []string{"unknown, 10.0.0.2"}, "10.0.0.1"},
		{"an empty entry", "10.0.0.1:4711", []string{"198.51.100.7,"}, "10.0.0.1"},
		{"an entry with a port", "10.0.0.1:4711", []string{"198.51.100.7:1234"}, "198.51.100.7"},
		{"an IPv6 entry with a port", "10.0.0.1:4711", []string{"[2001:db8::7]:1234"}, "2001:db8::"},
		{"an IPv6 address counts as its /64", "[2001:db8:1:2:3:4:5:6]:4711", nil, "2001:db8:1:2::"},
		{"an IPv6 proxy", "[fd00::1]:4711", []string{"2001:db8:1:2::7"}, "2001:db8:1:2::"},
		{"a zone", "[fe80::1%eth0]:4711", nil, "fe80::"},
		{"a peer that is no address", "@", []string{"198.51.100.7"}, "invalid IP"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded}}
			if got := clientAddress(r, trusted).String(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	r := &http.Request{RemoteAddr: "10.0.0.1:4711", Header: http.Header{"X-Forwarded-For": {"198.51.100.7"}}}
	if got := clientAddress(r, nil).String(); got != "10.0.0.1" {
		t.Errorf("with no trusted proxy: %s", got)
	}
}
