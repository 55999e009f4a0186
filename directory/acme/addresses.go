package acme

import "net/netip"

// special are the networks that are not the public internet's, from IANA's
// registries of special-purpose addresses. Of IPv6 only 2000::/3 is given out
// at all.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/4", "240.0.0.0/4",
	"2001::/23",     // protocols: Teredo among them, which holds an IPv4 address
	"2001:db8::/32", // documentation
	"2002::/16",     // 6to4: holds an IPv4 address
	"3fff::/20",     // documentation
)

var unicast = netip.MustParsePrefix("2000::/3")

func prefixes(s ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(s))
	for i := range s {
		out[i] = netip.MustParsePrefix(s[i])
	}
	return out
}

// public reports whether an address is one of the public internet.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || a.Zone() != "" || a.Is6() && !unicast.Contains(a) {
		return false
	}
	return !within(special, a)
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	for _, p := range networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// permitted reports whether an address may be spoken to.
func (v *Validator) permitted(a netip.Addr) bool { return public(a) || within(v.Networks, a) }
