package web

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

func uplinkWords(st agent.Status) uplinkView {
	u := st.Uplink
	if u == nil {
		return uplinkView{Class: "plain", Words: []string{"This gateway only records. Nothing leaves it."}}
	}
	v := uplinkView{Class: "warn"}
	switch u.State {
	case "not enrolled":
		v.Words = []string{"Nothing: this gateway has no identity yet."}
		return v
	case "starting":
		v.Words = []string{"Starting."}
		return v
	case "cannot begin":
		v.Class, v.Words = "bad", []string{"Nothing can be sent: " + u.Reason}
		return v
	}
	d := u.Status
	host := d.Relay
	if p, err := url.Parse(d.Relay); err == nil {
		host = p.Host
	}
	switch u.State {
	case "sending":
		v.Class, v.Words = "good", []string{"Connected to " + host + "."}
	case "revoked", "expired":
		v.Class, v.Words = "bad", []string{"Nothing, until this gateway has a new identity: its present one is " + map[string]string{"revoked": "revoked", "expired": "run out"}[u.State] + ". Readings are kept here."}
	case "offline":
		v.Class, v.Words = "bad", []string{host + " cannot be reached since " + at(d.Since) + ". Readings are kept here and sent later."}
	default:
		v.Words = []string{"Connected to " + host + ". No permission is live, so nothing leaves this gateway."}
	}
	for _, c := range d.Certificates {
		if c.Words == "" || u.State == "revoked" || u.State == "expired" {
			continue
		}
		v.Words = append(v.Words, c.Words)
		if c.State == "revoked" || c.State == "expired" {
			v.Class = "bad"
		} else if v.Class == "good" {
			v.Class = "warn"
		}
	}
	switch {
	case d.Pending == 1:
		v.Words = append(v.Words, "1 half-hour waits to be sent.")
	case d.Pending > 1:
		v.Words = append(v.Words, grouped(int64(d.Pending))+" half-hours wait to be sent.")
	case u.State == "sending":
		v.Words = append(v.Words, "Everything that may leave has been sent.")
	}
	if d.Acknowledged > 0 {
		v.Words = append(v.Words, fmt.Sprintf("Batch %d is safely stored there (%s).", d.Acknowledged, at(d.AcknowledgedAt)))
	}
	if d.Error != "" && u.State != "revoked" && u.State != "expired" {
		v.Words = append(v.Words, "Last problem: "+d.Error)
	}
	if d.ClockOff != 0 {
		v.Words = append(v.Words, fmt.Sprintf("This gateway's clock is wrong by %s: set it, or let it follow a time server.", d.ClockOff.Abs()))
	}
	for _, g := range d.Grants {
		v.Permits = append(v.Permits, permit(g, st.Wall))
	}
	return v
}

// permit says a grant the way one would tell the owner of the meter.
func permit(g grant.Grant, now time.Time) permitView {
	var covers []string
	for _, c := range g.Covers {
		covers = append(covers, fmt.Sprintf("%s of meter %s", c.Measure, c.Meter))
	}
	name := g.Name
	if name == "" {
		name = client(g.Client)
	}
	v := permitView{Words: fmt.Sprintf("%s may have %s (%s), from %s until %s. Given on %s.",
		name, receives(g), strings.Join(covers, ", "), day(g.From), day(g.Expires), day(g.Granted))}
	switch {
	case !g.Revoked.IsZero():
		v.Ended = "Withdrawn on " + day(g.Revoked) + ": nothing leaves under it."
	case !now.Before(g.Expires):
		v.Ended = "Ended on " + day(g.Expires) + ": nothing leaves under it."
	case now.Before(g.Granted):
		v.Ended = "Not begun yet."
	}
	return v
}

// receives is what the client of a grant gets to see. A bank never sees more
// than months of emissions, though half-hours leave for them to be worked out.
func receives(g grant.Grant) string {
	switch {
	case g.Parts == "fsp":
		return "monthly emissions and nothing finer, worked out from half-hourly energy"
	case strings.Contains(g.License, "/energy-consumption-emissions-edp-cap-fsp/"):
		return "half-hourly energy, and pass on monthly emissions to a bank"
	case strings.Contains(g.License, "/energy-consumption-edp-cap/"):
		return "half-hourly energy, to work out emissions"
	}
	return "half-hourly energy under the licence " + g.License
}

// client is an application's URL without its scheme, which a person reads past.
func client(u string) string { return strings.TrimPrefix(strings.TrimPrefix(u, "https://"), "http://") }
