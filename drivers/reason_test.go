package drivers

import (
	"errors"
	"fmt"
	"testing"
)

func TestReasonOf(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want Reason
	}{
		{"silence", &Error{Kind: Timeout, Op: "read unit 2", Err: errors.New("request timed out"), Hint: "check the wiring"}, Reason{Timeout, "no answer in time (read unit 2)", "check the wiring"}},
		{"another silence", &Error{Kind: Timeout, Op: "listen", Err: errors.New("nothing heard for 3m0s")}, Reason{Timeout, "no answer in time: nothing heard for 3m0s (listen)", ""}},
		{"a refusal, wrapped", fmt.Errorf("bus a: %w", &Error{Kind: Exception, Err: errors.New("illegal data address")}), Reason{Exception, "it answers, and refuses: illegal data address", ""}},
		{"no cause", &Error{Kind: Sentinel}, Reason{Sentinel, "it answers, and says that it has no value", ""}},
		{"nobody's", errors.New("the driver failed: oops"), Reason{Other, "the driver failed: oops", ""}},
		{"a kind that nobody knows", &Error{Kind: "odd", Op: "look"}, Reason{"odd", "odd (look)", ""}},
	} {
		if got := ReasonOf(c.err); got == nil || *got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	for kind, verb := range map[Kind]string{Timeout: "does not answer", Refused: "does not answer", Other: "does not answer", Exception: "gives no reading", Protocol: "gives no reading", Sentinel: "gives no reading", Range: "gives no reading"} {
		if got := (&Reason{Kind: kind}).Verb(); got != verb {
			t.Errorf("%s: %s", kind, got)
		}
	}
	if none := (*Reason)(nil); none.Verb() != "does not answer" {
		t.Error("no reason is silence")
	}
	if ReasonOf(nil) != nil {
		t.Error("a reason for nothing")
	}
}

// Every kind has its own place and words; what is not known is Other.
func TestKinds(t *testing.T) {
	if len(Kinds()) != KindCount || KindCount != len(says)+1 {
		t.Fatalf("%d kinds, %d with words", KindCount, len(says))
	}
	for i, k := range Kinds() {
		if k.Index() != i || k != Other && says[k] == "" {
			t.Errorf("%s: place %d, want %d; %q", k, k.Index(), i, says[k])
		}
	}
	if Kind("odd").Index() != Other.Index() || KindOf(errors.New("x")) != Other || KindOf(fmt.Errorf("a: %w", &Error{Kind: Range})) != Range {
		t.Error("an unknown kind")
	}
	if n := testing.AllocsPerRun(100, func() { KindOf(plain) }); n != 0 {
		t.Errorf("%v allocations to sort an error", n)
	}
}

var plain error = &Error{Kind: Timeout, Op: "read"}

func TestTally(t *testing.T) {
	var a Tally
	a.Asked(8)
	a.Received(5)
	a.Received(2)
	a.Heard(100)
	if got := a.Traffic(); got != (Traffic{Requests: 2, BytesIn: 107, BytesOut: 8}) || got.Add(got) != (Traffic{4, 214, 16}) {
		t.Errorf("%+v", got)
	}
}
