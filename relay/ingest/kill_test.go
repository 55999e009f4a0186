package ingest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

const (
	childDir   = "PERSEUS_INGEST_TEST_CHILD" // set: be the relay that gets killed
	kills      = 35
	killMeters = 4 // registers in each batch
	killValues = 3 // half-hours of each
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := serveChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// serveChild is the relay's receiving side as a process of its own, on the
// database and the certificates in dir. It prints its address and never ends.
func serveChild(dir string) error {
	db, err := database.Open("sqlite:" + filepath.Join(dir, "relay.db"))
	if err != nil {
		return err
	}
	if err := db.Migrate(context.Background(), "relay", migrations.Files); err != nil {
		return err
	}
	roots, err := identity.ReadCertificates(filepath.Join(dir, "roots.pem")) // signing, client
	if err != nil {
		return err
	}
	leaf, err := identity.KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"))
	if err != nil {
		return err
	}
	all := grantFor("g", monday)
	for m := range killMeters {
		all.Covers = append(all.Covers, grant.Cover{Meter: fmt.Sprint("m", m), Measure: energy.Import})
	}
	p := &permits{}
	p.set(all)
	mux := http.NewServeMux()
	New(Config{
		DB: db, SigningRoots: identity.Pool(roots[0]), Members: []string{memberURL}, Permits: p,
		Now: func() time.Time { return monday.AddDate(0, 6, 0) }, Logger: record.Logger(nil),
	}).Register(mux)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return http.Serve(tls.NewListener(l, identity.ServerTLS(func() (*tls.Certificate, error) { return leaf, nil }, identity.Pool(roots[1]))), mux)
}

// killed is the sending side: a gateway that keeps the batch it has sent until
// it is acknowledged, and then makes the next one.
type killed struct {
	t       *testing.T
	dir     string
	pki     *identitytest.PKI
	client  *http.Client
	signing *identitytest.Leaf

	pending  []byte
	sequence uint64 // acknowledged
	hash     batch.Hash
	again    int // batches that had to be sent more than once
}

// round starts the relay, sends to it, and kills it d after it has acknowledged
// n batches: however slow the machine is, the kills meet a relay at work. A relay
// that is killed before it listens is a round too.
func (k *killed) round(n int, d time.Duration) {
	k.t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+k.dir)
	var stderr bytes.Buffer
	cmd.Stderr = record.Writer(k.t, "a child that is killed", &stderr)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	// Some are killed while they start, all others once they serve.
	starting := time.AfterFunc(d, func() { cmd.Process.Kill() })
	if d > 20*time.Millisecond {
		starting.Stop()
	}
	if address, err := bufio.NewReader(stdout).ReadString('\n'); err == nil {
		k.send("https://"+strings.TrimSpace(address), n, func() { time.AfterFunc(d, func() { cmd.Process.Kill() }) })
	}
	cmd.Process.Kill() // whatever ended the sending
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		k.t.Fatalf("the relay ended by itself: %v\n%s", err, stderr.String())
	}
}

// send sends batch after batch until the relay is gone, and says when it has
// acknowledged n of them.
func (k *killed) send(url string, n int, acknowledged func()) {
	k.t.Helper()
	if k.sequence == 0 {
		meters := []siteMeter{{"m0", "electricity", []string{"import"}}}
		status, _, err := k.call("PUT", url+"/gateway/v1/site", "application/json", siteBody(k.signing.PEM(), siteCode, meters...))
		if err != nil {
			return
		}
		if status != http.StatusNoContent {
			k.t.Fatalf("PUT site: %d", status)
		}
	}
	for tries := 0; ; tries++ {
		if tries == n {
			acknowledged()
		}
		if k.pending == nil {
			k.pending = k.make(k.sequence + 1)
		} else if tries == 0 {
			k.again++
		}
		status, a, err := k.call("POST", url+"/gateway/v1/batches", batch.MediaType, k.pending)
		if err != nil {
			return // no acknowledgement: the same bytes again after the restart
		}
		if status != http.StatusOK || a.Sequence != k.sequence+1 {
			k.t.Fatalf("batch %d: %d %+v", k.sequence+1, status, a)
		}
		k.sequence, k.hash, k.pending = k.sequence+1, batch.Sum(k.pending), nil
	}
}

func (k *killed) call(method, url, kind string, body []byte) (int, answer, error) {
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	resp, err := k.client.Do(r)
	if err != nil {
		return 0, answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, answer{}, err
	}
	var a answer
	if len(raw) > 0 {
		err = json.Unmarshal(raw, &a)
	}
	return resp.StatusCode, a, err
}

// make makes batch n: killValues half-hours of each register, next to those of
// batch n-1, and the last of those again with another value.
func (k *killed) make(n uint64) []byte {
	b := batch.Batch{Gateway: gatewayURL, Serial: k.signing.Cert().SerialNumber.Bytes(), Sequence: n, Previous: k.hash, Made: monday.AddDate(0, 6, 0)}
	for m := range killMeters {
		s := batch.Series{Meter: fmt.Sprint("m", m), Measure: energy.Import, Opening: -1, Closing: -1}
		from := int(n-1)*killValues - 1
		for i := max(from, 0); i < int(n)*killValues; i++ {
			if s.Values == nil {
				s.First = monday.Add(time.Duration(i) * energy.Period)
			}
			s.Values = append(s.Values, batch.Value{Energy: killEnergy(m, i, n), Quality: energy.Measured, Rule: energy.RuleBracketed})
		}
		b.Series = append(b.Series, s)
	}
	raw, err := batch.Encode(b, k.signing.Key)
	if err != nil {
		k.t.Fatal(err)
	}
	return raw
}

// killEnergy is the value of half-hour i in batch n.
func killEnergy(meter, i int, n uint64) int64 { return int64(meter*1_000_000+i*100) + int64(n) }

func TestKilled(t *testing.T) {
	began := time.Now()
	k := &killed{t: t, dir: t.TempDir(), pki: identitytest.New(t)}
	k.signing = k.pki.Signing(gatewayURL, "Ops Ltd", memberURL)
	k.pki.Server("127.0.0.1").Write(k.dir, "server")
	if err := os.WriteFile(filepath.Join(k.dir, "roots.pem"), identity.EncodeCertificates(k.pki.SigningCA.Root, k.pki.ClientCA.Root), 0o600); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: identity.ClientTLS(k.pki.ServerCA.Pool(), k.pki.Client(gatewayURL, "Ops Ltd", memberURL).Get)}
	k.client = &http.Client{Transport: transport}
	for i := range kills {
		n, d := rand.IntN(7), time.Duration(rand.Int64N(int64(150*time.Millisecond)))
		if i == 0 {
			n, d = 1, 150*time.Millisecond // the site is known afterwards
		}
		k.round(n, d)
		transport.CloseIdleConnections()
	}
	t.Logf("%d kills, %d batches acknowledged, %d sent again, %s", kills, k.sequence, k.again, time.Since(began).Round(time.Millisecond))
	if k.sequence < kills || k.again == 0 {
		t.Errorf("%d batches acknowledged, %d sent again: the kills did not meet a relay at work", k.sequence, k.again)
	}
	k.check()
}
