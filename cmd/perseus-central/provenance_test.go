package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

const (
	testRegistry = "https://registry.example"
	testScheme   = testRegistry + "/scheme/perseus"
	testGateway  = "https://directory.example/g/1"
)

// desk is a folder with what somebody has who checks records: roots, a
// revocation list, signers.
type desk struct {
	t   *testing.T
	dir string
	pki *identitytest.PKI
	edp *identitytest.Leaf
}

func newDesk(t *testing.T) *desk {
	d := &desk{t: t, dir: t.TempDir(), pki: identitytest.New(t)}
	d.edp = d.pki.Signing("https://directory.example/a/relay", "Relay Ltd", "https://directory.example/m/relay", testScheme+"/role/energy-data-provider")
	d.edp.Write(d.dir, "edp")
	d.pki.Signing("https://directory.example/a/cap", "Carbon Ltd", "https://directory.example/m/cap", testScheme+"/role/carbon-accounting-provider").Write(d.dir, "cap")
	d.file("roots.pem", identity.EncodeCertificates(d.pki.SigningCA.Root))
	return d
}

func (d *desk) file(name string, b []byte) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

func (d *desk) crl(entries ...x509.RevocationListEntry) string {
	d.t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour),
		NextUpdate: time.Now().Add(24 * time.Hour), RevokedCertificateEntries: entries}, d.pki.SigningCA.Issuer, d.pki.SigningCA.IssuerKey)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.file("signing.crl", der)
}

// run runs a command and checks its exit status.
func (d *desk) run(status int, args ...string) (stdout, stderr string) {
	d.t.Helper()
	for i, a := range args { // files by their names alone
		if strings.HasSuffix(a, ".pem") || strings.HasSuffix(a, ".key") || strings.HasSuffix(a, ".json") || strings.HasSuffix(a, ".crl") {
			args[i] = filepath.Join(d.dir, filepath.Base(a))
		}
	}
	var out, errs bytes.Buffer
	if got := run(context.Background(), append([]string{"provenance"}, args...), &out, record.Writer(d.t, "perseus-central provenance", &errs)); got != status {
		d.t.Fatalf("provenance %v: exit %d, want %d\n%s%s", args, got, status, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// consumption is an answer of two half-hours, the first of them in a statement
// of the gateway.
func (d *desk) consumption() []byte {
	d.t.Helper()
	ok := func(err error) {
		d.t.Helper()
		if err != nil {
			d.t.Fatal(err)
		}
	}
	gateway := d.pki.Signing(testGateway, "Shop Ltd", "https://directory.example/m/shop")
	m, _ := month.Parse("2026-09")
	last := m.End().Add(-energy.Period)
	values := map[int]month.Value{m.HalfHours() - 1: {Present: true, Energy: 120, Cumulative: 5120, Quality: energy.Measured, Rule: energy.RuleBracketed}}
	at := func(i int) month.Value { return values[i] }
	seed := month.NewSeed()
	signed, err := month.Sign(month.Statement{Gateway: testGateway, Meter: "m", Measure: energy.Import, Month: m, Spans: []month.Span{{From: m.Start, To: m.End()}},
		Root: month.Root(seed, at)}, testRegistry+"/trust-framework", m.End(), gateway.Cert().SerialNumber, gateway.Key)
	ok(err)
	in, id, err := provenance.FromStatement(testRegistry+"/trust-framework", signed, gateway.Chain)
	ok(err)
	var data []provenance.HalfHour
	for i := range 2 {
		from := last.Add(time.Duration(i) * energy.Period)
		data = append(data, provenance.HalfHour{Type: "electricity", From: from, To: from.Add(energy.Period), TakenAt: from.Add(energy.Period + time.Second),
			Energy: provenance.Amount{Value: "120", UnitCode: "WHR"}, Cumulative: &provenance.Amount{Value: json.Number(fmt.Sprint(5120 + 120*i)), UnitCode: "WHR"}})
	}
	r := provenance.New(testRegistry + "/trust-framework")
	r.Include(in)
	p := r.Add(provenance.Permission{Scheme: testScheme, Account: "a", Expires: time.Now().AddDate(1, 0, 0), Allows: provenance.Allows{Licenses: []string{testScheme + "/license/x"}}})
	proof := month.Whole(seed).Narrow(func(i int) bool { return i == m.HalfHours()-1 }, at)
	o := r.Add(provenance.Origin{Scheme: testScheme, SourceType: testScheme + "/source-type/Meter", Origin: testGateway, Permissions: []string{p},
		Details:   &provenance.Details{MeteringPeriod: &provenance.Period{From: last, To: last.Add(2 * energy.Period)}},
		Assurance: &provenance.Assurance{MissingData: testScheme + "/assurance/missing-data/Complete", OriginMethod: testScheme + "/assurance/origin-method/Exact"},
		Extra: map[string]any{provenance.HalfHoursSHA256: provenance.HashHalfHours(data), provenance.HalfHoursQualities: []provenance.QualityRun{{N: 2, Quality: energy.Measured, Rule: energy.RuleBracketed}},
			provenance.HalfHoursStatements: []provenance.StatementProof{{Statement: id, Proof: proof.Text()}}}})
	r.Add(provenance.Transfer{Scheme: testScheme, Of: o, To: "https://directory.example/a/cap", License: testScheme + "/license/x", Permissions: []string{p}, Parameters: map[string]string{"measure": "import"}})
	ok(r.Sign(provenance.Signer{Key: d.edp.Key, Chain: d.edp.Chain}))
	b, err := json.Marshal(map[string]any{"data": data, "location": map[string]string{"ukPostcodeOutcode": "SW8"}, "provenance": r})
	ok(err)
	return b
}

func TestProvenanceVerify(t *testing.T) {
	d := newDesk(t)
	answer := d.consumption()
	d.file("answer.json", answer)
	verify := func(status int, more ...string) (string, string) {
		t.Helper()
		return d.run(status, append(append([]string{"verify", "--registry", testRegistry, "--roots", "roots.pem"}, more...), "answer.json")...)
	}
	out, _ := verify(0)
	for _, want := range []string{"signatures: good (4 steps)", "revocation: not checked", "the 2 half-hours are those that https://directory.example/a/relay signed",
		testGateway + " signed 1 of them itself", "2026-10-01T00:00Z to 2026-10-01T00:30Z"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	d.crl()
	if out, _ := verify(0, "--crl", "signing.crl"); !strings.Contains(out, "no signer was revoked") {
		t.Error(out)
	}
	d.crl(x509.RevocationListEntry{SerialNumber: d.edp.Cert().SerialNumber, RevocationTime: time.Now().Add(-time.Hour)})
	if _, errs := verify(1, "--crl", "signing.crl"); !strings.Contains(errs, "was revoked at") {
		t.Error(errs)
	}
	for name, c := range map[string][2]string{
		"a value":     {`"value":120`, `"value":121`},
		"a half-hour": {`"from":"2026-09-30T23:30:00Z"`, `"from":"2026-09-30T23:00:00Z"`},
		"framework":   {testRegistry + `/trust-framework"`, `https://evil.example/trust-framework"`},
	} {
		d.file("answer.json", bytes.Replace(answer, []byte(c[0]), []byte(c[1]), 1))
		if _, errs := verify(1); errs == "" {
			t.Errorf("%s: nothing is said", name)
		}
	}
	d.file("answer.json", answer)
	var whole struct{ Provenance json.RawMessage }
	if err := json.Unmarshal(answer, &whole); err != nil {
		t.Fatal(err)
	}
	d.file("record.json", whole.Provenance)
	if out, _ := d.run(0, "verify", "--registry", testRegistry, "--roots", "roots.pem", "record.json"); !strings.Contains(out, "data: none given") {
		t.Error(out)
	}
	out, _ = d.run(0, "explain", "--registry", testRegistry, "--roots", "roots.pem", "answer.json")
	if !strings.Contains(out, "├─ Shop Ltd ("+testGateway+") signed at 2026-10-01T00:00:00Z\n│  └─ 1. the gateway's half-hours of \"2026-09\"") {
		t.Error(out)
	}
	if out, _ := d.run(0, "explain", "--dot", "--registry", testRegistry, "--roots", "roots.pem", "answer.json"); !strings.HasPrefix(out, "digraph provenance {") {
		t.Error(out)
	}
	if path := os.Getenv("PERSEUS_KEEP_ANSWER"); path != "" { // to look at what a person sees
		for name, b := range map[string][]byte{"answer.json": answer, "roots.pem": identity.EncodeCertificates(d.pki.SigningCA.Root)} {
			if err := os.WriteFile(filepath.Join(path, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The answer to a bank is checked figure by figure.
func TestProvenanceVerifyEmissions(t *testing.T) {
	d := newDesk(t)
	at := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	data := []provenance.Entry{{Type: "electricity", From: at, To: at.AddDate(0, 1, 0), TakenAt: at.AddDate(0, 1, 2), Emissions: provenance.Amount{Value: "344.279", UnitCode: "KGM"}}}
	both := d.pki.Signing("https://directory.example/a/relay", "Relay Ltd", "https://directory.example/m/relay", testScheme+"/role/energy-data-provider", testScheme+"/role/carbon-accounting-provider")
	august := month.Of(at)
	gateway := d.pki.Signing(testGateway, "Ops Ltd", "https://directory.example/m/1")
	stated, err := month.Sign(month.Statement{Gateway: testGateway, Meter: "pseudonym", Measure: energy.Import, Month: august, Spans: []month.Span{{From: august.Start, To: august.End()}}},
		testRegistry+"/trust-framework", august.End(), gateway.Cert().SerialNumber, gateway.Key)
	if err != nil {
		t.Fatal(err)
	}
	included, id, err := provenance.FromStatement(testRegistry+"/trust-framework", stated, gateway.Chain)
	if err != nil {
		t.Fatal(err)
	}
	r := provenance.New(testRegistry + "/trust-framework")
	r.Include(included)
	o := r.Add(provenance.Origin{Scheme: testScheme, SourceType: testScheme + "/source-type/Meter", Origin: testGateway,
		Details: &provenance.Details{MeteringPeriod: &provenance.Period{From: august.Start, To: august.End()}},
		Extra:   map[string]any{provenance.HalfHoursStatements: []provenance.StatementProof{{Statement: id, Proof: []string{}}}}})
	r.Add(provenance.Process{Scheme: testScheme, Inputs: []string{o}, Extra: map[string]any{provenance.EmissionsResult: provenance.SignedEmissions(data)}})
	if err := r.Sign(provenance.Signer{Key: both.Key, Chain: both.Chain}); err != nil {
		t.Fatal(err)
	}
	write := func() {
		t.Helper()
		b, err := json.Marshal(map[string]any{"data": data, "provenance": r})
		if err != nil {
			t.Fatal(err)
		}
		d.file("report.json", b)
	}
	write()
	if out, _ := d.run(0, "verify", "--registry", testRegistry, "--roots", "roots.pem", "report.json"); !strings.Contains(out, "data: the 1 figures are those that were signed") ||
		!strings.Contains(out, testGateway+" signed the half-hours of 1 months itself") || !strings.Contains(out, "  2026-08 import of meter pseudonym: AAAA") {
		t.Error(out)
	}
	data[0].Emissions.Value = "344.278"
	write()
	if _, errs := d.run(1, "verify", "--registry", testRegistry, "--roots", "roots.pem", "report.json"); !strings.Contains(errs, "signed is 344.279") {
		t.Error(errs)
	}
}

func TestProvenanceMake(t *testing.T) {
	d := newDesk(t)
	d.file("steps.json", []byte(`[{"label":"p","type":"permission","account":"a","expires":"2099-01-01T00:00:00Z"},
		{"label":"o","type":"origin","sourceType":"`+testScheme+`/source-type/Meter","origin":"https://x.example","external":false,"permissions":["#p"]},
		{"type":"transfer","of":"#o","to":"https://directory.example/a/cap","permissions":["#p"]}]`))
	draft, _ := d.run(0, "build", "--registry", testRegistry, "steps.json")
	d.file("draft.json", []byte(draft))
	record, _ := d.run(0, "sign", "--certificate", "edp.pem", "--key", "edp.key", "draft.json")
	d.file("one.json", []byte(record))
	again, _ := d.run(0, "sign", "--certificate", "edp.pem", "--key", "edp.key", "draft.json")
	d.file("two.json", []byte(again))
	merged, _ := d.run(0, "merge", "--certificate", "cap.pem", "--key", "cap.key", "one.json", "two.json")
	d.file("merged.json", []byte(merged))
	out, _ := d.run(0, "verify", "--registry", testRegistry, "--roots", "roots.pem", "merged.json")
	if !strings.Contains(out, "good (6 steps)") {
		t.Error(out)
	}
	d.file("more.json", []byte(`[{"type":"receipt","transfer":"elsewhere"}]`))
	draft, _ = d.run(0, "build", "--registry", testRegistry, "--include", "one.json", "more.json")
	d.file("draft.json", []byte(draft))
	record, _ = d.run(0, "sign", "--certificate", "cap.pem", "--key", "cap.key", "draft.json")
	d.file("three.json", []byte(record))
	if _, errs := d.run(1, "verify", "--registry", testRegistry, "--roots", "roots.pem", "three.json"); !strings.Contains(errs, "not in the record") {
		t.Error(errs)
	}
	for name, args := range map[string][]string{
		"nothing":         {},
		"unknown":         {"mend"},
		"no registry":     {"verify", "--roots", "roots.pem", "one.json"},
		"no roots":        {"verify", "--registry", testRegistry, "one.json"},
		"no file":         {"verify", "--registry", testRegistry, "--roots", "roots.pem"},
		"two files":       {"verify", "--registry", testRegistry, "--roots", "roots.pem", "one.json", "two.json"},
		"no key":          {"sign", "--certificate", "edp.pem", "draft.json"},
		"one to merge":    {"merge", "--certificate", "cap.pem", "--key", "cap.key", "one.json"},
		"an unknown flag": {"sign", "--shout", "draft.json"},
	} {
		if _, errs := d.run(2, args...); errs == "" {
			t.Errorf("%s: nothing is said", name)
		}
	}
}
