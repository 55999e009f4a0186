package demo

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

const centralYAML = `# The demo's directory and relay in one process. docs/operator.md explains every key.
database: sqlite:central.db
roles: [directory, relay]
registry: %s
terms: {serve: true} # a sandbox: the directory serves the registry too
directory:
  url: %s
  listen: %s
  acme: {port: %d, networks: ["127.0.0.0/8", "::1/128"]} # members' servers are on this machine
relay:
  issuer: %s
  issuer_listen: %s
  server: %s
  server_listen: %s
  member: riverside-metering
  organisation: Riverside Metering
  carbon: {url: "%s", per_second: 200}
`

const agentYAML = `# The demo's gateway. docs/installer.md explains every key.
site: {name: "Riverside Unit 4", outcode: SW8}
store: {path: agent.db}
web: {listen: "%s"}
uplink: {url: "%s", identity: identity}
buses:
  - {id: plant-room, driver: modbus, url: "tcp://%s", timeout: 1s}
meters:
  - id: shop
    bus: plant-room
    unit: 1
    poll: 500ms
    registers:
      import: {address: 0x0100, table: holding, type: uint64, unit: Wh}
      export: {address: 0x0104, table: holding, type: uint64, unit: Wh}
  - id: bakery
    bus: plant-room
    unit: 2
    poll: 500ms
    registers:
      import: {address: 0x0100, table: holding, type: uint64, unit: Wh}
`

// made is what perseus-central's commands print when they add something.
type made struct{ ID, URL, Code, Token, Link string }

// setUp makes the authorities, the three members of the demo and their
// certificates, and writes both configurations.
func (d *demo) setUp(ctx context.Context) error {
	config := d.path("central.yaml")
	for file, text := range map[string]string{
		config: fmt.Sprintf(centralYAML, d.registry(), d.directory(), d.listen(portDirectory), d.base+portChallenge, d.issuer(), d.listen(portIssuer),
			d.server(), d.listen(portServer), d.http(portCarbon)),
		d.path("agent.yaml"): fmt.Sprintf(agentYAML, d.listen(portGateway), d.server(), d.listen(portMeters)),
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	// The real API answers in two shapes and fails now and then; so does this one.
	if err := d.start("carbon", d.sim, "carbon", "--listen", d.listen(portCarbon), "--fault", "array=25%,error=4%,broken=2%"); err != nil {
		return err
	}
	if err := d.central(ctx, nil, "init", "--config", config); err != nil {
		return err
	}
	var bank, cap, gateway, owner, admin, desk made
	for _, c := range []struct {
		into *made
		args []string
	}{
		{nil, []string{"member", "add", "--id", "northern-bank", "--name", "Northern Bank plc", "--brand", "Northern Bank", "--role", "fsp"}},
		{&bank, []string{"application", "add", "--member", "northern-bank", "--id", "northern-bank-app", "--name", "Northern Bank green loans", "--role", "fsp", "--messages", d.inboxURL()}},
		{nil, []string{"member", "add", "--id", "carbon-count", "--name", "Carbon Count Ltd", "--brand", "Carbon Count", "--role", "cap"}},
		{&cap, []string{"application", "add", "--member", "carbon-count", "--id", "carbon-count-app", "--name", "Carbon Count", "--role", "cap", "--messages", d.capInboxURL()}},
		{nil, []string{"certificate", "issue", "--application", "northern-bank-app", "--kind", "client", "--out", d.path("bank-client")}},
		{nil, []string{"certificate", "issue", "--application", "carbon-count-app", "--kind", "client", "--out", d.path("cap-client")}},
		{nil, []string{"certificate", "issue", "--application", "carbon-count-app", "--kind", "signing", "--out", d.path("cap-signing")}},
		{&gateway, []string{"gateway", "add", "--member", "riverside-metering", "--name", "Riverside Unit 4", "--site", "Riverside Unit 4, SW8"}},
		{&owner, []string{"token", "issue", "--member", "riverside-metering", "--access", "owner"}},
		{&admin, []string{"token", "issue", "--access", "admin"}},
		{&desk, []string{"account", "invite", "--email", "you@directory.example", "--administrator"}},
	} {
		if c.into == nil {
			c.into = new(made)
		}
		if err := d.central(ctx, c.into, append(c.args, "--config", config)...); err != nil {
			return err
		}
	}
	for _, h := range []string{"server", "client", "signing"} {
		b, err := os.ReadFile(d.path("authorities", h, "root.pem"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(d.path(h+"-ca.pem"), b, 0o644); err != nil {
			return err
		}
	}
	d.description = Description{
		Issuer: d.issuer(), Resource: d.server(), Bank: d.server(), Directory: d.directory(), Gateway: d.gateway(),
		Registry: d.registry(), TrustFramework: d.scheme.TrustFramework(),
		ServerCA: "server-ca.pem", ClientCA: "client-ca.pem", SigningCA: "signing-ca.pem",
		CAP: Credentials{ClientID: cap.URL, Cert: "cap-client-bundle.pem", Key: "cap-client-key.pem",
			SigningCert: "cap-signing-bundle.pem", SigningKey: "cap-signing-key.pem"},
		CAPPage:     d.capPage(),
		BankClient:  Credentials{ClientID: bank.URL, Cert: "bank-client-bundle.pem", Key: "bank-client-key.pem"},
		MemberToken: owner.Token, AdminToken: admin.Token, Licenses: d.scheme.Licenses(),
		Meters: []DescribedReg{{"shop", []string{"import", "export"}}, {"bakery", []string{"import"}}},
	}
	d.code, d.desk = gateway.Code, desk.Link
	return d.makeBank(bank.URL)
}

func (d *demo) enrolmentCode() string { return d.code }

func (d *demo) makeBank(id string) error {
	pair, err := identity.KeyPair(d.path("bank-client-bundle.pem"), d.path("bank-client-key.pem"))
	if err != nil {
		return err
	}
	roots, err := identity.ReadCertificates(d.path("server-ca.pem"))
	if err != nil {
		return err
	}
	d.serverRoots = identity.Pool(roots...)
	if roots, err = identity.ReadCertificates(d.path("signing-ca.pem")); err != nil {
		return err
	}
	d.signingRoots = identity.Pool(roots...)
	d.bank = bank{
		plain: d.browser(), id: id, issuer: d.issuer(), resource: d.server(),
		redirect: d.http(portBank) + "/callback", license: d.scheme.LicenseCombined(),
		mtls: &http.Client{Timeout: time.Minute, Transport: &http.Transport{
			TLSClientConfig: identity.ClientTLS(d.serverRoots, certificate(pair))}},
	}
	return nil
}
