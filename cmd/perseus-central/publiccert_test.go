package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// TestPublicCertificate: people's browsers, and their passkeys, need a
// certificate that they trust. The pages show the one that is configured, and
// its successor without a restart; what programs use keeps that of the
// directory's own server authority.
func TestPublicCertificate(t *testing.T) {
	public := identitytest.New(t) // stands for a public authority
	text, p := listened(t)
	text = strings.Replace(text, `"}`, `", tls: {certificate: public.pem, key: public.key}}`, 1) + "  tls: {certificate: public.pem, key: public.key}\n"
	path := write(t, text)
	dir := filepath.Dir(path)
	renew := func() string {
		t.Helper()
		leaf := public.Server("localhost")
		leaf.Write(dir, "public")
		return leaf.Chain[0].SerialNumber.String()
	}
	if code, _, errs := call(t, "init", "--config", path); code != 0 {
		t.Fatal(errs)
	}
	if code, _, errs := call(t, "serve", "--config", path); code == 0 || !strings.Contains(errs, "directory.tls") || !strings.Contains(errs, "public.pem") {
		t.Errorf("without the files: %d %s", code, errs)
	}
	serial := renew()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int, 1)
	var log bytes.Buffer
	go func() {
		done <- run(ctx, []string{"serve", "--config", path}, record.Writer(t, "perseus-central serve", nil), record.Writer(t, "perseus-central serve", &log))
	}()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: identity.Pool(public.ServerCA.Root)}, DisableKeepAlives: true}}
	status(t, client, fmt.Sprintf("https://localhost:%d/healthz", p[0])) // until it listens
	shown := func(port int) string {
		t.Helper()
		c, err := tls.Dial("tcp", fmt.Sprintf("localhost:%d", port), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	for range 2 {
		for i, want := range []bool{true, true, false} { // directory, permission pages, programs
			if got := shown(p[i]); (got == serial) != want {
				t.Errorf("address %d shows the public certificate: %v, want %v", i, got == serial, want)
			}
		}
		serial = renew()
	}
	stop()
	if code := <-done; code != 0 {
		t.Errorf("serve: %d %s", code, log.String())
	}
}
