package handlers

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientAddress is the address that limits go by: the peer of the connection
// or, when that is a proxy which the operator trusts, the last entry of
// X-Forwarded-For that is none. What stands further left is what the client
// wrote itself.
func clientAddress(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, ok := readAddress(r.RemoteAddr)
	if !ok || !contains(trusted, peer) {
		return network(peer)
	}
	client := peer
	for _, entry := range slices.Backward(strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")) {
		if client, ok = readAddress(strings.TrimSpace(entry)); !ok {
			return network(peer)
		}
		if !contains(trusted, client) {
			break
		}
	}
	return network(client)
}

// FromProxy tells whether a request comes over a connection of a proxy that the
// operator trusts.
func FromProxy(r *http.Request, trusted []netip.Prefix) bool {
	if len(trusted) == 0 {
		return false
	}
	peer, ok := readAddress(r.RemoteAddr)
	return ok && contains(trusted, peer)
}

// readAddress reads an address, with a port or without.
func readAddress(text string) (netip.Addr, bool) {
	address, err := netip.ParseAddr(text)
	if err != nil {
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(text)
		address = withPort.Addr()
	}
	return address.Unmap().WithZone(""), err == nil
}

func contains(prefixes []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(address) })
}

// network is an IPv4 address itself and the /64 of an IPv6 address: every host
// has that many.
func network(address netip.Addr) netip.Addr {
	if !address.Is6() {
		return address
	}
	prefix, err := address.Prefix(64)
	if err != nil {
		return address
	}
	return prefix.Addr()
}
