package demo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/sim/meter"
)

// gatewayStatus is the part of the gateway's status that the demo watches.
type gatewayStatus struct {
	SiteCode string `json:"siteCode"`
	Uplink   struct {
		Reason       string `json:"reason"`
		Connected    bool   `json:"connected"`
		Acknowledged uint64 `json:"acknowledged"`
		Pending      int    `json:"pending"`
		Sealed       bool   `json:"sealed"`
		Error        string `json:"error"`
	} `json:"uplink"`
}

func (d *demo) gatewayStatus(ctx context.Context) (s gatewayStatus, err error) {
	_, err = getJSON(ctx, d.browser(), d.gateway()+"/api/v1/status", "", &s)
	return s, err
}

// gatewayReading is a half-hour as the gateway's local API shows it.
type gatewayReading struct {
	From    time.Time `json:"from"`
	Quality string    `json:"quality"`
	Energy  *struct {
		Value float64 `json:"value"`
	} `json:"energy"`
}

// deliver waits until the gateway has measured a half-hour itself, and it is
// right, and the relay has acknowledged all that the permission covers.
func (d *demo) deliver(ctx context.Context) error {
	truth := NewSite(d.now)
	err := d.until(ctx, 3*time.Minute, "the gateway measures its first half-hour", func(ctx context.Context) error {
		var readings struct{ Data []gatewayReading }
		link := d.gateway() + "/api/v1/readings?" + url.Values{"meter": {"shop"}, "measure": {"import"}, "from": {d.seam.Format(time.RFC3339)}}.Encode()
		if _, err := getJSON(ctx, d.browser(), link, "", &readings); err != nil {
			return err
		}
		for _, r := range readings.Data {
			if r.Quality != energy.Measured.String() || r.Energy == nil {
				continue
			}
			if want := truth.Shop.HalfHour(r.From); abs(int64(r.Energy.Value)-want) > tolerance(truth.Shop, r.From) {
				return fmt.Errorf("the gateway measured %v Wh for %v, the meter counted %d", r.Energy.Value, r.From, want)
			}
			return nil
		}
		return errors.New("no measured half-hour yet")
	})
	if err != nil {
		return err
	}
	return d.until(ctx, 3*time.Minute, "the relay acknowledges everything", func(ctx context.Context) error {
		s, err := d.gatewayStatus(ctx)
		if err != nil {
			return err
		}
		if u := s.Uplink; u.Pending > 0 || u.Sealed || u.Acknowledged == 0 {
			return fmt.Errorf("%d half-hours still to go; %s %s", u.Pending, s.Uplink.Reason, u.Error)
		}
		return nil
	})
}

// tolerance is how far, in Wh, a measured half-hour of a load may be from the
// truth: where the power changes at a boundary, the register between two samples
// at most two minutes before and after it is not a straight line. The error is
// at most the change of power times one minute.
func tolerance(l *meter.Load, t time.Time) int64 {
	e := l.HalfHour(t)
	before, after := l.HalfHour(t.Add(-energy.Period)), l.HalfHour(t.Add(energy.Period))
	return 2 + (abs(before-e)+abs(after-e))/30
}

// months bound the bank's report: the last twelve whole months whose carbon
// intensity has settled, which takes a day (feeds.md 4.2).
func (d *demo) months() (from, to time.Time) {
	settled := d.now.Add(-25 * time.Hour)
	to = time.Date(settled.Year(), settled.Month(), 1, 0, 0, 0, 0, time.UTC)
	return to.AddDate(-1, 0, 0), to
}

func (d *demo) report(ctx context.Context) error {
	from, to := d.months()
	return d.until(ctx, 3*time.Minute, "the bank's report is complete", func(ctx context.Context) error {
		r, err := d.bank.report(ctx, from, to)
		if err != nil {
			return err
		}
		if len(r.Data) != 12 {
			return fmt.Errorf("%w: %d of 12 months", errNotYet, len(r.Data))
		}
		_, err = d.checkReport(r)
		return err
	})
}

// printReport prints what the bank received, beside what the meters counted.
func (d *demo) printReport(ctx context.Context) error {
	from, to := d.months()
	r, err := d.bank.report(ctx, from, to)
	if err != nil {
		return err
	}
	steps, err := d.checkReport(r)
	if err != nil {
		return err
	}
	truth := NewSite(d.now)
	fmt.Fprintf(d.Out, "\nWhat the bank received: monthly emissions of the business, and nothing finer\n\n")
	fmt.Fprintf(d.Out, "  month      kg CO2      (kWh behind it, which the bank does not see)\n")
	for _, e := range r.Data {
		wh := truth.Shop.Register(e.To) - truth.Shop.Register(e.From) + truth.Bakery.Register(e.To) - truth.Bakery.Register(e.From)
		fmt.Fprintf(d.Out, "  %s  %10s      %8s\n", e.From.Format("2006-01"), e.Emissions.Value, kWh(wh))
	}
	fmt.Fprintf(d.Out, "\nProvenance: %d signed steps, which hold the %d figures too, checked with the public signing root alone:\n", len(steps), len(r.Data))
	for _, s := range summary(steps) {
		fmt.Fprintln(d.Out, "  "+s)
	}
	return d.keepReport(r)
}

// keepReport writes the bank's answer into the demo's folder, as it came, and
// says how anybody checks it.
func (d *demo) keepReport(r *report) error {
	file := d.path("bank-report.json")
	if err := os.WriteFile(file, r.answer, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(d.Out, "\nCheck it yourself, offline (explain in place of verify says who signed what):\n  %s provenance verify --registry %s --roots %s %s\n",
		shown(filepath.Join(d.programs.bin, "perseus-central")), d.registry(), shown(d.path("signing-ca.pem")), shown(file))
	return nil
}

// shown is a file as one would type it: from here where it is not far.
func shown(file string) string {
	if here, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(here, file); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return file
}

func abs(n int64) int64 { return max(n, -n) }

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, strings.TrimSuffix(what, "s"))
}
