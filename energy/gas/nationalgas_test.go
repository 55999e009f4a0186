package gas

import (
	"strings"
	"testing"
)

const header = "Applicable At,Applicable For,Data Item,Value,Generated Time,Quality Indicator\n"

// portal is a file in the shape that the portal gives.
const portal = header +
	`30/07/2014 10:30:23,30/07/2014,"Calorific Value, LDZ(SC)",39.3,21/02/2018 10:32:01,
30/07/2014 10:30:23,30/07/2014,"Calorific Value, LDZ(SE)",39,21/02/2018 10:32:01,
30/07/2014 10:30:23,30/07/2014,"Calorific Value, Oban",39.8,21/02/2018 10:32:01,
30/07/2014 10:30:23,30/07/2014,"Calorific Value, Stornoway",93.1,21/02/2018 10:32:01,
31/07/2014 10:30:23,31/07/2014,"Calorific Value, LDZ(SC)",39.2,22/02/2018 10:32:01,
31/07/2014 10:30:23,31/07/2014,"Calorific Value, LDZ(SC)",39.1,23/02/2018 10:32:01,A
31/07/2014 10:30:23,31/07/2014,"Calorific Value, LDZ(SC)",39.4,21/02/2018 10:32:01,
31/07/2014 10:30:23,31/07/2014,"Calorific Value, LDZ(SC)",39.1,23/02/2018 10:32:01,
`

func TestNationalGas(t *testing.T) {
	for _, text := range []string{portal, "\ufeff" + portal, strings.ReplaceAll(portal, "\n", "\r\n")} {
		tab := table(t)
		n, err := tab.AddNationalGas([]byte(text), "portal.csv")
		if err != nil || n != 4 {
			t.Fatalf("%d values, %v", n, err)
		}
		for _, c := range []struct{ date, zone, cv string }{
			{"2014-07-30", "SC", "39.3"}, {"2014-07-30", "SE", "39"}, {"2014-07-30", "Oban", "39.8"},
			{"2014-07-31", "SC", "39.1"}, // the one generated last
		} {
			b, err := tab.Basis(day(t, c.date), Meter{Zone: c.zone})
			if err != nil || !b.Daily || b.CV.String() != c.cv || b.Source != "portal.csv" || b.Zone != c.zone {
				t.Errorf("%+v: %+v, %v", c, b, err)
			}
		}
		for _, c := range []struct{ date, zone string }{{"2014-07-31", "SE"}, {"2014-07-30", "Stornoway"}, {"2014-07-29", "SC"}} {
			if _, err := tab.Basis(day(t, c.date), Meter{Zone: c.zone}); err == nil {
				t.Errorf("%+v has a value", c)
			}
		}
		if d, ok := tab.Last("sc"); !ok || d.String() != "2014-07-31" {
			t.Errorf("%v %v", d, ok)
		}
		if d, ok := tab.Last("EA"); ok {
			t.Errorf("%v", d)
		}
	}
	tab := table(t)
	for _, cv := range []string{"39.3", "39.7"} { // a later file takes the place of an earlier one
		if _, err := tab.AddNationalGas([]byte(header+`x,30/07/2014,"Calorific Value, LDZ(SC)",`+cv+",21/02/2018 10:32:01,\n"), "of "+cv); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := tab.Basis(day(t, "2014-07-30"), Meter{Zone: "SC"}); err != nil || b.Source != "of 39.7" {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestNationalGasRefuses(t *testing.T) {
	line := func(s string) string {
		return header + `30/07/2014 10:30:23,29/07/2014,"Calorific Value, LDZ(SC)",39.3,21/02/2018 10:32:01,` + "\n" + s + "\n"
	}
	for _, c := range []struct{ name, text, wrong string }{
		{"empty", "", "line 1 is not"},
		{"HTML", "<html></html>\n", "line 1 is not"},
		{"other columns", strings.Replace(header, "Value", "Values", 1), "line 1 is not"},
		{"a column too many", strings.TrimSuffix(header, "\n") + ",x\n", "line 1 is not"},
		{"only the header", header, ""},
		{"fields missing", line("x,30/07/2014"), "line 3"},
		{"a quote", line(`x,30/07/2014,"Calorific Value, LDZ(SE)`), "line 3"},
		{"another item", line(`x,30/07/2014,"SAP, hourly actual",4.6,21/02/2018 10:32:01,`), `line 3: "SAP, hourly actual" is not a calorific value`},
		{"no such zone", line(`x,30/07/2014,"Calorific Value, LDZ(XX)",39,21/02/2018 10:32:01,`), `line 3: unknown gas zone "XX"`},
		{"not closed", line(`x,30/07/2014,"Calorific Value, LDZ(SE",39,21/02/2018 10:32:01,`), "not closed"},
		{"a zone without LDZ", line(`x,30/07/2014,"Calorific Value, SE",39,21/02/2018 10:32:01,`), "is written LDZ(..)"},
		{"a name in LDZ", line(`x,30/07/2014,"Calorific Value, LDZ(Oban)",39,21/02/2018 10:32:01,`), "is written LDZ(..)"},
		{"American date", line(`x,07/30/2014,"Calorific Value, LDZ(SE)",39,21/02/2018 10:32:01,`), "want day/month/year"},
		{"no time", line(`x,30/07/2014,"Calorific Value, LDZ(SE)",39,21/02/2018,`), "generated time"},
		{"no value", line(`x,30/07/2014,"Calorific Value, LDZ(SE)",,21/02/2018 10:32:01,`), "want a decimal"},
		{"no value of Oban", line(`x,30/07/2014,"Calorific Value, Oban",?,21/02/2018 10:32:01,`), "want a decimal"},
		{"too low", line(`x,30/07/2014,"Calorific Value, LDZ(SE)",37.4,21/02/2018 10:32:01,`), "37.5 to 43"},
		{"lowest", line(`x,30/07/2014,"Calorific Value, LDZ(SE)",37.5,21/02/2018 10:32:01,`), ""},
		{"too high", line(`x,30/07/2014,"Calorific Value, LDZ(SE)",43.1,21/02/2018 10:32:01,`), "37.5 to 43"},
		{"highest", line(`x,30/07/2014,"Calorific Value, LDZ(SE)",43,21/02/2018 10:32:01,`), ""},
		{"two at once", line(`x,29/07/2014,"Calorific Value, LDZ(SC)",39.4,21/02/2018 10:32:01,`), "lines 2 and 3: SC has 39.3 and 39.4"},
		{"two days at once", line(`x,28/07/2014,"Calorific Value, LDZ(SC)",39.4,21/02/2018 10:32:01,`), ""},
		{"too large", header + strings.Repeat("\n", MaxFile), "more than"},
		{"large", header + strings.Repeat("\n", MaxFile-len(header)), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tab := table(t)
			n, err := tab.AddNationalGas([]byte(c.text), "cv.csv")
			wants(t, err, c.wrong)
			if err != nil && (n != 0 || len(tab.daily) != 0 || !strings.Contains(err.Error(), "cv.csv")) {
				t.Errorf("%d values in spite of %v", n, err)
			}
		})
	}
	_, err := table(t).AddNationalGas([]byte(portal), "")
	wants(t, err, "a source is needed")
}

func FuzzNationalGas(f *testing.F) {
	f.Add([]byte(portal))
	f.Add([]byte(header))
	f.Add([]byte("\ufeff" + header + `x,29/02/2014,"Calorific Value, Wick",39,x,`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tab := table(t)
		n, err := tab.AddNationalGas(raw, "fuzz")
		if err != nil && n != 0 || n != len(tab.daily) {
			t.Fatalf("%d values of %d, %v", n, len(tab.daily), err)
		}
		for k, v := range tab.daily {
			if v.cv < minCV || v.cv > maxCV {
				t.Fatalf("%+v has %s", k, v.cv)
			}
			if b, err := tab.Basis(k.day, Meter{Zone: k.zone}); err != nil || b.CV != v.cv || !b.Daily {
				t.Fatalf("%+v: %+v, %v", k, b, err)
			}
		}
	})
}

func FuzzTable(f *testing.F) {
	f.Add([]byte(someTable))
	f.Add([]byte("unit: MJ/m3\nvalues: [{from: 2026-02-01, value: \"39.5\", source: x}]\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tab, err := ParseTable(raw)
		if err != nil {
			return
		}
		for _, e := range tab.eras {
			b, err := tab.Basis(e.since, Meter{Zone: e.zone})
			if err != nil || b.CV != e.cv || b.Since != e.since {
				t.Fatalf("%+v: %+v, %v", e, b, err)
			}
		}
	})
}
