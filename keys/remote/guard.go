package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"
)

const maxURLBytes = 2048

// errNotAllowed names no address: the answer must not help to map a network.
var errNotAllowed = errors.New("the address is not allowed")

// guard decides which URLs and which addresses may be fetched from.
type guard struct {
	allow  []netip.Prefix
	public *ssrf.Guardian
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// target is a key URL that passed the static rules.
type target struct {
	host  string // name or literal address, without brackets
	port  uint16
	plain bool // http
}

func newGuard(config Config) *guard {
	g := &guard{lookup: config.LookupNetIP}
	for _, prefix := range config.Allow {
		g.allow = append(g.allow, unmap(prefix))
	}
	if g.lookup == nil {
		g.lookup = net.DefaultResolver.LookupNetIP
	}
	// Azure's platform address is public by number and internal by nature.
	azure := netip.MustParsePrefix("168.63.129.16/32")
	g.public = ssrf.New(ssrf.WithPorts(443), ssrf.WithDeniedV4Prefixes(azure))
	return g
}

// unmap gives ::ffff:10.0.0.0/104 as 10.0.0.0/8: addresses are judged unmapped.
func unmap(prefix netip.Prefix) netip.Prefix {
	if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
		return netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	return prefix
}

// check applies every rule that needs no network.
func (g *guard) check(raw string) (*target, error) {
	if err := checkCharacters(raw); err != nil {
		return nil, err
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("expected a well-formed absolute URL")
	case raw == "":
		return nil, errors.New("expected the URL of the keys, which begins with https://")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("expected a URL that begins with https://")
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("expected a host after https://")
	case u.User != nil: // https://good@evil/ is evil
		return nil, errors.New("expected no user name or password in the URL")
	}
	t := &target{host: u.Hostname(), port: 443, plain: u.Scheme == "http"}
	if t.plain {
		t.port = 80
	}
	if text := u.Port(); text != "" {
		number, err := strconv.ParseUint(text, 10, 16)
		if err != nil || number == 0 {
			return nil, errors.New("expected a port from 1 to 65535")
		}
		t.port = uint16(number)
	}
	return t, g.checkTarget(t)
}

func checkCharacters(raw string) error {
	switch {
	case len(raw) > maxURLBytes:
		return fmt.Errorf("expected a URL of at most %d bytes", maxURLBytes)
	case strings.ContainsFunc(raw, func(r rune) bool { return r <= 0x20 || r >= 0x7f }):
		return errors.New("expected visible ASCII characters only; write an international host name in its xn-- form")
	case strings.Contains(raw, `\`): // some parsers read it as a slash
		return errors.New("expected no backslash in the URL")
	case strings.Contains(raw, "#"):
		return errors.New("expected no fragment in the URL")
	}
	return nil
}

// checkTarget decides what can be decided of host, port and scheme before the
// name is resolved.
func (g *guard) checkTarget(t *target) error {
	if addr, err := netip.ParseAddr(t.host); err == nil {
		if g.permit(netip.AddrPortFrom(addr, t.port), t.plain) != nil {
			return errors.New("expected a public address, https and port 443")
		}
		return nil
	}
	name := strings.ToLower(strings.TrimSuffix(t.host, "."))
	switch {
	case !isHostName(name):
		return errors.New("expected a host name or an IP address")
	case len(g.allow) > 0: // decided when the name is resolved
		return nil
	case t.plain:
		return errors.New("expected https:// (http:// is for networks of CAMBIO_KEY_URL_ALLOW)")
	case t.port != 443:
		return errors.New("expected port 443")
	case name == "localhost" || strings.HasSuffix(name, ".localhost"): // RFC 6761 §6.3
		return errors.New("expected a public host")
	}
	return nil
}

// isHostName refuses what some resolver would read as an IPv4 address although
// netip does not: 0x7f.1, 0177.0.0.1, 2130706433, 127.1.
func isHostName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	last := labels[len(labels)-1]
	return strings.Trim(last, "0123456789") != "" && !strings.HasPrefix(last, "0x")
}

// permit judges one true address. Addresses that the operator allows may be
// private, use any port and do without TLS. One with a zone is in no network.
func (g *guard) permit(address netip.AddrPort, plain bool) error {
	addr := address.Addr().Unmap() // ::ffff:127.0.0.1 is 127.0.0.1 (CVE-2024-24790), and loses its zone
	if !addr.IsValid() || address.Addr().Zone() != "" || address.Port() == 0 {
		return errNotAllowed
	}
	if slices.ContainsFunc(g.allow, func(prefix netip.Prefix) bool { return prefix.Contains(addr) }) {
		return nil
	}
	if plain || g.public.SafeAddrPort(netip.AddrPortFrom(addr, address.Port())) != nil {
		return errNotAllowed
	}
	return nil
}

// resolve gives the addresses to dial. One that is not permitted refuses all:
// a name that mixes public and private answers is an attack
// (CVE-2026-58442).
func (g *guard) resolve(ctx context.Context, t *target) ([]netip.AddrPort, error) {
	var addrs []netip.Addr
	literal, err := netip.ParseAddr(t.host)
	if err == nil {
		addrs = []netip.Addr{literal}
	} else if addrs, err = g.lookup(ctx, "ip", t.host); err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no address", Name: t.host, IsNotFound: true}
	}
	addresses := make([]netip.AddrPort, 0, len(addrs))
	for _, addr := range addrs {
		if err := g.permit(netip.AddrPortFrom(addr, t.port), t.plain); err != nil {
			return nil, err
		}
		addresses = append(addresses, netip.AddrPortFrom(addr.Unmap(), t.port))
	}
	return addresses, nil
}

// control is a net.Dialer.Control that judges the address which the socket is
// about to be connected to, whoever chose it (DNS rebinding, CVE-2026-42592).
func (g *guard) control(plain bool) func(network, address string, _ syscall.RawConn) error {
	return func(network, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || (network != "tcp4" && network != "tcp6") {
			return errNotAllowed
		}
		return g.permit(to, plain)
	}
}
