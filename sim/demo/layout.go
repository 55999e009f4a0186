package demo

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/perseus-edge/perseus-edge/identity"
)

// layout is where everything of one demo lies and listens. All addresses are
// on loopback.
type layout struct {
	dir  string
	base int // --port-base: the first of 30 ports
}

func (l layout) path(parts ...string) string {
	return filepath.Join(append([]string{l.dir}, parts...)...)
}

func (l layout) listen(n int) string { return fmt.Sprintf("127.0.0.1:%d", l.base+n) }
func (l layout) https(n int) string  { return fmt.Sprintf("https://localhost:%d", l.base+n) }
func (l layout) http(n int) string   { return fmt.Sprintf("http://127.0.0.1:%d", l.base+n) }

// The offsets from the port base.
const (
	portIssuer    = 1  // permission pages
	portServer    = 2  // applications and gateways, mutual TLS
	portDirectory = 3  //
	portMeters    = 22 // Modbus
	portCarbon    = 23 // carbon intensity API
	portBank      = 25 // the pages of the demo's bank and carbon accountant
	portInbox     = 26 // where both take messages, mutual TLS
	portChallenge = 27 // where the directory asks a member's server who it is (ACME)
	portGateway   = 40 // the gateway's page
)

func (l layout) issuer() string    { return l.https(portIssuer) }
func (l layout) server() string    { return l.https(portServer) }
func (l layout) directory() string { return l.https(portDirectory) }

// registry is where the demo's directory serves the terms that the demo speaks:
// every address in a certificate, a permission or a record leads somewhere.
func (l layout) registry() string { return l.directory() + "/registry" }

func (l layout) gateway() string     { return l.http(portGateway) }
func (l layout) inboxURL() string    { return l.https(portInbox) + "/messages" }
func (l layout) capInboxURL() string { return l.https(portInbox) + "/accountant/messages" }
func (l layout) bankPage() string    { return l.http(portBank) }
func (l layout) capPage() string     { return l.http(portBank) + "/accountant" }

// checkPorts says which port is taken, before anything is started.
func (l layout) checkPorts() error {
	for _, n := range []int{portIssuer, portServer, portDirectory, portMeters, portCarbon, portBank, portInbox, portChallenge, portGateway} {
		s, err := net.Listen("tcp", l.listen(n))
		if err != nil {
			return fmt.Errorf("%s is taken (another demo?): stop what listens there, or give --port-base and --dir: %w", l.listen(n), err)
		}
		s.Close()
	}
	return nil
}

// marker tells a folder of ours from anything else that must not be wiped.
const marker = ".perseus-demo"

// clear makes an empty folder for a new demo. It wipes only what an earlier
// demo made.
func (l layout) clear() error {
	entries, err := os.ReadDir(l.dir)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if len(entries) > 0 {
		if _, err := os.Stat(l.path(marker)); err != nil {
			return fmt.Errorf("%s is not empty and no earlier demo made it: give another folder with --dir", l.dir)
		}
		for _, e := range entries {
			if e.Name() == "bin" { // built programs are kept
				continue
			}
			if err := os.RemoveAll(l.path(e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.MkdirAll(l.path("logs"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(l.path(marker), []byte("made by perseus-sim demo; wiped by the next one\n"), 0o644)
}

// Description is .demo/demo.json: all that another client needs to take the
// demo's CAP's or bank's place. Paths are relative to the file.
type Description struct {
	Issuer         string         `json:"issuer"`
	Resource       string         `json:"resource"`
	Bank           string         `json:"bank"`
	Directory      string         `json:"directory"`
	Gateway        string         `json:"gateway"`
	Registry       string         `json:"registry"`
	TrustFramework string         `json:"trust_framework"`
	ServerCA       string         `json:"server_ca"`
	ClientCA       string         `json:"client_ca"`
	SigningCA      string         `json:"signing_ca"`
	CAP            Credentials    `json:"cap"`
	CAPPage        string         `json:"cap_page"` // shows the messages to it
	BankClient     Credentials    `json:"bank_client"`
	MemberToken    string         `json:"member_token"`
	AdminToken     string         `json:"admin_token"`
	SME            SME            `json:"sme"`
	Licenses       []string       `json:"licenses"`
	Meters         []DescribedReg `json:"meters"`
}

// Credentials are the files of one OAuth client.
type Credentials struct {
	ClientID    string `json:"client_id"`
	Cert        string `json:"cert"`
	Key         string `json:"key"`
	SigningCert string `json:"signing_cert,omitempty"`
	SigningKey  string `json:"signing_key,omitempty"`
}

// SME is the business: the code by which it recognises its meter.
type SME struct {
	Code string `json:"code"`
}

// DescribedReg is a meter and what it measures.
type DescribedReg struct {
	ID       string   `json:"id"`
	Measures []string `json:"measures"`
}

func (l layout) writeDescription(d Description) error {
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return identity.WriteFile(l.path("demo.json"), append(b, '\n'), 0o600)
}
