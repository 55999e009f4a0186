package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// wantedStep is a record and the one step in it that must be found.
type wantedStep struct {
	Record json.RawMessage `json:"record"`
	Find   map[string]any  `json:"find"`
}

type verified struct {
	Error string
	Steps []map[string]any
	Found map[string]any
}

// verifyWithPython has the scheme's own package verify records with the signing
// root alone.
func verifyWithPython(t *testing.T, d *description, records ...wantedStep) []verified {
	t.Helper()
	python := pythonPeer(t)
	if out, err := exec.Command(python, "-c", "import ib1.provenance").CombinedOutput(); err != nil {
		t.Skipf("no ib1-provenance in %s: run make peers (%s)", python, strings.TrimSpace(string(out)))
	}
	in, err := json.Marshal(map[string]any{"framework": d.TrustFramework, "root": d.file(d.SigningCA), "records": records})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, filepath.Join("peers", "verify_records.py"))
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	var answers []verified
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(records) {
		t.Fatalf("%v: %s", err, out)
	}
	return answers
}

// asBank makes an OAuth client in the demo bank's place.
func asBank(t *testing.T, d *description) *client {
	t.Helper()
	c, err := newClient(d.BankClient.ClientID, d.file(d.BankClient.Cert), d.file(d.BankClient.Key), d.file(d.ServerCA))
	if err != nil {
		t.Fatal(err)
	}
	c.issuer, c.resource, c.license = d.Issuer, d.Bank, d.license("energy-consumption-emissions-edp-cap-fsp")
	if err := c.permit(t.Context(), d.SME.Code); err != nil {
		t.Fatal(err)
	}
	return c
}

// twelveMonths are the last whole months that can be reported: the carbon
// intensity of a month's last half-hour has settled a day after it. An hour more
// is for a turn of the month between the demo's start and the question.
func twelveMonths() (from, to time.Time) {
	settled := time.Now().UTC().Add(-26 * time.Hour)
	to = time.Date(settled.Year(), settled.Month(), 1, 0, 0, 0, 0, time.UTC)
	return to.AddDate(-1, 0, 0), to
}

type bankReport struct {
	Data []struct {
		Type      string
		From, To  time.Time
		Emissions struct {
			Value    json.Number
			UnitCode string
		}
	}
	Provenance json.RawMessage
}

func (c *client) emissions(t *testing.T, from, to time.Time) (r bankReport) {
	t.Helper()
	until(t, 60*time.Second, "the bank's report is there", nil, func() error {
		a, err := c.fetch(t.Context(), "/emissions?"+url.Values{"from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}}.Encode())
		if err != nil {
			return err
		}
		return a.into(http.StatusOK, &r)
	})
	return r
}

// The report that the bank gets is proved by the scheme's own package with the
// public signing root alone: from the permission and the signed readings to the
// transfer to this very bank. What was tampered with is not.
func TestBankReportIsProvedByPython(t *testing.T) {
	d := theDemo(t)
	bank := asBank(t, d)
	from, to := twelveMonths()
	r := bank.emissions(t, from, to)
	if len(r.Data) != 12 {
		t.Fatalf("%d months, want 12: %+v", len(r.Data), r.Data)
	}
	final := map[string]any{"type": "transfer", "to": d.BankClient.ClientID}
	tampered := bytes.Replace(r.Provenance, []byte(`"steps":[`), []byte(`"steps":["eyJpZCI6IngiLCJ0eXBlIjoicmVjZWlwdCJ9",`), 1)
	if bytes.Equal(tampered, r.Provenance) {
		t.Fatalf("the record cannot be tampered with: %s", r.Provenance)
	}
	got := verifyWithPython(t, d, wantedStep{r.Provenance, final}, wantedStep{tampered, final})
	if got[0].Error != "" {
		t.Fatalf("the scheme's own package does not take the record: %s", got[0].Error)
	}
	if got[1].Error == "" {
		t.Error("the scheme's own package took a tampered record")
	}
	steps, transfer := got[0].Steps, got[0].Found
	if transfer["license"] != bank.license || transfer["service"] != d.Bank {
		t.Errorf("the final transfer: %v", transfer)
	}
	// Back from the transfer: every step that it rests on must be there, down to
	// the meter and the grid.
	byID := map[string]map[string]any{}
	kinds := map[string]int{}
	for _, s := range steps {
		byID[s["id"].(string)] = s
		kinds[s["type"].(string)]++
		if signed := fmt.Sprint(s["_signature"]); !strings.Contains(signed, d.Directory+"/a/") {
			t.Errorf("a step is signed by nobody of this directory: %s", signed)
		}
	}
	reached := map[string]int{}
	meters := 0
	var back func(id string)
	back = func(id string) {
		s := byID[id]
		if s == nil {
			t.Errorf("a step rests on %s, which is not in the record", id)
			return
		}
		reached[s["type"].(string)]++
		if source := fmt.Sprint(s["sourceType"]); strings.HasSuffix(source, "/Meter") {
			meters++
		}
		for _, key := range []string{"of", "transfer"} {
			if v, ok := s[key].(string); ok {
				back(v)
			}
		}
		for _, key := range []string{"inputs", "permissions"} {
			for _, v := range list(s[key]) {
				back(v.(string))
			}
		}
	}
	back(transfer["id"].(string))
	for _, kind := range []string{"permission", "origin", "receipt", "process", "transfer"} {
		if reached[kind] == 0 {
			t.Errorf("the final transfer does not rest on any %s step: %v of %v", kind, reached, kinds)
		}
	}
	if meters == 0 {
		t.Errorf("the final transfer does not rest on any meter: %v", reached)
	}
	t.Logf("steps %v", kinds)
}

func list(v any) []any { l, _ := v.([]any); return l }
