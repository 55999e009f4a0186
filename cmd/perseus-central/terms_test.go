package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// safeLog is a log that may be read while it is written, and waited for.
type safeLog struct {
	mu      sync.Mutex
	b       bytes.Buffer
	written chan struct{} // closed by the next Write
}

func (l *safeLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.written != nil {
		close(l.written)
		l.written = nil
	}
	return l.b.Write(p)
}

// since is what was written after so many bytes, and a channel that is closed
// once there is more.
func (l *safeLog) since(n int) (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.written == nil {
		l.written = make(chan struct{})
	}
	return l.b.String()[n:], l.written
}

func (l *safeLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serving runs perseus-central until stop is called. It returns when the
// program listens: it opens every address before it says so of the first.
func serving(t *testing.T, path string, log *safeLog) (stop func()) {
	t.Helper()
	before := len(log.String())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"serve", "--config", path}, record.Writer(t, "perseus-central serve", log), record.Writer(t, "perseus-central serve", log))
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if code := <-done; code != 0 {
				t.Errorf("serve ended with %d: %s", code, log)
			}
		})
	}
	t.Cleanup(stop)
	for {
		said, more := log.since(before)
		if strings.Contains(said, "msg=listening") {
			return stop
		}
		select {
		case <-more:
		case code := <-done:
			done <- code // for stop
			t.Fatalf("serve ended with %d before it listened: %s", code, log)
		}
	}
}

// get asks once: whoever serves listens already.
func get(t *testing.T, client *http.Client, url, accept string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(b)
}

// TestSandboxAndProduction: one perseus-central serves a sandbox's registry;
// another, a relay with another directory, fetches its terms from there, and
// starts again when it is gone.
func TestSandboxAndProduction(t *testing.T) {
	p := ports.Free(t, 6)
	registry := fmt.Sprintf("https://localhost:%d/registry", p[0])
	sandbox := write(t, strings.Replace(fmt.Sprintf(example, p[0], p[1], p[2]), "https://registry.example", registry, 1)+"terms: {serve: true}\n")
	if code, _, errs := call(t, "init", "--config", sandbox); code != 0 {
		t.Fatal(errs)
	}
	root := filepath.Join(filepath.Dir(sandbox), "authorities", "server", "root.pem")
	production := write(t, strings.Replace(fmt.Sprintf(example, p[3], p[4], p[5]), "https://registry.example", registry, 1)+"terms: {fetch: true, ca: "+root+"}\n")
	if code, _, errs := call(t, "init", "--config", production); code != 0 {
		t.Fatal(errs)
	}

	// Before the registry was ever reached there are no words to show.
	if code, _, errs := call(t, "serve", "--config", production); code != 1 || !strings.Contains(errs, "needed once, and then kept in") {
		t.Errorf("without the registry: %d, %s", code, errs)
	}

	var log1, log2 safeLog
	stop := serving(t, sandbox, &log1)
	roots, err := identity.ReadCertificates(root)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: identity.ClientTLS(identity.Pool(roots...), nil), DisableKeepAlives: true}}
	license := registry + "/scheme/perseus/license/emissions-cap-fsp/2026-03-12"
	_, body := get(t, client, license, "application/ld+json")
	var doc struct {
		Text struct {
			ID string `json:"@id"`
		} `json:"ib1:permissionText"`
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	address, hash, _ := strings.Cut(doc.Text.ID, "#")
	_, text := get(t, client, address, "*/*")
	if sum := sha256.Sum256([]byte(text)); hex.EncodeToString(sum[:]) != hash {
		t.Errorf("the text's hash is not the one in its address: %s", text)
	}
	if answer, body := get(t, client, fmt.Sprintf("https://localhost:%d/catalog", p[0]), "text/turtle"); answer.StatusCode != 200 || !strings.Contains(body, "ib1:sensitivityClass") {
		t.Errorf("the sandbox's catalogue does not know the terms: %d %s", answer.StatusCode, body)
	}

	stop2 := serving(t, production, &log2)
	mine, err := identity.ReadCertificates(filepath.Join(filepath.Dir(production), "authorities", "server", "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Client{Transport: &http.Transport{TLSClientConfig: identity.ClientTLS(identity.Pool(mine...), nil), DisableKeepAlives: true}}
	ask := func() {
		t.Helper()
		q := "ASK%20%7B%20%3C" + license + "%3E%20%3Fp%20%3Ftext%20FILTER(strends(str(%3Ftext),%20%22" + hash + "%22))%20%7D"
		if answer, body := get(t, other, fmt.Sprintf("https://localhost:%d/sparql?query=%s", p[3], q), "text/csv"); answer.StatusCode != 200 || body != "true\r\n" {
			t.Errorf("the other directory does not know the registry's terms: %d %s", answer.StatusCode, body)
		}
	}
	ask()
	stop2()
	stop() // the registry is gone
	kept, err := os.ReadDir(filepath.Join(filepath.Dir(production), "registry-cache"))
	if err != nil || len(kept) < 10 {
		t.Errorf("%d terms kept, %v", len(kept), err)
	}
	serving(t, production, &log2)
	ask()
	if !strings.Contains(log2.String(), "using what was kept") {
		t.Errorf("nothing was said of it: %s", log2.String())
	}
}

// TestRegistryAtItsOwnAddress: with terms.listen the registry has a host and a
// certificate of its own.
func TestRegistryAtItsOwnAddress(t *testing.T) {
	p := ports.Free(t, 4)
	registry := fmt.Sprintf("https://localhost:%d", p[3])
	path := write(t, strings.Replace(fmt.Sprintf(example, p[0], p[1], p[2]), "https://registry.example", registry, 1)+
		fmt.Sprintf("terms: {serve: true, listen: \"127.0.0.1:%d\"}\n", p[3]))
	if code, _, errs := call(t, "init", "--config", path); code != 0 {
		t.Fatal(errs)
	}
	var log safeLog
	serving(t, path, &log)
	roots, err := identity.ReadCertificates(filepath.Join(filepath.Dir(path), "authorities", "server", "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: identity.ClientTLS(identity.Pool(roots...), nil), DisableKeepAlives: true}}
	if answer, body := get(t, client, registry+"/trust-framework", "text/turtle"); answer.StatusCode != 200 || !strings.Contains(body, "ib1:TrustFramework") {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
	if answer, body := get(t, client, fmt.Sprintf("https://localhost:%d/trust-framework", p[0]), "text/turtle"); answer.StatusCode != 404 {
		t.Errorf("the directory serves the registry's address: %d %s", answer.StatusCode, body)
	}
}
