package validate

import (
	"fmt"
	"strings"
	"testing"
)

func TestRules(t *testing.T) {
	all := Rules()
	if len(all) != 20 {
		t.Fatalf("%d rules, want V01 to V20", len(all))
	}
	for i, r := range all {
		if r.Number != i+1 || r.ID != fmt.Sprintf("V%02d", i+1) || r.Title == "" || r.Severity < Info || r.Severity > Error || !strings.HasSuffix(r.Advice, ".") {
			t.Errorf("rule %d is %+v", i+1, r)
		}
		for _, s := range []string{r.ID, strings.ToLower(r.ID), fmt.Sprintf("V%d", r.Number)} {
			if n, err := ParseRule(s); n != r.Number || err != nil {
				t.Errorf("ParseRule(%q) = %d, %v", s, n, err)
			}
		}
		if got, ok := RuleOf(r.Number); !ok || got != r {
			t.Errorf("RuleOf(%d) = %+v, %v", r.Number, got, ok)
		}
	}
	all[0].Title = "changed"
	if Rules()[0].Title == "changed" {
		t.Error("the table can be changed from outside")
	}
	for _, n := range []int{-1, 0, 21} {
		if r, ok := RuleOf(n); ok {
			t.Errorf("RuleOf(%d) = %+v", n, r)
		}
	}
	for _, s := range []string{"", "V", "V00", "V21", "05", "V5x", "X05", " V05"} {
		if n, err := ParseRule(s); err == nil || !strings.Contains(err.Error(), "use V01 to V20") {
			t.Errorf("ParseRule(%q) = %d, %v", s, n, err)
		}
	}
}

func TestSeverity(t *testing.T) {
	for s, want := range map[Severity]string{Info: "info", Warning: "warning", Error: "error", 0: "severity(0)", 4: "severity(4)"} {
		if s.String() != want {
			t.Errorf("%d is %q, want %q", uint8(s), s.String(), want)
		}
		text, err := s.MarshalText()
		if valid := s >= Info && s <= Error; valid != (err == nil) {
			t.Errorf("%v: %v", s, err)
		}
		var back Severity
		if err == nil && (back.UnmarshalText(text) != nil || back != s) {
			t.Errorf("%s came back as %v", text, back)
		}
	}
	var s Severity
	if err := s.UnmarshalText([]byte("fatal")); err == nil {
		t.Error("fatal was read")
	}
	if err := s.UnmarshalText(nil); err == nil {
		t.Error("an empty severity was read")
	}
}
