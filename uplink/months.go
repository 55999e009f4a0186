package uplink

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// A gateway states each register's month once the month is over and all of it
// that a permission covers has been delivered, and states it anew when one of
// its half-hours has changed. The statements travel in the batches, beside those
// of baseline. What has been stated is kept in the outbox's Meta, by register.

const (
	metaMonths     = "uplink-months/"    // + register: JSON, month -> what was stated of it
	metaMonthsSalt = "uplink-month-salt" // makes the names of meters in statements
	monthsAtOnce   = 16                  // statements in a batch: each is some 1,100 bytes
	monthNothing   = "-"                 // there is nothing to state of the month
)

// halfHourReader is an Outbox that can give the half-hours of a register again;
// one that cannot has none of its months stated.
type halfHourReader interface {
	HalfHours(k energy.Key, from, to time.Time) iter.Seq2[energy.HalfHour, error]
}

// months is what the send loop knows of the statements. It alone uses it.
type months struct {
	wanted  bool                               // the relay has said that it takes them
	stated  map[energy.Key]map[string]string   // read from Meta as they are needed
	refused map[energy.Key]map[month.Month]int // by the relay, since this program began
	salt    []byte
}

// stated gives what has been stated of a register's months.
func (c *Client) stated(k energy.Key) (map[string]string, error) {
	if m, ok := c.months.stated[k]; ok {
		return m, nil
	}
	b, err := c.out.Meta(metaMonths + k.String())
	if err != nil {
		return nil, fmt.Errorf("reading what has been stated of %s: %w", k, err)
	}
	m := map[string]string{}
	if b != nil && json.Unmarshal(b, &m) != nil {
		m = map[string]string{} // stated once more: it does no harm
	}
	if c.months.stated == nil {
		c.months.stated = map[energy.Key]map[string]string{}
	}
	c.months.stated[k] = m
	return m, nil
}

func (c *Client) noteStated(k energy.Key, change func(m map[string]string) bool) error {
	m, err := c.stated(k)
	if err != nil || !change(m) {
		return err
	}
	b, err := json.Marshal(m)
	if err == nil {
		err = c.out.SetMeta(metaMonths+k.String(), b)
	}
	if err != nil {
		delete(c.months.stated, k) // as Meta has it
		return fmt.Errorf("noting what has been stated of %s: %w", k, err)
	}
	return nil
}

// monthStatements makes the statements that are due, for a batch that carries
// the series of d. A month of which half-hours are pending, or on their way in
// this very batch, waits.
func (c *Client) monthStatements(live []grant.Grant, now time.Time, d draft, s *pair) ([]batch.Statement, error) {
	reader, ok := c.out.(halfHourReader)
	framework := trustFramework(live)
	if !ok || !c.months.wanted || framework == "" {
		return nil, nil
	}
	var out []batch.Statement
	for _, k := range coveredKeys(live) {
		known, err := c.stated(k)
		if err != nil {
			return nil, err
		}
		ws := windows(live, now, k)
		for _, m := range endedMonths(ws, now) {
			if done := known[m.String()]; done == monthNothing || strings.HasPrefix(done, framework+" ") || slices.ContainsFunc(d.spans, func(p energy.Span) bool {
				return p.Key == k && p.From.Before(m.End()) && m.Start.Before(p.To)
			}) {
				continue
			}
			st, err := c.monthStatement(reader, framework, k, m, ws, s)
			if err != nil {
				return nil, err
			}
			if st != nil {
				out = append(out, *st)
			}
			if len(out) == monthsAtOnce {
				return out, nil
			}
		}
	}
	return out, nil
}

// monthStatement states one month; nil when it has to wait, or has nothing.
func (c *Client) monthStatement(reader halfHourReader, framework string, k energy.Key, m month.Month, ws []window, s *pair) (*batch.Statement, error) {
	st := month.Statement{Gateway: c.folder.Gateway, Measure: k.Measure, Month: m}
	values, some := make([]month.Value, m.HalfHours()), false
	for _, w := range ws {
		from, to := latest(w.from, m.Start), earliest(w.to, m.End())
		if !from.Before(to) {
			continue
		}
		if waiting, err := c.out.Pending(k, from, to, 1); err != nil || len(waiting) > 0 {
			return nil, err
		}
		st.Spans = append(st.Spans, month.Span{From: from, To: to})
		for h, err := range reader.HalfHours(k, from, to) {
			if err != nil {
				return nil, fmt.Errorf("reading %s of %s for its statement: %w", m, k, err)
			}
			place, ok := m.Place(h.Start)
			if !ok || !fits(h) || h.Quality == energy.Missing {
				continue
			}
			some = true
			values[place] = month.Value{Present: true, Energy: h.Energy, Cumulative: carriedRegister(h), Quality: h.Quality, Rule: h.Evidence.Rule}
		}
	}
	if !some || len(st.Spans) > month.MaxSpans {
		return nil, c.noteStated(k, func(known map[string]string) bool { known[m.String()] = monthNothing; return true })
	}
	var err error
	if st.Meter, err = c.meterName(k.Meter); err != nil {
		return nil, err
	}
	seed := month.NewSeed()
	st.Root = month.Root(seed, month.List(values))
	signed, err := month.Sign(st, framework, c.now(), s.chain[0].SerialNumber, s.key)
	if err != nil {
		return nil, err
	}
	body, err := month.Carry(signed, seed)
	if err != nil {
		return nil, err
	}
	// At must lie under a permission, like anything that leaves: a relay of
	// before there were such statements looks at nothing else.
	return &batch.Statement{Meter: k.Meter, Measure: k.Measure, At: st.Spans[0].From, Body: body}, nil
}

// carriedRegister is the register at a half-hour's end as a batch can say it.
func carriedRegister(h energy.HalfHour) int64 {
	if h.Cumulative < 0 || h.Cumulative > batch.MaxRegister {
		return -1
	}
	return h.Cumulative
}

// meterName is the name of a meter in statements: the same for the same meter,
// and no hint at what the gateway calls it.
func (c *Client) meterName(meter string) (string, error) {
	if c.months.salt == nil {
		salt, err := c.out.Meta(metaMonthsSalt)
		if err == nil && len(salt) == 0 {
			salt = make([]byte, 16)
			rand.Read(salt) // never fails (crypto/rand)
			err = c.out.SetMeta(metaMonthsSalt, salt)
		}
		if err != nil {
			return "", fmt.Errorf("the names of meters in statements: %w", err)
		}
		c.months.salt = salt
	}
	h := hmac.New(sha256.New, c.months.salt)
	h.Write([]byte(meter))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:15]), nil
}

// trustFramework is the URL of the trust framework that the grants' licences
// are of; "" where they do not say.
func trustFramework(live []grant.Grant) string {
	for _, g := range live {
		if registry, _, ok := strings.Cut(g.License, "/scheme/"); ok {
			return registry + "/trust-framework"
		}
	}
	return ""
}

// coveredKeys lists the registers that grants cover, in order.
func coveredKeys(live []grant.Grant) []energy.Key {
	var out []energy.Key
	for _, g := range live {
		for _, c := range g.Covers {
			out = append(out, energy.Key{Meter: c.Meter, Measure: c.Measure})
		}
	}
	slices.SortFunc(out, func(a, b energy.Key) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}

// endedMonths lists the months that windows reach into and that are over.
func endedMonths(ws []window, now time.Time) []month.Month {
	var out []month.Month
	for _, w := range ws {
		for m := month.Of(w.from); m.Start.Before(w.to) && !m.End().After(now); m = m.Next() {
			if len(out) == 0 || out[len(out)-1] != m {
				out = append(out, m)
			}
		}
	}
	return out
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
