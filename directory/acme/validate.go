package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Bounds of a validation.
const (
	validationTime = 10 * time.Second // all of it, redirects included
	connectTime    = 4 * time.Second  // each address
	maxAddresses   = 8                // of one name
	maxRedirects   = 5
	maxAnswer      = 1 << 10 // bytes that are read of the answer; the right one has 87
	maxHeader      = 16 << 10
)

// Validator looks whether the server of a DNS name shows what an http-01
// challenge asks for (RFC 8555, 8.3). Members enter the names, anybody may order
// for them, and a server answers with whatever address it likes: so nothing but
// public addresses is spoken to, however they are arrived at.
type Validator struct {
	// Resolver finds addresses; nil: the system's.
	Resolver interface {
		LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	}
	// Dial connects to an address that was checked; nil: net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Port is where servers are asked; 0: 80. Another only for a sandbox.
	Port int
	// Networks may be spoken to though they are not public: for a sandbox.
	Networks []netip.Prefix
	// Agent is the User-Agent.
	Agent string
}

// Validate fetches http://host/.well-known/acme-challenge/token and compares it
// with want. nil: it is there. Else it says exactly what was found.
func (v *Validator) Validate(ctx context.Context, host, token, want string) *problem {
	ctx, cancel := context.WithTimeout(ctx, validationTime)
	defer cancel()
	target := &url.URL{Scheme: "http", Host: host, Path: "/.well-known/acme-challenge/" + token}
	if v.port() != 80 {
		target.Host = net.JoinHostPort(host, strconv.Itoa(v.port()))
	}
	t := &transport{v: v}
	client := &http.Client{
		Transport: &http.Transport{
			DialContext: t.dial, Proxy: nil, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
			// A redirect to https is followed before the server has a certificate
			// that anybody would trust: what counts is the answer.
			TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
			TLSHandshakeTimeout: connectTime,
		},
		CheckRedirect: v.checkRedirect,
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return problemf(malformed, http.StatusBadRequest, "%s has no address: %v", host, err)
	}
	req.Header.Set("User-Agent", v.Agent)
	req.Header.Set("Accept", "*/*")
	res, err := client.Do(req)
	if err != nil {
		return t.explain(target, err)
	}
	defer res.Body.Close()
	where := res.Request.URL.Redacted()
	if res.StatusCode != http.StatusOK {
		return problemf(incorrectResponse, http.StatusForbidden, "%s%s answered %d, not 200.%s", where, t.from(), res.StatusCode, hint(res.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return t.explain(res.Request.URL, err)
	}
	if len(body) > maxAnswer {
		return problemf(incorrectResponse, http.StatusForbidden, "%s%s answered more than %d bytes, beginning %q, and not the key authorization %q.", where, t.from(), maxAnswer, excerpt(body), want)
	}
	if got := strings.TrimRight(string(body), " \t\r\n"); got != want {
		return problemf(incorrectResponse, http.StatusForbidden, "%s%s answered %q, and not the key authorization %q.", where, t.from(), excerpt(body), want)
	}
	return nil
}

func (v *Validator) port() int {
	if v.Port == 0 {
		return 80
	}
	return v.Port
}

func hint(status int) string {
	switch {
	case status == http.StatusNotFound:
		return " The name may lead to another machine than the one where the client runs, or to another web server there."
	case status >= 300 && status < 400:
		return " Such a redirect is not followed."
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return " Whatever lies below /.well-known/acme-challenge/ must be open to all."
	}
	return ""
}

func excerpt(b []byte) string { return cut(string(b), 100) }

// redirectError is a redirect that is not followed.
type redirectError struct{ words string }

func (e *redirectError) Error() string { return e.words }

func (v *Validator) checkRedirect(req *http.Request, via []*http.Request) error {
	u := req.URL
	port := u.Port()
	_, err := netip.ParseAddr(u.Hostname())
	switch {
	case len(via) > maxRedirects:
		return &redirectError{fmt.Sprintf("there are more than %d redirects", maxRedirects)}
	case u.Scheme != "http" && u.Scheme != "https":
		return &redirectError{fmt.Sprintf("it leads to %q, which is neither http nor https", cut(u.Redacted(), 200))}
	case err == nil:
		return &redirectError{fmt.Sprintf("it leads to %q, an address instead of a name", cut(u.Redacted(), 200))}
	case u.User != nil:
		return &redirectError{fmt.Sprintf("it leads to %q, which has a password in it", cut(u.Redacted(), 200))}
	case port != "" && port != "80" && port != "443" && port != strconv.Itoa(v.port()):
		return &redirectError{fmt.Sprintf("it leads to port %s, and only 80 and 443 are asked", port)}
	}
	req.Header.Del("Referer")
	return nil
}

// transport dials for one validation.
type transport struct {
	v    *Validator
	last netip.AddrPort // spoken to
}

func (t *transport) from() string {
	if !t.last.IsValid() {
		return ""
	}
	return " (" + t.last.String() + ")"
}

// port is the one that was spoken to last: a redirect may lead to another.
func (t *transport) port() int {
	if t.last.IsValid() {
		return int(t.last.Port())
	}
	return t.v.port()
}

// addressError says that a name leads nowhere that is spoken to.
type addressError struct{ words string }

func (e *addressError) Error() string { return e.words }

// dial looks the name up, and connects to what it has checked: no second
// look-up can lead elsewhere.
func (t *transport) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	var resolver interface {
		LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	} = net.DefaultResolver
	if t.v.Resolver != nil {
		resolver = t.v.Resolver
	}
	found, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var may []netip.Addr
	var not []string
	for _, a := range found[:min(len(found), maxAddresses)] {
		if a = a.Unmap(); t.v.permitted(a) {
			may = append(may, a)
		} else {
			not = append(not, a.String())
		}
	}
	if len(may) == 0 {
		return nil, &addressError{fmt.Sprintf("%s leads to %s. The directory asks servers at public addresses only: make the name lead to one that can be reached from the internet at port %d.",
			host, orNothing(list(not)), t.v.port())}
	}
	dial := t.v.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	var errs []error
	for _, a := range may {
		t.last = netip.AddrPortFrom(a, uint16(number))
		one, cancel := context.WithTimeout(ctx, connectTime)
		conn, err := dial(one, "tcp", t.last.String())
		cancel()
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func orNothing(s string) string {
	if s == "" {
		return "no address"
	}
	return s
}

// explain turns what went wrong with u into words.
func (t *transport) explain(u *url.URL, err error) *problem {
	bad := func(kind, format string, args ...any) *problem {
		return problemf(kind, http.StatusForbidden, format, args...)
	}
	if e := new(url.Error); errors.As(err, &e) {
		if asked, perr := url.Parse(e.URL); perr == nil && asked.Host != "" {
			u = asked
		}
	}
	where := cut(u.Redacted(), 200) + t.from()
	var (
		redirect *redirectError
		address  *addressError
		dns      *net.DNSError
		timeout  net.Error
	)
	switch {
	case errors.As(err, &redirect):
		return bad(incorrectResponse, "A redirect from the challenge is not followed: %s.", redirect.words)
	case errors.As(err, &address):
		return bad(dnsProblem, "%s", address.words)
	case errors.As(err, &dns) && dns.IsNotFound:
		return bad(dnsProblem, "The DNS has no address for %s.", dns.Name)
	case errors.As(err, &dns):
		return bad(dnsProblem, "The address of %s could not be looked up: %s.", dns.Name, dns.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return bad(connection, "%s: connection refused. Nothing listens there: the client must answer at port %d while it asks.", where, t.port())
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return bad(connection, "%s: no answer in time. A firewall may be in the way of port %d.", where, t.port())
	}
	inner := err
	if e := new(url.Error); errors.As(err, &e) {
		inner = e.Err
	}
	return bad(connection, "%s: %s.", where, cut(inner.Error(), 200))
}
