package permission

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// HTTPDelivery delivers messages as the scheme says: a POST over mutual TLS to
// the address that the application has in the directory. The recipient is who
// the directory's server authority says it is. Redirects and proxies are not
// followed, and an address on a private network is refused unless Private is
// set: what a member writes into the directory must not lead the relay to a
// machine behind its own firewall.
type HTTPDelivery struct {
	find func(ctx context.Context, application string) (string, error)
	http *http.Client
}

// HTTPDeliveryConfig is what an HTTPDelivery needs.
type HTTPDeliveryConfig struct {
	// Find gives the messageDelivery URL of an application from the directory,
	// "" where it has none.
	Find        func(ctx context.Context, application string) (string, error)
	Certificate func() (*tls.Certificate, error) // the relay's client certificate
	ServerRoots *x509.CertPool                   // of the directory's server authority
	Private     bool                             // allow private and loopback addresses: for sandboxes
}

// NewHTTPDelivery makes one. It may be used from many goroutines.
func NewHTTPDelivery(c HTTPDeliveryConfig) (*HTTPDelivery, error) {
	if c.Find == nil || c.Certificate == nil || c.ServerRoots == nil {
		return nil, errors.New("permission: delivering messages needs the directory, a client certificate and the server authority's root")
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if !c.Private {
		dialer.Control = func(_, address string, _ syscall.RawConn) error { return refusePrivate(address) }
	}
	return &HTTPDelivery{find: c.Find, http: &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: identity.ClientTLS(c.ServerRoots, c.Certificate),
			TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 30 * time.Second, DisableKeepAlives: true, // far between
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Deliver is Delivery.
func (d *HTTPDelivery) Deliver(ctx context.Context, application, id string, body []byte) error {
	address, err := d.find(ctx, application)
	if err != nil {
		return fmt.Errorf("look up %s in the directory: %w", application, err)
	}
	if address == "" {
		return fmt.Errorf("%s has no address for messages in the directory: its member must enter one (messageDelivery)", application)
	}
	if !absolute(address) {
		return fmt.Errorf("the address for messages %q in the directory is not a plain https URL: its member must correct it", address)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", `"`+id+`"`)
	r.Header.Set("User-Agent", "perseus-edge")
	res, err := d.http.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("%s answered %s", hostOf(address), res.Status)
	}
	return nil
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the recipient"
	}
	return u.Host
}

// unicast is all of IPv6 that is given out for the public internet.
var unicast = netip.MustParsePrefix("2000::/3")

// notPublic are the networks, besides those that netip knows, that do not lead
// to a machine of the public internet (IANA special-purpose registries), and
// those that carry an IPv4 address within an IPv6 one.
var notPublic = func() (ps []netip.Prefix) {
	for _, s := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16"} {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}()

// refusePrivate is asked after the name was looked up, for the very address
// that is about to be dialled: a name cannot change in between.
func refusePrivate(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	a := ap.Addr().Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !unicast.Contains(a) || inAny(notPublic, a) {
		return fmt.Errorf("%s is not an address of the public internet: messages do not go there", a)
	}
	return nil
}

func inAny(ps []netip.Prefix, a netip.Addr) bool {
	for _, p := range ps {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
