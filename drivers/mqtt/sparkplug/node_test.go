package sparkplug

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// message makes a payload; each metric is "name=1" or "#alias=1", or
// "name#alias:type=1" in a birth.
func payload(seq int, metrics ...string) Payload {
	p := Payload{Seq: seq, At: sent.Add(time.Duration(seq) * time.Second)}
	for _, s := range metrics {
		m := Metric{Quality: Good, field: intField}
		left, value, _ := strings.Cut(s, "=")
		_, _ = fmt.Sscan(value, &m.bits)
		left, kind, typed := strings.Cut(left, ":")
		if typed {
			_, _ = fmt.Sscan(kind, &m.Type)
		}
		name, alias, aliased := strings.Cut(left, "#")
		if m.Name, m.HasAlias = name, aliased; aliased {
			_, _ = fmt.Sscan(alias, &m.Alias)
		}
		if name == "bdSeq" {
			m.field = longField
		}
		p.Metrics = append(p.Metrics, m)
	}
	return p
}

// told writes down what came of a message.
func told(s Said, err error) string {
	var out []string
	for _, v := range s.Values {
		n := "none"
		if v.Err == nil {
			n = v.Number.RatString()
		}
		out = append(out, strings.TrimPrefix(v.Device+"/"+v.Metric, "/")+"="+n)
	}
	for _, d := range s.Dead {
		out = append(out, "dead "+d)
	}
	if s.Gap != nil {
		out = append(out, "gap")
	}
	if s.Repeat {
		out = append(out, "repeat")
	}
	if err != nil {
		out = append(out, "error")
	}
	return strings.Join(out, " ")
}

type step struct {
	kind, device string
	p            Payload
	want         string
}

func TestSessions(t *testing.T) {
	birth := step{"NBIRTH", "", payload(0, "bdSeq:8=1", "E#1:3=10"), "bdSeq=1 E=10"}
	dbirth := step{"DBIRTH", "m", payload(1, "kWh#7:7=100"), "m/kWh=100"}
	for name, steps := range map[string][]step{
		"aliases": {birth, dbirth, {"DDATA", "m", payload(2, "#7=101"), "m/kWh=101"}, {"NDATA", "", payload(3, "#1=4294967291"), "E=-5"}, {"DDATA", "m", payload(4, "kWh=102"), "m/kWh=102"}},
		"an alias of the node is none of its device": {birth, dbirth, {"DDATA", "m", payload(2, "#1=5"), "gap"}},
		"data before birth":                          {{"NDATA", "", payload(4, "#1=4"), "gap"}, {"NDATA", "", payload(5, "E=4"), "gap"}, {"NDATA", "", payload(6, "E:7=4"), "E=4 gap"}},
		"seq wraps": {birth, {"NDATA", "", payload(1, "#1=1"), "E=1"}, {"NDATA", "", payload(2, "#1=2"), "E=2"},
			{"NBIRTH", "", payload(0, "bdSeq:8=2", "E#1:3=3"), "bdSeq=2 E=3"}, {"NDATA", "", payload(1, "#1=4"), "E=4"}},
		"a lost message": {birth, {"NDATA", "", payload(2, "#1=9"), "gap"}, {"NDATA", "", payload(3, "#1=9"), "gap"}, birth, {"NDATA", "", payload(1, "#1=9"), "E=9"}},
		// The lost message may have been a birth that gave the alias to another metric.
		"a lost birth":             {birth, dbirth, {"DDATA", "m", payload(3, "#7=5"), "gap"}, {"DDATA", "m", payload(4, "#7=5"), "gap"}},
		"twice":                    {birth, {"NDATA", "", payload(1, "#1=9"), "E=9"}, {"NDATA", "", payload(1, "#1=9"), "repeat"}, {"NDATA", "", payload(2, "#1=9"), "E=9"}},
		"the same seq, another":    {birth, {"NDATA", "", payload(1, "#1=9"), "E=9"}, {"NDATA", "", Payload{Seq: 1, At: sent.Add(time.Hour)}, "gap"}},
		"no seq":                   {birth, {"NDATA", "", payload(-1, "#1=9"), "error"}},
		"death":                    {birth, {"NDEATH", "", payload(-1, "bdSeq:8=1"), "dead "}, {"NDATA", "", payload(1, "#1=9"), "gap"}},
		"an old will":              {birth, {"NDEATH", "", payload(-1, "bdSeq:8=0"), "error"}, {"NDATA", "", payload(1, "#1=9"), "E=9"}},
		"a device's death":         {birth, dbirth, {"DDEATH", "m", payload(2), "dead m"}, {"DDATA", "m", payload(3, "#7=5"), "gap"}, {"NDATA", "", payload(4, "#1=9"), "E=9"}},
		"a device's death, a gap":  {birth, dbirth, {"DDEATH", "m", payload(9), "dead m gap"}},
		"a device without a birth": {birth, {"DDATA", "x", payload(1, "#7=5"), "gap"}, {"NDATA", "", payload(2, "#1=9"), "E=9"}},
		"a named metric of a device without a birth": {birth, {"DDATA", "x", payload(1, "kWh:7=5"), "x/kWh=5 gap"}},
		"the name goes before the alias":             {birth, dbirth, {"DBIRTH", "m", payload(2, "A#7:7=1", "B#8:3=2"), "m/A=1 m/B=2"}, {"DDATA", "m", payload(3, "B#7=4294967291"), "m/B=-5"}},
		"without a type":                             {{"NDATA", "", Payload{Seq: 1, Metrics: []Metric{{Name: "i", Quality: Good, field: intField}, {Name: "l", Quality: Good, field: longField}, {Name: "f", Quality: Good, field: floatField}, {Name: "d", Quality: Good, field: doubleField}}}, "f=0 d=0 gap"}},
		"bdSeq in the other field":                   {{"NBIRTH", "", Payload{Metrics: []Metric{{Name: "bdSeq", field: intField, bits: 4, Type: UInt64}}}, "bdSeq=4"}, {"NDEATH", "", payload(-1, "bdSeq:8=3"), "error"}, {"NDEATH", "", payload(-1, "bdSeq:8=4"), "dead "}},
		"no bdSeq":                                   {birth, {"NDEATH", "", Payload{Seq: -1, Metrics: []Metric{{Name: "bdSeq", field: doubleField, bits: 9}, {Name: "x", field: longField, bits: 9}}}, "dead "}},
		"unknown":                                    {birth, {"NCMD", "", payload(1), "error"}, {"STATE", "", payload(1), "error"}},
	} {
		t.Run(name, func(t *testing.T) {
			var n Node
			for i, s := range steps {
				if got := told(n.Message(s.kind, s.device, s.p)); got != s.want {
					t.Fatalf("step %d, %s %s seq %d: %q, want %q", i+1, s.kind, s.device, s.p.Seq, got, s.want)
				}
			}
		})
	}
}

// 0 to 255 and again 0.
func TestSequenceWraps(t *testing.T) {
	var n Node
	_, _ = n.Message("NBIRTH", "", payload(0, "E#1:3=10"))
	for i := 1; i < 600; i++ {
		p := payload(i&255, "#1=1")
		p.At = p.At.Add(time.Duration(i) * time.Minute)
		if got := told(n.Message("NDATA", "", p)); got != "E=1" {
			t.Fatalf("message %d: %s", i, got)
		}
	}
}

func TestTemplatesAndFlags(t *testing.T) {
	var n Node
	birth := mustParse(t, nested)
	birth.Seq = 0
	said, err := n.Message("NBIRTH", "", birth)
	if err != nil || len(said.Values) != 3 {
		t.Fatalf("%+v, %v", said, err)
	}
	for i, want := range []struct {
		name, n    string
		flags      energy.Flags
		historical bool
		at         time.Time
	}{
		{"M1/kWh", "5/2", 0, false, sent},
		{"old", "9/1", energy.Flags(0).With(13), true, sent.Add(-time.Hour)},
		{"bad", "9/1", energy.Flags(0).With(14), false, sent},
	} {
		v := said.Values[i]
		if v.Metric != want.name || v.Number.String() != want.n || v.Flags != want.flags || v.Historical != want.historical || !v.At.Equal(want.at) {
			t.Errorf("%+v, want %+v", v, want)
		}
	}
	// In data the template has no name, what is within it no type.
	data := Payload{Seq: 1, At: sent, Metrics: []Metric{{Name: "M1", Quality: Good, field: templateField, nested: []Metric{{Name: "kWh", Quality: Good, field: floatField, bits: 0x40400000}}}}}
	if got := told(n.Message("NDATA", "", data)); got != "M1/kWh=3" {
		t.Error(got)
	}
}

// The unit of a birth holds for the data after it.
func TestUnitOfBirth(t *testing.T) {
	var n Node
	_, _ = n.Message("NBIRTH", "", mustParse(t, nbirth))
	p := Payload{Seq: 1, At: sent, Metrics: []Metric{{HasAlias: true, Alias: 1, Quality: Good, field: doubleField, bits: 0x3FF8000000000000}}}
	said, err := n.Message("NDATA", "", p)
	if err != nil || len(said.Values) != 1 || said.Values[0].Unit != "kWh" || said.Values[0].Metric != "kWh" || said.Values[0].Number.String() != "3/2" {
		t.Errorf("%+v, %v", said, err)
	}
}

func TestAsk(t *testing.T) {
	var n Node
	at := func(s int) time.Time { return sent.Add(time.Duration(s) * time.Second) }
	for _, c := range []struct {
		second int
		want   bool
	}{{0, true}, {29, false}, {30, true}, {89, false}, {90, true}, {209, false}, {210, true}, {449, false}, {450, true}, {929, false}, {930, true}, {1529, false}, {1530, true}, {2129, false}, {2130, true},
		{2130 + 2400, true}, {2130 + 2400 + 29, false}, {2130 + 2400 + 30, true}} {
		if got := n.Ask(at(c.second)); got != c.want {
			t.Errorf("after %d s: %v", c.second, got)
		}
	}
	n.Forget()
	if !n.Ask(at(4561)) {
		t.Error("after a new connection it is asked at once")
	}
}
