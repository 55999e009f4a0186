package ca

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Minutes are what the protocol of a ceremony says besides what was done.
type Minutes struct {
	Program string   // its version
	Machine string   // its name
	Present []string // people
}

// Protocol is the written record of a ceremony, for people to compare, sign and
// keep: what was done, with the fingerprints of everything that came of it.
func (c Ceremony) Protocol(steps []Step, m Minutes) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("PROTOCOL OF A KEY CEREMONY")
	line("")
	line("Trust framework   %s", c.Organisation)
	line("Held              %s (this machine's clock)", moment(c.Now))
	line("Machine           %s", m.Machine)
	line("Program           %s", m.Program)
	line("Keys of the roots %s", c.Offline)
	if c.StatusURL != "" {
		line("Status address    %s", c.StatusURL)
	}
	for i, s := range steps {
		line("")
		line("%d. %s hierarchy: %s", i+1, titles[s.Hierarchy], s.What)
		if s.Certificate != nil {
			line("   name          %s", s.Certificate.Subject)
			line("   serial        %s", s.Certificate.SerialNumber)
			line("   valid         %s to %s", moment(s.Certificate.NotBefore), moment(s.Certificate.NotAfter))
			line("   certificate   SHA-256 %s", fingerprint(s.Certificate.Raw))
			line("   public key    SHA-256 %s", fingerprint(s.Certificate.RawSubjectPublicKeyInfo))
		}
		if s.CRL != nil {
			protocolCRL(line, s.CRL)
		}
	}
	line("")
	line("The keys of the roots stay on their medium, which is taken out and locked away.")
	line("Compare the fingerprints of the roots with those that `openssl x509 -in FILE -noout -fingerprint -sha256` shows.")
	line("")
	if len(m.Present) == 0 {
		m.Present = []string{"", ""}
	}
	line("Present:")
	for _, p := range m.Present {
		line("")
		line("   %-30s  signature ______________________  date ____________", p)
	}
	return b.String()
}

func protocolCRL(line func(string, ...any), l *x509.RevocationList) {
	line("   number        %s", l.Number)
	line("   holds         %s to %s: hold the next ceremony before that", moment(l.ThisUpdate), moment(l.NextUpdate))
	line("   revoked       %d", len(l.RevokedCertificateEntries))
	for _, e := range l.RevokedCertificateEntries {
		line("                 serial %s on %s", e.SerialNumber, moment(e.RevocationTime))
	}
	line("   list          SHA-256 %s", fingerprint(l.Raw))
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// fingerprint is SHA-256 in pairs of digits, as openssl prints it.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	text := strings.ToUpper(hex.EncodeToString(sum[:]))
	var pairs []string
	for i := 0; i < len(text); i += 2 {
		pairs = append(pairs, text[i:i+2])
	}
	return strings.Join(pairs, ":")
}
