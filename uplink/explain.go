package uplink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// offline reports whether an error means that no answer came from the relay.
func offline(err error) bool {
	var r *refusal
	if errors.As(err, &r) {
		return false
	}
	words, which := keyTrouble(err)
	return kindOf(err) != "" && (words == "" || which == clientKind)
}

// kindOf sorts the errors of a connection; empty when it is not one.
func kindOf(err error) string {
	var (
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		host      x509.HostnameError
		dns       *net.DNSError
		alert     tls.AlertError
		network   net.Error
	)
	words, _ := keyTrouble(err)
	switch {
	case words != "":
		return "key"
	case errors.As(err, &authority):
		return "authority"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "date"
	case errors.As(err, &invalid):
		return "certificate"
	case errors.As(err, &host):
		return "host"
	case errors.As(err, &dns):
		return "dns"
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls:"):
		return "alert"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.As(err, &network), strings.Contains(err.Error(), "the answer broke off"):
		return "network"
	}
	return ""
}

// explainLocked says what is wrong and what to do, for who installs gateways.
func (c *Client) explainLocked(err error) string {
	since := ""
	if !c.state.connected && offline(err) {
		since = " since " + c.state.since.UTC().Format("2006-01-02 15:04 MST")
	}
	s := c.cause(err, c.relay, since)
	if off := c.state.clockOff; off != 0 {
		which := "ahead of"
		if off < 0 {
			which, off = "behind", -off
		}
		s += fmt.Sprintf(" (this computer's clock is %s %s the relay's: set it, or let it set itself by NTP)", off, which)
	}
	return s
}

func (c *Client) cause(err error, relay, since string) string {
	if kindOf(err) == "alert" {
		if s := c.ownCertificate(); s != "" {
			return s
		}
	}
	return explain(err, "the relay "+relay, since, c.now())
}

// ownCertificate says what is wrong with the dates of the client certificate.
func (c *Client) ownCertificate() string {
	cert, err := c.folder.client()
	if err != nil {
		return err.Error()
	}
	now, day := c.now(), "2006-01-02"
	switch {
	case now.After(cert.Leaf.NotAfter):
		return fmt.Sprintf("this gateway's certificate ended on %s: enrol it again with perseus-agent enroll and a new code", cert.Leaf.NotAfter.Format(day))
	case now.Before(cert.Leaf.NotBefore):
		return fmt.Sprintf("this gateway's certificate begins on %s, but this computer's clock says %s: set the clock", cert.Leaf.NotBefore.Format(day), now.UTC().Format("2006-01-02 15:04 MST"))
	}
	return ""
}

// explain says what an error with a server means and what to do.
func explain(err error, server, since string, now time.Time) string {
	clock := now.UTC().Format("2006-01-02 15:04 MST")
	var r *refusal
	if errors.As(err, &r) {
		return explainRefusal(r, err, server)
	}
	switch kindOf(err) {
	case "key":
		words, _ := keyTrouble(err)
		return words
	case "authority":
		return server + " shows a certificate of an authority that this gateway does not trust: check the address; a private authority is named with --ca at enrolment"
	case "date":
		return server + " shows a certificate that is not valid at " + clock + ", which is what this computer's clock says: if that is wrong, set the clock; else the server's certificate has run out, tell its operator"
	case "certificate":
		return server + " shows a certificate that cannot be used: tell its operator: " + err.Error()
	case "host":
		return server + " shows a certificate for another name: check the address"
	case "dns":
		return server + " cannot be found" + since + ": check the address, and whether this computer has a name server and is on the internet"
	case "alert":
		return server + " refused this gateway's certificate: it may be revoked or ended: enrol again with perseus-agent enroll --force and a new code"
	case "refused":
		return server + " does not answer at its port" + since + ": it may be down; a firewall may be in between"
	case "timeout":
		return server + " does not answer in time" + since + ": check the internet connection and that a firewall lets it out"
	case "network":
		return "the connection to " + server + " breaks off" + since + ": check the internet connection: " + err.Error()
	}
	if errors.Is(err, syscall.ENOSPC) {
		return "the disk is full: make room, nothing can be sent until then: " + err.Error()
	}
	if errors.Is(err, fs.ErrPermission) {
		return "a file cannot be read or written: check who owns the identity and the store: " + err.Error()
	}
	return err.Error()
}

func explainRefusal(r *refusal, err error, server string) string {
	switch {
	case errors.Is(err, errRefused):
		return server + " has no permission on record for what this gateway would send: it is asked for the grants again; if this stays, compare the clocks of both"
	case r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable:
		return server + " is busy and asked to be tried again later"
	case r.status >= 500:
		return server + " has a fault of its own, its operator should know: " + r.Error()
	case r.code == codeRevoked:
		return server + " says that this gateway's certificate is revoked: enrol it again with perseus-agent enroll and a new code"
	case r.status == http.StatusUnauthorized || r.status == http.StatusForbidden:
		return server + " does not accept this gateway: its certificate may be revoked, or it belongs to another member: " + r.Error()
	case r.status == http.StatusNotFound:
		return server + " has no such address: check the relay's URL: " + r.Error()
	}
	return server + " " + err.Error()
}
