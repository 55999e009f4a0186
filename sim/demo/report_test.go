package demo

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The bank's answer is kept as it came, to the byte but for its last line end, and the command that is
// printed for it names it.
func TestReportIsKeptAsItCame(t *testing.T) {
	const answer = `{"data":[ ],"provenance":{"steps" : []},"more":1e0}` + "\n"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/emissions" || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("%s as %q", r.URL, r.Header.Get("Authorization"))
		}
		w.Write([]byte(answer))
	}))
	defer srv.Close()
	b := bank{mtls: srv.Client(), resource: srv.URL, access: "secret"}
	r, err := b.report(t.Context(), time.Unix(0, 0), time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	top := t.TempDir()
	d := &demo{Options: Options{Out: &out}, layout: layout{top, 9000}, programs: programs{bin: filepath.Join(top, "bin")}}
	if err := d.keepReport(r); err != nil {
		t.Fatal(err)
	}
	file := d.path("bank-report.json")
	if kept, err := os.ReadFile(file); err != nil || string(kept) != strings.TrimSpace(answer) {
		t.Errorf("%q, %v", kept, err)
	}
	for _, want := range []string{filepath.Join(top, "bin", "perseus-central") + " provenance verify", "--registry " + d.registry(), "--roots " + d.path("signing-ca.pem") + " " + file} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s does not say %s", out.String(), want)
		}
	}
	t.Chdir(top)
	if got := shown(file); got != "bank-report.json" {
		t.Errorf("from its own folder: %s", got)
	}
}
