package notice

import (
	"bufio"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/newkey"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

var at = time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)

// server is a mail server as small as can be.
type server struct {
	addr     string
	tls      *tls.Config
	starttls bool
	user     string // base64 of \0user\0password; empty: no AUTH is offered
	refuse   string // a recipient that is not taken

	mu       sync.Mutex
	messages []string // "FROM TO\n" and the data
	clear    bool     // something was said in the clear
}

func newServer(t *testing.T, implicit bool, s *server) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.addr = l.Addr().String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if implicit {
				c = tls.Server(c, s.tls)
			}
			go s.talk(c, implicit)
		}
	}()
	return s
}

func (s *server) talk(c net.Conn, secure bool) {
	defer func() { c.Close() }()
	r := bufio.NewReader(c)
	say := func(text string) { io.WriteString(c, text+"\r\n") }
	say("220 hello")
	var from, to string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		switch word := strings.ToUpper(strings.Fields(line + " x")[0]); word {
		case "EHLO":
			say("250-me")
			if s.starttls && !secure {
				say("250-STARTTLS")
			}
			if s.user != "" {
				say("250-AUTH PLAIN")
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go")
			c = tls.Server(c, s.tls)
			r, secure = bufio.NewReader(c), true
		case "AUTH":
			if line == "AUTH PLAIN "+s.user {
				say("235 yes")
			} else {
				say("535 no")
			}
		case "MAIL":
			from = line
			say("250 ok")
		case "RCPT":
			if to = line; s.refuse != "" && strings.Contains(to, s.refuse) {
				say("550 no such user")
				continue
			}
			say("250 ok")
		case "DATA":
			say("354 go")
			var b strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				b.WriteString(line)
			}
			s.mu.Lock()
			s.messages, s.clear = append(s.messages, from+" "+to+"\n"+b.String()), s.clear || !secure
			s.mu.Unlock()
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("500 what")
		}
	}
}

func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := newkey.Make(elliptic.P256())
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

func TestMail(t *testing.T) {
	secure, roots := certificate(t)
	n := Notice{ID: "1", To: []string{"dana@example.org", "Sam <sam@example.org>"}, Subject: "Ends soon: é\r\nBcc: evil@example.org", Text: "Line one\n.\n.two = é\n", At: at}
	for name, x := range map[string]struct {
		scheme   string
		implicit bool
		s        *server
	}{
		"starttls": {"smtp", false, &server{tls: secure, starttls: true, user: "AHUAc2VjcmV0IG9mIG1haWw="}},
		"implicit": {"smtps", true, &server{tls: secure, user: "AHUAc2VjcmV0IG9mIG1haWw="}},
	} {
		s := newServer(t, x.implicit, x.s)
		m, err := NewMail(x.scheme+"://"+s.addr, "Directory <directory@example.org>", "u", record.Secret(t, "password of a mail server", "secret of mail"), roots)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := m.Send(t.Context(), n); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if len(s.messages) != 4 || s.clear {
			t.Fatalf("%s: %d messages, in the clear %t", name, len(s.messages), s.clear)
		}
		ids := map[string]int{}
		for i, raw := range s.messages {
			envelope, text, _ := strings.Cut(raw, "\n")
			to := []string{"dana@example.org", "sam@example.org"}[i%2]
			if !strings.Contains(envelope, "<directory@example.org>") || !strings.Contains(envelope, "RCPT TO:<"+to+">") {
				t.Errorf("envelope %s", envelope)
			}
			msg, err := mail.ReadMessage(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
			if err != nil || subject != "Ends soon: é Bcc: evil@example.org" || msg.Header.Get("Bcc") != "" {
				t.Errorf("subject %q", subject)
			}
			body, err := io.ReadAll(quotedprintable.NewReader(msg.Body))
			if err != nil || !strings.Contains(strings.ReplaceAll(string(body), "\r\n", "\n"), "Line one\n..\n..two = é\n") && !strings.Contains(strings.ReplaceAll(string(body), "\r\n", "\n"), "Line one\n.\n.two = é\n") {
				t.Errorf("body %q", body)
			}
			if d, err := msg.Header.Date(); err != nil || !d.Equal(at) || msg.Header.Get("To") != "<"+to+">" {
				t.Errorf("date %v %v, to %s", d, err, msg.Header.Get("To"))
			}
			ids[msg.Header.Get("Message-ID")]++
		}
		if len(ids) != 2 {
			t.Errorf("%s: message ids %v: want one for each recipient, the same again", name, ids)
		}
	}
}

func TestMailRefuses(t *testing.T) {
	secure, roots := certificate(t)
	n := Notice{ID: "1", To: []string{"dana@example.org"}, At: at}
	for want, x := range map[string]struct {
		s        *server
		password string
		roots    *x509.CertPool
	}{
		"535":               {&server{tls: secure, starttls: true, user: "AHUAc2VjcmV0IG9mIG1haWw="}, "wrong", roots},
		"unknown authority": {&server{tls: secure, starttls: true}, "", x509.NewCertPool()},
		"550":               {&server{tls: secure, starttls: true, refuse: "dana"}, "", roots},
	} {
		s := newServer(t, false, x.s)
		user := ""
		if x.password != "" {
			user = "u"
		}
		m, err := NewMail("smtp://"+s.addr, "directory@example.org", user, x.password, x.roots)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Send(t.Context(), n); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %q", err, want)
		}
		if len(s.messages) != 0 {
			t.Errorf("%s: sent", want)
		}
	}
	// A server elsewhere without STARTTLS gets nothing.
	s := newServer(t, false, &server{})
	m, err := NewMail("smtp://"+s.addr, "directory@example.org", "", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	m.host = "mail.example.org"
	if err := m.Send(t.Context(), n); err == nil || !strings.Contains(err.Error(), "not sent in the clear") {
		t.Error(err)
	}
	m.host = "127.0.0.1"
	if err := m.Send(t.Context(), n); err != nil {
		t.Errorf("on this machine: %v", err)
	}
	if err := m.Send(t.Context(), Notice{}); err != nil {
		t.Errorf("to nobody: %v", err)
	}
	for _, server := range []string{"", "mail.example.org", "http://x", "smtp://u:p@x", "smtp://x/y", "smtp://"} {
		if _, err := NewMail(server, "a@b.example", "", "", nil); err == nil {
			t.Errorf("server %q taken", server)
		}
	}
	if _, err := NewMail("smtp://x", "nobody", "", "", nil); err == nil {
		t.Error("sender taken")
	}
}
