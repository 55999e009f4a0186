package acme

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// identifier is a name that a certificate is to have.
type identifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

func identifiers(hosts []string) []identifier {
	out := make([]identifier, len(hosts))
	for i, h := range hosts {
		out[i] = identifier{"dns", h}
	}
	return out
}

// checkIdentifiers gives the hosts of an order, in lower case and each once, or
// says of every one of them what is wrong with it.
func (s *Server) checkIdentifiers(ctx context.Context, ids []identifier) ([]string, error) {
	if len(ids) == 0 || len(ids) > s.Limits.IdentifiersEachOrder {
		return nil, problemf(malformed, http.StatusBadRequest, "An order needs 1 to %d identifiers, this one has %d.", s.Limits.IdentifiersEachOrder, len(ids))
	}
	var hosts []string
	var wrong []*problem
	for _, id := range ids {
		p, err := s.checkIdentifier(ctx, id)
		if err != nil {
			return nil, err
		}
		host := strings.ToLower(id.Value)
		if p != nil {
			p.Identifier = &identifier{cut(id.Type, 40), cut(id.Value, 255)}
			wrong = append(wrong, p)
		} else if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	switch len(wrong) {
	case 0:
		return hosts, nil
	case 1:
		return nil, wrong[0]
	}
	p := problemf(wrong[0].kind(), wrong[0].Status, "%d of the names cannot be in a certificate: see subproblems.", len(wrong))
	for _, sub := range wrong {
		if sub.Type != wrong[0].Type {
			p.Type = problemSpace + malformed
		}
		sub.Status = 0
	}
	p.Subproblems = wrong
	return nil, p
}

func (p *problem) kind() string { return strings.TrimPrefix(p.Type, problemSpace) }

// checkIdentifier says what is wrong with one name; err is of the directory.
func (s *Server) checkIdentifier(ctx context.Context, id identifier) (wrong *problem, err error) {
	reject := func(format string, args ...any) (*problem, error) {
		return problemf(rejectedIdentifier, http.StatusForbidden, format, args...), nil
	}
	host := strings.ToLower(id.Value)
	switch _, notIP := netip.ParseAddr(strings.Trim(host, "[]")); {
	case id.Type == "ip" || id.Type == "dns" && notIP == nil:
		kind := rejectedIdentifier
		if id.Type == "ip" {
			kind = unsupportedIdentifier
		}
		return problemf(kind, http.StatusForbidden, "%q is an address. The directory knows servers by their DNS names: order one for the name in your data service's endpoint.", cut(id.Value, 80)), nil
	case id.Type != "dns":
		return problemf(unsupportedIdentifier, http.StatusForbidden, "Identifiers of type %q are not certified here: use type dns.", cut(id.Type, 40)), nil
	case strings.Contains(host, "*"):
		return reject("%q is a wildcard, which the scheme does not permit. Order the full name of each server.", cut(id.Value, 80))
	case !dnsName(host):
		return reject("%q is not a DNS name as certificates have it: letters, digits and hyphens, no dot at the end, other letters as xn--.", cut(id.Value, 80))
	}
	known, err := s.Directory.KnownHost(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(known) == 0 {
		return reject("The directory knows no server %s. Enter it first, in the endpoint or issuer of a data service or as an application's message delivery, and check the spelling.", host)
	}
	return nil, nil
}

// dnsName accepts a name in lower case whose last label is not a number: such a
// one is taken for an address (127.1, 10.0x1).
func dnsName(host string) bool {
	if len(host) > 253 {
		return false
	}
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
	}
	last := labels[len(labels)-1]
	hex, isHex := strings.CutPrefix(last, "0x")
	return strings.Trim(last, "0123456789") != "" && (!isHex || strings.Trim(hex, "0123456789abcdef") != "")
}
