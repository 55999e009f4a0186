package ca_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/identity"
)

// lintsExpected are zlint's complaints that stand, and why.
var lintsExpected = map[string]string{
	"w_ext_subject_key_identifier_not_recommended_subscriber":       "the scheme's profile demands the extension",
	"w_subject_common_name_included":                                "the scheme's profile demands the name",
	"w_root_ca_basic_constraints_path_len_constraint_field_present": "allowed, and a root of ours has no business with longer chains",
}

// TestZlint: the server hierarchy meets the CA/Browser Forum's profile, as the
// scheme's certificate profiles demand, by another's checks. zlint is a module
// of its own (internal/zlint); where it cannot be fetched the test skips.
func TestZlint(t *testing.T) {
	program := filepath.Join(t.TempDir(), "zlint")
	build := exec.Command("go", "build", "-C", "../../internal/zlint", "-o", program, ".")
	build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("zlint cannot be built here: certificates not checked with it: %v: %.300s", err, out)
	}
	online := t.TempDir()
	out, _ := held(t, t.TempDir(), online)
	dirtest.Must(ca.InstallAuthorities(online, out, nil))(t)
	w := dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	w.Service.Authorities, w.Service.StatusURL = dirtest.Must(ca.LoadAuthorities(online))(t), status
	key := dirtest.Must(identity.NewKey())(t)
	server := dirtest.Must(w.IssueServer(t.Context(), key.Public(), []string{"relay.perseus-edge.org"}))(t)
	_, csr := dirtest.NewKeyCSR(t)
	client := dirtest.Must(w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(csr)))(t)
	names := []string{"server leaf", "server issuer", "server root", "client leaf", "client issuer", "client root"}
	cmd := exec.Command(program)
	cmd.Stdin = bytes.NewReader(identity.EncodeCertificates(server.Leaf, server.Issuer, w.Authorities.Server.Root, client.Leaf, client.Issuer, w.Authorities.Client.Root))
	var said bytes.Buffer
	cmd.Stderr = &said
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	t.Log(said.String())
	var found [][]struct{ Lint, Status, Details, Source string }
	if err := json.Unmarshal(b, &found); err != nil || len(found) != len(names) {
		t.Fatalf("%v: %s", err, b)
	}
	for i, list := range found {
		for _, f := range list {
			why, known := lintsExpected[f.Lint]
			t.Logf("%s: %s %s (%s) %s %s", names[i], f.Status, f.Lint, f.Source, f.Details, why)
			if !known && f.Status != "info" { // info is about certificate transparency, and what a root could do besides
				t.Errorf("%s: %s: %s %s", names[i], f.Status, f.Lint, f.Details)
			}
		}
	}
	if strings.Count(said.String(), "ran ") != len(names) || strings.Contains(said.String(), "ran 0") {
		t.Errorf("not every certificate was looked at: %s", said.String())
	}
}
