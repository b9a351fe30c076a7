package remote

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
)

// special is a range of addresses with the document that makes it one where no
// key URL can be.
type special struct{ prefix, why string }

// unreachableSpecials are the rows of the IANA Special-Purpose Address Registries
// (RFC 6890, RFC 8190) that are not globally reachableSpecials, and what else is no
// host on the Internet. The table is written apart from the guard and from the
// library which that uses, so that each checks the other.
var unreachableSpecials = []special{
	{"0.0.0.0/8", "RFC 791 §3.2: this network; Linux connects 0.0.0.0 to loopback"},
	{"10.0.0.0/8", "RFC 1918"},
	{"100.64.0.0/10", "RFC 6598: carrier-grade NAT"},
	{"127.0.0.0/8", "RFC 1122 §3.2.1.3: loopback"},
	{"169.254.0.0/16", "RFC 3927: link-local, metadata of clouds"},
	{"172.16.0.0/12", "RFC 1918"},
	{"192.0.0.0/24", "RFC 6890 §2.1: IETF protocol assignments"},
	{"192.0.0.0/29", "RFC 7335: IPv4 service continuity"},
	{"192.0.0.8/32", "RFC 7600: dummy address"},
	{"192.0.0.170/31", "RFC 7050, RFC 8880: NAT64 discovery"},
	{"192.0.2.0/24", "RFC 5737: documentation"},
	{"192.88.99.0/24", "RFC 7526: 6to4 relays, deprecated"},
	{"192.88.99.2/32", "RFC 6751: 6a44 relays"},
	{"192.168.0.0/16", "RFC 1918"},
	{"198.18.0.0/15", "RFC 2544: benchmarks"},
	{"198.51.100.0/24", "RFC 5737: documentation"},
	{"203.0.113.0/24", "RFC 5737: documentation"},
	{"224.0.0.0/4", "RFC 5771: multicast"},
	{"240.0.0.0/4", "RFC 1112 §4: reserved"},
	{"255.255.255.255/32", "RFC 919: broadcast"},
	{"168.63.129.16/32", "the platform of Azure"},

	{"::/128", "RFC 4291 §2.5.2: unspecified"},
	{"::1/128", "RFC 4291 §2.5.3: loopback"},
	{"::/96", "RFC 4291 §2.5.5.1: IPv4-compatible, deprecated"},
	{"64:ff9b:1::/48", "RFC 8215: local NAT64"},
	{"100::/64", "RFC 6666: discard"},
	{"100:0:0:1::/64", "RFC 9780: dummy prefix"},
	{"2001::/23", "RFC 2928: IETF protocol assignments"},
	{"2001::/32", "RFC 4380: Teredo, holds an IPv4 address"},
	{"2001:2::/48", "RFC 5180: benchmarks"},
	{"2001:10::/28", "RFC 4843: ORCHID, deprecated"},
	{"2001:db8::/32", "RFC 3849: documentation"},
	{"2002::/16", "RFC 3056: 6to4, holds an IPv4 address"},
	{"3fff::/20", "RFC 9637: documentation"},
	{"5f00::/16", "RFC 9602: segment routing"},
	{"fc00::/7", "RFC 4193: unique local"},
	{"fe80::/10", "RFC 4291 §2.5.6: link-local"},
	{"fec0::/10", "RFC 3879: site-local, deprecated"},
	{"ff00::/8", "RFC 4291 §2.7: multicast"},
	{"::/3", "RFC 4291 §2.4: before the global unicast addresses"},
	{"4000::/2", "RFC 4291 §2.4: behind them"},
	{"8000::/1", "RFC 4291 §2.4: behind them"},
}

// reachableSpecials are the rows that the registries call globally reachable. They are
// refused all the same: these are services of networks and of the DNS, or ways
// to reach the IPv4 address that is written inside, and never a key URL.
var reachableSpecials = []special{
	{"192.0.0.9/32", "RFC 7723: port control"},
	{"192.0.0.10/32", "RFC 8155: TURN"},
	{"192.31.196.0/24", "RFC 7535: AS112"},
	{"192.52.193.0/24", "RFC 7450: multicast tunnels"},
	{"192.175.48.0/24", "RFC 7534: AS112"},
	{"64:ff9b::/96", "RFC 6052: NAT64, holds an IPv4 address"},
	{"2001:1::1/128", "RFC 7723: port control"},
	{"2001:1::2/128", "RFC 8155: TURN"},
	{"2001:1::3/128", "RFC 9665: service registration"},
	{"2001:3::/32", "RFC 7450: multicast tunnels"},
	{"2001:4:112::/48", "RFC 7535: AS112"},
	{"2001:20::/28", "RFC 7343: ORCHIDv2"},
	{"2001:30::/28", "RFC 9374: drones"},
	{"2620:4f:8000::/48", "RFC 7534: AS112"},
}

// specials is one table with its prefixes parsed.
func specials() []netip.Prefix {
	list := []netip.Prefix{}
	for _, row := range append(append([]special{}, unreachableSpecials...), reachableSpecials...) {
		list = append(list, netip.MustParsePrefix(row.prefix))
	}
	return list
}

// within compares bits, of addresses of one family only.
func within(prefix netip.Prefix, addr []byte) bool {
	first := prefix.Addr().AsSlice()
	if len(first) != len(addr) {
		return false
	}
	for bit := range prefix.Bits() {
		if (first[bit/8]^addr[bit/8])&(0x80>>(bit%8)) != 0 {
			return false
		}
	}
	return true
}

// verdict is what the tables and the operator's networks say of an address.
func verdict(allow []netip.Prefix, addr netip.Addr, port uint16, plain bool) bool {
	mapped := netip.MustParsePrefix("::ffff:0:0/96")
	bytes := addr.AsSlice()
	if within(mapped, bytes) {
		bytes = bytes[12:]
	}
	if !addr.IsValid() || addr.Zone() != "" || port == 0 {
		return false
	}
	for _, prefix := range allow {
		if first := prefix.Addr().AsSlice(); prefix.Bits() >= 96 && within(mapped, first) {
			prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte(first[12:])), prefix.Bits()-96)
		}
		if within(prefix, bytes) {
			return true
		}
	}
	for _, prefix := range specials() {
		if within(prefix, bytes) {
			return false
		}
	}
	return port == 443 && !plain
}

// judge asks the guard at each of its gates, which must agree with the tables:
// the address itself, the answer of the DNS (SSRF-06) and the socket (SSRF-07).
func judge(t *testing.T, allow []netip.Prefix, addr netip.Addr, port uint16, plain bool) {
	t.Helper()
	want := verdict(allow, addr, port, plain)
	text := fmt.Sprintf("%v port %d plain=%v allow=%v", addr, port, plain, allow)
	g := newGuard(Config{Allow: allow})
	to := netip.AddrPortFrom(addr, port)
	if got := g.permit(to, plain) == nil; got != want {
		t.Errorf("%s: permit says %v, the tables %v", text, got, want)
	}
	for _, network := range []string{"tcp4", "tcp6"} {
		if got := g.control(plain)(network, to.String(), nil) == nil; got != want {
			t.Errorf("%s: control says %v, the tables %v", text, got, want)
		}
	}
	other := netip.MustParseAddr("8.8.8.8")
	if !verdict(allow, other, port, plain) {
		other = addr
	}
	for _, answers := range [][]netip.Addr{{addr}, {addr, other}, {other, addr}} {
		g.lookup = func(context.Context, string, string) ([]netip.Addr, error) { return answers, nil }
		found, err := g.resolve(t.Context(), &target{host: "idp.test", port: port, plain: plain})
		if (err == nil) != want || (want && len(found) != len(answers)) {
			t.Errorf("%s among %v: resolve gives %v %v, the tables say %v", text, answers, found, err, want)
		}
	}
}

// boundaries are the addresses in and around every special range, and the
// forms that hide an IPv4 address inside an IPv6 one.
func boundaries() []netip.Addr {
	list := []netip.Addr{{}}
	for _, prefix := range append(specials(), prefixes("::ffff:0:0/96", "2000::/3", "0.0.0.0/0", "8.8.8.8/32", "2606:4700:4700::1111/128")...) {
		first, last := prefix.Masked().Addr(), lastOf(prefix)
		for _, addr := range []netip.Addr{first, last, first.Prev(), last.Next()} {
			if addr.IsValid() {
				list = append(list, addr)
				list = append(list, hidden(addr)...)
			}
		}
	}
	return list
}

func lastOf(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Addr().AsSlice()
	for bit := prefix.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

func hidden(addr netip.Addr) []netip.Addr {
	if addr.Is6() {
		return []netip.Addr{addr.WithZone("eth0")}
	}
	v4 := addr.As4()
	put := func(prefix string, at int) netip.Addr {
		bytes := netip.MustParseAddr(prefix).As16()
		copy(bytes[at:], v4[:])
		return netip.AddrFrom16(bytes)
	}
	mapped := put("::ffff:0:0", 12)
	return []netip.Addr{mapped, mapped.WithZone("eth0"), put("::", 12), put("64:ff9b::", 12), put("64:ff9b:1::", 12), put("2002::", 2)}
}

// SSRF-03, SSRF-04, SSRF-06, SSRF-09.
func TestAddressesAtTheEdgesOfSpecialRanges(t *testing.T) {
	for _, addr := range boundaries() {
		for _, port := range []uint16{443, 80, 0} {
			judge(t, nil, addr, port, false)
			judge(t, nil, addr, port, true)
		}
	}
}

func TestAllowedNetworksOpenThemselvesOnly(t *testing.T) {
	for _, allow := range [][]netip.Prefix{
		prefixes("10.0.0.0/8"), prefixes("10.1.2.3/8"), prefixes("::ffff:10.0.0.0/104"), prefixes("0.0.0.0/0"),
		prefixes("fd00::/8", "127.0.0.1/32"), prefixes("::/0"), prefixes("64:ff9b::/96"), prefixes("8.8.8.8/32"),
	} {
		for _, addr := range boundaries() {
			for _, port := range []uint16{443, 6379, 0} {
				judge(t, allow, addr, port, true)
				judge(t, allow, addr, port, false)
			}
		}
	}
}

func FuzzDialAddress(f *testing.F) {
	for _, addr := range boundaries() {
		f.Add(addr.AsSlice(), addr.Zone(), uint16(443), false, []byte{}, byte(0))
	}
	f.Add([]byte{10, 0, 0, 1}, "", uint16(8080), true, []byte{10, 0, 0, 0}, byte(8))
	f.Add([]byte{10, 0, 0, 1}, "", uint16(8080), true, netip.MustParseAddr("::ffff:10.0.0.0").AsSlice(), byte(104))
	f.Add(netip.MustParseAddr("::ffff:10.0.0.1").AsSlice(), "", uint16(22), false, []byte{10, 0, 0, 0}, byte(8))
	f.Add(netip.MustParseAddr("fd00::1").AsSlice(), "lo", uint16(443), false, netip.MustParseAddr("fd00::").AsSlice(), byte(8))
	f.Fuzz(func(t *testing.T, address []byte, zone string, port uint16, plain bool, network []byte, bits byte) {
		addr, _ := netip.AddrFromSlice(address) // the zero Addr if it is neither 4 nor 16 bytes
		if addr.Is6() {
			addr = addr.WithZone(zone)
		}
		var allow []netip.Prefix
		if first, ok := netip.AddrFromSlice(network); ok {
			allow = append(allow, netip.PrefixFrom(first, int(bits)%(first.BitLen()+1)))
		}
		judge(t, allow, addr, port, plain)
	})
}
