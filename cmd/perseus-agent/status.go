package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/keystore"
	"github.com/perseus-edge/perseus-edge/store"
	"github.com/perseus-edge/perseus-edge/uplink"
)

var statusCommand = command{
	name: "status", short: "say how the agent fares",
	long: `Says how the running agent fares: its meters, its store, its uplink. When none runs, says what the store holds.`,
	run: func(in *invocation) error {
		file, format := in.configFlag(), in.formatFlag()
		if err := in.parse(0, 0); err != nil {
			return err
		}
		if err := checkFormat(*format); err != nil {
			return err
		}
		cfg, err := config.Load(*file)
		if err != nil {
			return configProblem(err)
		}
		if d := findDaemon(cfg); d != nil {
			return printStatus(in.stdout, *format, d, time.Now())
		}
		log, _ := newLogger(in.stderr, "warn")
		return withStore(cfg, log, false, func(s *store.Store) error { return printKept(in.stdout, *format, cfg, s) })
	},
}

// printStatus shows the answer of a running agent; permissions go by now.
func printStatus(w io.Writer, format string, d *daemon, now time.Time) error {
	s := d.status
	switch format {
	case "json":
		_, err := w.Write(d.raw)
		return err
	case "csv":
		return statusCSV(w, s)
	}
	fmt.Fprintf(w, "%s: running since %s, version %s\n", s.Site.Name, stamp(s.Started), s.Version)
	wrong := troubles(s)
	for _, t := range wrong {
		fmt.Fprintf(w, "Wrong: %s\n", t)
	}
	if n := waiting(s.Meters); len(wrong) == 0 && n > 0 {
		fmt.Fprintf(w, "Nothing is wrong so far; %s given nothing yet.\n", have(n, "meter"))
	} else if len(wrong) == 0 {
		fmt.Fprintln(w, "All is well.")
	}
	fmt.Fprintln(w)
	printCode(w, s)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "METER\tSTATE\tMEASURE\tVALUE\tUNIT\tREAD (UTC)\tAGE")
	for _, m := range s.Meters {
		for _, r := range m.Registers {
			value, unit := agent.Shown(r.Value, r.UnitCode)
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, m.State, r.Measure, value, unit, dash(stamp(r.At)), ago(r.Age))
		}
	}
	t.Flush()
	printAlarms(w, s.Meters)
	printTraffic(w, s)
	printBuses(w, s.Buses)
	printClock(w, s.Clock)
	fmt.Fprintf(w, "Store: %s, last written %s\n", s.Store.Path, dash(stamp(s.Store.Writing.Last)))
	printUplink(w, s.Uplink, now)
	return nil
}

// printClock says what the time rests on; where it cannot be relied upon, that
// is among what is wrong.
func printClock(w io.Writer, c *clock.Status) {
	if c == nil || !c.Trusted {
		return
	}
	set := ""
	if c.Steps > 0 {
		set = "; it was set " + count(c.Steps, "time") + " since the start"
	}
	fmt.Fprintf(w, "Clock: %s%s\n", c.Why, set)
}

func printUplink(w io.Writer, u *agent.UplinkStatus, now time.Time) {
	if u == nil {
		fmt.Fprintln(w, "Uplink: none, record only")
		return
	}
	reason := colon(u.Reason)
	if u.State == "offline" || u.State == "cannot begin" || u.State == "revoked" || u.State == "expired" {
		reason = "" // said among what is wrong
	}
	fmt.Fprintf(w, "Uplink: %s%s\n", u.State, reason)
	if u.Status == nil {
		return
	}
	fmt.Fprintf(w, "  enrolled as %s for %s\n", u.Gateway, first(u.Organisation, "an organisation not named"))
	stored := "" // none since the start: it does not know of those before
	if u.Acknowledged > 0 {
		stored = fmt.Sprintf("batch %d stored there, ", u.Acknowledged)
	}
	fmt.Fprintf(w, "  relay %s, %s%s to be sent\n", u.Relay, stored, waits(u.Pending))
	for _, c := range u.Certificates {
		fmt.Fprintf(w, "  %s certificate: %s, ends on %s, to be renewed on %s, key store: %s\n", c.Kind, c.State, stamp(c.NotAfter), stamp(c.RenewAt), keyPlace(c))
	}
	for _, line := range permissions(u.Grants, now) {
		fmt.Fprintf(w, "  %s\n", line)
	}
}

// keyPlace is where the key of a certificate lives.
func keyPlace(c uplink.CertificateStatus) string {
	if c.Token != "" {
		return c.KeyStore + ", token " + c.Token
	}
	return first(c.KeyStore, keystore.File)
}

// waits and have are counts with their verbs.
func waits(n int) string {
	if n == 1 {
		return "1 half-hour waits"
	}
	return fmt.Sprintf("%d half-hours wait", n)
}

func have(n int, what string) string {
	if n == 1 {
		return count(n, what) + " has"
	}
	return count(n, what) + " have"
}

// kept is what a store holds of one register.
type kept struct {
	Meter     string         `json:"meter"`
	Measure   energy.Measure `json:"measure"`
	First     time.Time      `json:"first"`
	Last      time.Time      `json:"last"`
	HalfHours int            `json:"halfHours"`
}

// printKept is the status while no agent runs.
func printKept(w io.Writer, format string, cfg *config.Config, s agent.Store) error {
	keys, err := s.Keys()
	if err != nil {
		return err
	}
	rows := []kept{}
	for _, k := range keys {
		first, last, n, err := s.Bounds(k)
		if err != nil {
			return err
		}
		rows = append(rows, kept{k.Meter, k.Measure, first, last, n})
	}
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"running": false, "data": rows})
	case "csv":
		c := csv.NewWriter(w)
		c.Write([]string{"meter", "measure", "first", "last", "half_hours"})
		for _, r := range rows {
			c.Write([]string{r.Meter, r.Measure.String(), stamp(r.First), stamp(r.Last), strconv.Itoa(r.HalfHours)})
		}
		c.Flush()
		return c.Error()
	}
	fmt.Fprintf(w, "%s: the agent is not running. %s holds:\n\n", cfg.Site.Name, cfg.Store.Path)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "METER\tMEASURE\tHALF-HOURS\tFIRST (UTC)\tLAST (UTC)")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", r.Meter, r.Measure, r.HalfHours, dash(stamp(r.First)), dash(stamp(r.Last)))
	}
	return t.Flush()
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func colon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}
