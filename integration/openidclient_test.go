package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nodePeer finds node and the folder of one of its peers.
func nodePeer(t testing.TB, name string) (node, folder string) {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join("..", ".peers", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "installed")); err != nil {
		t.Skipf("no .peers/%s: run make peers", name)
	}
	if node, err = exec.LookPath("node"); err != nil {
		t.Skip("no node on this machine")
	}
	return node, folder
}

// openid-client from npm takes the demo's carbon accountant's place, with all of
// its checks on: discovery, pushed request, refusal, agreement, tokens, data,
// refresh, record, revocation.
func TestOpenIDClient(t *testing.T) {
	node, peers := nodePeer(t, "oauth")
	d := theDemo(t)
	browser, err := newClient(d.CAP.ClientID, d.file(d.CAP.Cert), d.file(d.CAP.Key), d.file(d.ServerCA))
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(map[string]string{"issuer": d.Issuer, "resource": d.Resource, "client_id": d.CAP.ClientID, "license": d.license("energy-consumption-edp-cap"),
		"redirect": browser.redirect, "cert": d.file(d.CAP.Cert), "key": d.file(d.CAP.Key), "server_ca": d.file(d.ServerCA)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, filepath.Join("testdata", "openid_client.mjs"), peers, string(want))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var said struct {
			Agree, Decline string
			Done           bool
		}
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			t.Errorf("openid-client said %q", lines.Text())
			continue
		}
		done = done || said.Done
		var back *url.URL
		switch {
		case said.Agree != "":
			back, err = agree(ctx, browser.people, said.Agree, d.SME.Code)
		case said.Decline != "":
			back, err = decline(ctx, browser.people, said.Decline)
		default:
			continue
		}
		if err != nil {
			t.Error(err)
			cancel()
			break
		}
		fmt.Fprintln(in, back)
	}
	if err := cmd.Wait(); err != nil || !done {
		t.Errorf("openid-client: %v\n%s", err, stderr.String())
	}
}

// decline plays a business that does not agree.
func decline(ctx context.Context, browser *http.Client, link string) (*url.URL, error) {
	u, err := url.Parse(link)
	if err != nil {
		return nil, err
	}
	form := u.Query()
	form.Set("decision", "decline")
	u.RawQuery = ""
	a, err := ask(ctx, browser, http.MethodPost, u.String(), "", form)
	if err != nil {
		return nil, err
	}
	if a.status/100 != 3 {
		return nil, fmt.Errorf("declining: %d %s", a.status, a.body)
	}
	return url.Parse(a.header.Get("Location"))
}
