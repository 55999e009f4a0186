package simulation

import (
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// permission is what the business allows. It changes its mind now and then:
// withdraws, and gives another permission for all or for some of its meters.
type permission struct {
	chance
	grants  []grant.Grant
	changes int64
}

// begin gives the first permission.
func (p *permission) begin(s *site) {
	p.chance = s.of("permission", 0)
	p.give(s, true)
	s.relay.permit(p.grants...)
}

// daily decides once a day. At the end everything is permitted.
func (p *permission) daily(s *site, last bool) {
	now := time.Now()
	switch {
	case last || s.Quiet:
		return
	case now.After(s.end.Add(-36*time.Hour)) && p.changes > 0:
		p.changes = -1 << 40 // once
		p.give(s, true)
	case p.n(now.Unix(), 20) == 0:
		p.withdraw()
		if p.n(now.Unix()+1, 2) == 0 {
			p.give(s, p.n(now.Unix()+2, 2) == 0)
		}
	case !p.live() && p.n(now.Unix()+3, 3) == 0:
		p.give(s, p.n(now.Unix()+4, 2) == 0)
	default:
		return
	}
	p.changes++
	s.relay.permit(p.grants...)
}

func (p *permission) live() bool {
	for _, g := range p.grants {
		if g.Live(time.Now()) {
			return true
		}
	}
	return false
}

// withdraw ends what is live. Withdrawn ones stay in the set, so that a
// gateway that was away learns of them.
func (p *permission) withdraw() {
	for i := range p.grants {
		if p.grants[i].Revoked.IsZero() {
			p.grants[i].Revoked = time.Now().UTC().Truncate(time.Second)
		}
	}
	if n := len(p.grants) - 30; n > 0 {
		p.grants = p.grants[n:]
	}
}

func (p *permission) give(s *site, all bool) {
	now := time.Now().UTC().Truncate(time.Second)
	g := grant.Grant{ID: fmt.Sprintf("permission-%d-%d", p.changes, now.Unix()), Gateway: s.Identity.Gateway,
		License: "https://registry.example/scheme/perseus/license/x/2026-03-12", Client: "https://directory.example/a/bank",
		From: epoch.AddDate(-1, 0, 0), Granted: now, Expires: epoch.AddDate(30, 0, 0)}
	for i, c := range s.oracle.order {
		if all || i == 0 || p.n(now.Unix()*100+int64(i), 2) == 0 {
			g.Covers = append(g.Covers, grant.Cover{Meter: c.key.Meter, Measure: c.key.Measure})
		}
	}
	p.grants = append(p.grants, g)
}
