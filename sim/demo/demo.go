// Package demo takes a business the whole way: simulated meters, a real
// gateway, a real directory and relay, and a bank that receives monthly
// emissions. It is a client like any other: it starts the programs, and then
// uses only their commands, their pages and their APIs.
package demo

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/rehearsal"
)

// Options of a demo.
type Options struct {
	Dir      string // folder for everything; made if absent
	PortBase int    // the first of the ports used
	Bin      string // folder with built programs; empty: build them with Go
	Headless bool   // go the whole way, print the bank's table and stop
	Out      io.Writer
}

// The rehearsal: the demo's meters and gateway begin two hours or so ago and
// live 120 times as fast until they have caught up with the present, so that
// real half-hours come off real registers while one watches: one every 15 s.
const (
	rehearseBack  = 122 * time.Minute
	rehearseSpeed = 120
	rehearseLead  = 4 * time.Minute // two seconds to start in, before the first boundary
)

type demo struct {
	Options
	layout
	programs
	scheme scheme.Scheme
	now    time.Time // when the demo began
	seam   time.Time // history ends and measurement begins at this half-hour

	serverRoots, signingRoots *x509.CertPool
	description               Description
	bank                      bank
	inbox, capInbox           *inbox // the bank's, the carbon accountant's
	step                      int
	code                      string // the gateway's enrolment code
	desk                      string // the link by which the directory's first administrator makes an account
}

// Run goes the whole way. It returns when the bank has its report (Headless)
// or when ctx ends.
func Run(ctx context.Context, o Options) error {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	d := &demo{Options: o, layout: layout{dir, o.PortBase}, now: time.Now().UTC()}
	d.seam = d.now.Add(-rehearseBack).Truncate(energy.Period)
	d.programs = programs{bin: o.Bin, sim: self, logs: d.path("logs")}
	if d.scheme, err = scheme.New(d.registry()); err != nil {
		return err
	}
	if err := d.checkPorts(); err != nil { // first: a demo that runs must not lose its folder
		return err
	}
	if err := d.clear(); err != nil {
		return err
	}
	defer d.stop()
	for _, s := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"Build perseus-agent and perseus-central", d.buildPrograms},
		{"Set up the directory: members, certificates, a gateway's one-time code", d.setUp},
		{"Start the directory, the relay and the server for messages to members", d.startCentral},
		{"Enrol the gateway with its one-time code", d.enrol},
		{"Import a year of half-hours into the gateway", d.importHistory},
		{"Start the meters and the gateway", d.startSite},
		{"The bank asks, the business agrees in its browser", d.permit},
		{"The gateway measures, signs and delivers; the relay acknowledges", d.deliver},
		{"The bank fetches its report and checks that its figures are signed", d.report},
	} {
		d.step++
		fmt.Fprintf(d.Out, "[%d/9] %-72s", d.step, s.what)
		began := time.Now()
		if err := s.do(ctx); err != nil {
			fmt.Fprintln(d.Out, "FAILED")
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("step %d, %q: %w\nThe programs' logs are in %s", d.step, s.what, err, d.logs)
		}
		fmt.Fprintf(d.Out, "%5.1f s\n", time.Since(began).Seconds())
	}
	if err := d.printReport(ctx); err != nil {
		return err
	}
	if err := d.writeDescription(d.description); err != nil {
		return err
	}
	if d.Headless {
		return nil
	}
	return d.stayUp(ctx)
}

func (d *demo) buildPrograms(ctx context.Context) error {
	if d.programs.bin != "" {
		return nil
	}
	d.programs.bin = d.path("bin")
	return d.build(ctx)
}

func (d *demo) startCentral(ctx context.Context) error {
	if err := d.start("central", filepath.Join(d.programs.bin, "perseus-central"), "serve", "--config", d.path("central.yaml")); err != nil {
		return err
	}
	roots, err := identity.ReadCertificates(d.path("server-ca.pem"))
	if err != nil {
		return err
	}
	d.serverRoots = identity.Pool(roots...)
	err = d.until(ctx, 3*time.Minute, "the directory answers", func(ctx context.Context) error {
		var health struct{ Status string }
		if _, err := getJSON(ctx, d.browser(), d.directory()+"/healthz", "", &health); err != nil {
			return err
		}
		_, err := getJSON(ctx, d.browser(), d.issuer()+"/.well-known/oauth-authorization-server", "", &struct{}{})
		return err
	})
	if err != nil {
		return err
	}
	return d.openInboxes(ctx)
}

func (d *demo) enrol(ctx context.Context) error {
	_, err := d.agent(ctx, "enroll", "--config", d.path("agent.yaml"), "--url", d.directory(), "--code", d.enrolmentCode(), "--ca", d.path("server-ca.pem"))
	return err
}

func (d *demo) importHistory(ctx context.Context) error {
	file := d.path("history.csv")
	if _, err := NewSite(d.now).writeHistory(file, d.seam); err != nil {
		return err
	}
	for _, m := range d.description.Meters {
		if _, err := d.agent(ctx, "import", "--config", d.path("agent.yaml"), "--meter", m.ID, "--id", m.ID, file); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) startSite(ctx context.Context) error {
	clock, err := rehearsal.New(time.Now(), d.seam.Add(-rehearseLead), rehearseSpeed)
	if err != nil {
		return err
	}
	if err := d.start("meters", d.sim, "meters", "--listen", d.listen(portMeters), "--site-of", d.now.Format(time.RFC3339), "--rehearse", clock.String()); err != nil {
		return err
	}
	if err := d.start("agent", filepath.Join(d.programs.bin, "perseus-agent"), "run", "--config", d.path("agent.yaml"), "--rehearse", clock.String()); err != nil {
		return err
	}
	return d.until(ctx, 3*time.Minute, "the gateway registers its site with the relay", func(ctx context.Context) error {
		s, err := d.gatewayStatus(ctx)
		if err != nil {
			return err
		}
		if s.SiteCode == "" || !s.Uplink.Connected {
			return errors.New("not registered yet: " + s.Uplink.Reason + " " + s.Uplink.Error)
		}
		d.description.SME.Code = s.SiteCode
		return nil
	})
}

func (d *demo) permit(ctx context.Context) error {
	if err := d.bank.discover(ctx); err != nil {
		return err
	}
	link, err := d.bank.ask(ctx)
	if err != nil {
		return fmt.Errorf("the bank's pushed request: %w", err)
	}
	shop := business{http: d.browser(), code: d.description.SME.Code}
	back, err := shop.agree(ctx, link)
	if err != nil {
		return fmt.Errorf("the business at the permission page: %w", err)
	}
	if err := d.bank.finish(ctx, back); err != nil {
		return fmt.Errorf("the bank's code for tokens: %w", err)
	}
	return nil
}

// browser is a person's browser: it trusts the demo's server root and has no
// certificate of its own.
func (d *demo) browser() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: identity.ClientTLS(d.serverRoots, nil)}}
}

func (d *demo) stayUp(ctx context.Context) error {
	stop := d.servePages()
	defer stop()
	fmt.Fprintf(d.Out, `
All is up. Look around (your browser will warn: the demo's certificates have a root of their own, %s):
  gateway page      %s
  bank view         %s
  accountant view   %s
  permission page   %s/permissions   (meter code %s)
  directory         %s
  directory's desk  %s   (an administrator's account; it takes one invitation)
  for other clients %s
Stop with Ctrl-C.
`, d.path("server-ca.pem"), d.gateway(), d.bankPage(), d.capPage(), d.issuer(), d.description.SME.Code, d.directory(), d.desk, d.path("demo.json"))
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			fmt.Fprintln(d.Out, "Stopping.")
			return nil
		case <-tick.C:
			if err := d.died(); err != nil {
				return err
			}
		}
	}
}
