package agent

import (
	"fmt"
	"strings"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// WireWords says in plain words what went over a bus, a fact each: for the
// status command and the page. What never happened is left out.
func WireWords(b BusStatus) (out []string) {
	w := b.Wire
	if w == nil {
		return nil
	}
	say := func(n uint64, one, more string) {
		switch {
		case n == 1:
			out = append(out, "1 "+one)
		case n > 1:
			out = append(out, fmt.Sprintf("%d %s", n, more))
		}
	}
	if w.Using != "" {
		out = append(out, "connected to "+w.Using)
	}
	say(w.Connects, "connection made", "connections made")
	what := "question"
	if b.Heard {
		what = "message"
	}
	if f := w.Feed; f != nil && f.FilesDone+f.FilesBad > 0 {
		what = "file"
	} else if f != nil {
		what = "request"
	}
	say(w.Requests, what, what+"s")
	if w.BytesIn+w.BytesOut > 0 {
		out = append(out, Bytes(w.BytesIn)+" in", Bytes(w.BytesOut)+" out")
	}
	if m := w.Modbus; m != nil {
		say(m.Exceptions, "question refused", "questions refused")
		say(m.Late, "late or foreign frame thrown away", "late or foreign frames thrown away")
		say(m.Splits, "merged read refused, in parts since", "merged reads refused, in parts since")
		if m.QuarantineSeconds >= 0.1 {
			out = append(out, fmt.Sprintf("%.1f s waited for silence (after connecting, after failures)", m.QuarantineSeconds))
		}
	}
	if m := w.Messages; m != nil {
		say(m.Unread, "message not understood", "messages not understood")
		say(m.Duplicates, "value that came again", "values that came again")
		say(m.Gaps, "gap in the sequence", "gaps in the sequence")
		say(m.Rebirths, "birth asked for", "births asked for")
	}
	if f := w.Feed; f != nil {
		for _, k := range []string{"3xx", "401", "403", "404", "429", "4xx", "5xx"} {
			say(f.Statuses[k], "answer "+k, "answers "+k)
		}
		say(f.Statuses["none"], "request without answer", "requests without answer")
		say(f.FilesBad, "file no good (see its .reason)", "files no good (see their .reason)")
		if !f.Fetched.IsZero() {
			out = append(out, "last fetched "+f.Fetched.UTC().Format("2006-01-02 15:04:05")+" UTC")
		}
	}
	return out
}

// ErrorWords names errors by kind, in the order of drivers.Kinds; "" for none.
func ErrorWords(errors map[drivers.Kind]uint64) string {
	var out []string
	for _, k := range drivers.Kinds() {
		if n := errors[k]; n > 0 {
			out = append(out, fmt.Sprintf("%s %d", k, n))
		}
	}
	return strings.Join(out, ", ")
}

// Bytes is an amount of data in the unit that fits: 1234567 is "1.2 MB".
func Bytes(n uint64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
