package notice

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/url"
	"strings"
	"time"
)

// Mail sends by SMTP.
type Mail struct {
	server   string // host:port
	host     string
	implicit bool // TLS from the first byte
	from     mail.Address
	user     string
	password string
	roots    *x509.CertPool // nil: the system's
}

// sendTime bounds one conversation with the server.
const sendTime = time.Minute

// NewMail reads a server's address, smtp://host[:587] (TLS by STARTTLS) or
// smtps://host[:465], and the sender's. Mail goes out encrypted only, but to a
// server on this machine. user may be empty: the server asks for none.
func NewMail(server, from, user, password string, roots *x509.CertPool) (*Mail, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.Scheme != "smtp" && u.Scheme != "smtps" {
		return nil, errors.New("mail server: give an address such as smtp://mail.example.org:587 or smtps://mail.example.org:465")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"smtp": "587", "smtps": "465"}[u.Scheme]
	}
	a, err := mail.ParseAddress(from)
	if err != nil {
		return nil, fmt.Errorf("sender %q: give an address such as directory@example.org", from)
	}
	return &Mail{server: net.JoinHostPort(u.Hostname(), port), host: u.Hostname(), implicit: u.Scheme == "smtps", from: *a, user: user, password: password, roots: roots}, nil
}

// Send sends a notice to all its addresses in one message each, so that none
// sees the others'. A notice to nobody is sent.
func (m *Mail) Send(ctx context.Context, n Notice) error {
	if len(n.To) == 0 {
		return nil
	}
	c, err := m.connect(ctx)
	if err != nil {
		return fmt.Errorf("mail server %s: %w", m.server, err)
	}
	defer c.Close()
	for _, to := range n.To {
		if err := m.one(c, n, to); err != nil {
			return fmt.Errorf("mail server %s: %w", m.server, err)
		}
	}
	return c.Quit()
}

func (m *Mail) connect(ctx context.Context) (*smtp.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.server)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(sendTime))
	secure := &tls.Config{ServerName: m.host, MinVersion: tls.VersionTLS12, RootCAs: m.roots}
	if m.implicit {
		conn = tls.Client(conn, secure)
	}
	c, err := smtp.NewClient(conn, m.host)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if err := m.begin(c, secure); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (m *Mail) begin(c *smtp.Client, secure *tls.Config) error {
	ip := net.ParseIP(m.host)
	here := m.host == "localhost" || ip != nil && ip.IsLoopback()
	if ok, _ := c.Extension("STARTTLS"); ok && !m.implicit {
		if err := c.StartTLS(secure); err != nil {
			return err
		}
	} else if !m.implicit && !here {
		return errors.New("it does not offer STARTTLS, and mail is not sent in the clear. Use its smtps:// port, or another server")
	}
	if m.user == "" {
		return nil
	}
	return c.Auth(smtp.PlainAuth("", m.user, m.password, m.host)) // refuses to send a password in the clear
}

func (m *Mail) one(c *smtp.Client, n Notice, to string) error {
	a, err := mail.ParseAddress(to)
	if err != nil {
		return fmt.Errorf("recipient %q: %w", to, err)
	}
	if err := c.Mail(m.from.Address); err != nil {
		return err
	}
	if err := c.Rcpt(a.Address); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(m.message(n, a.Address)); err != nil {
		return err
	}
	return w.Close()
}

// message is the notice in the form of RFC 5322. The Message-ID is the same
// each time, so that readers drop what comes twice.
func (m *Mail) message(n Notice, to string) []byte {
	var b bytes.Buffer
	sum := sha256.Sum256([]byte(n.ID + "\n" + to))
	_, domain, _ := strings.Cut(m.from.Address, "@")
	for _, h := range [][2]string{
		{"From", m.from.String()}, {"To", (&mail.Address{Address: to}).String()},
		{"Subject", mime.QEncoding.Encode("utf-8", oneLine(n.Subject))},
		{"Date", n.At.UTC().Format(time.RFC1123Z)}, {"Message-ID", "<" + hex.EncodeToString(sum[:16]) + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: nobody's holiday note should answer
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	w.Write([]byte(strings.ReplaceAll(n.Text, "\n", "\r\n"))) // to memory: cannot fail
	w.Close()
	return b.Bytes()
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}
