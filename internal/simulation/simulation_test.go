package simulation

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/uplink"
)

var (
	seeds  = flag.Int("seeds", 6, "how many seeds to simulate")
	first  = flag.Uint64("seed", 1, "the first of them")
	years  = flag.Float64("years", 0.15, "how many years of each")
	meters = flag.Int("meters", 10, "how many meters at each site")
	logTo  = flag.String("log", "", "a file for the agent's log, in simulated time")
	quiet  = flag.Bool("quiet", false, "no faults")
	sparse = flag.Bool("sparse", false, "polls of 5 to 15 minutes instead of 30 seconds and more: for long runs")
	stop   = flag.Int("stop", 0, "break off after so many days, as it would have gone on: to repeat what happened early in a long run")
	trace  = flag.String("trace", "", "a register to follow, e.g. m12/gas: what its meter answered and what was made of it")
	said   = flag.String("history", "", "a file for all that comes of it, line by line: two runs of one seed write the same")
	from   = flag.String("from", "", "simulated time from which on it is followed, e.g. 2001-01-26T22:00")
	to     = flag.String("to", "", "and up to which")
)

// instant reads a flag; empty is zero.
func instant(t testing.TB, s string) (at time.Time) {
	if s == "" {
		return at
	}
	at, err := time.Parse("2006-01-02T15:04", s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func follow(t testing.TB) *Trace {
	if *trace == "" {
		return nil
	}
	return &Trace{Of: *trace, From: instant(t, *from), To: instant(t, *to), W: os.Stdout}
}

const (
	gatewayURL = "https://directory.example/g/1"
	memberURL  = "https://directory.example/m/1"
	edpRole    = "https://registry.example/scheme/perseus/role/energy-data-provider"
)

// ramDir is a folder in memory where there is one.
func ramDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "simulation-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// identityFolder fills a folder as enrolling would.
func newIdentity(t *testing.T) Identity {
	t.Helper()
	dir := t.TempDir()
	pki := identitytest.New(t)
	client := pki.Client(gatewayURL, "Shop Ltd", memberURL)
	client.Write(dir, "client")
	pki.Signing(gatewayURL, "Shop Ltd", memberURL).Write(dir, "signing")
	b, err := json.Marshal(uplink.Enrolment{Gateway: gatewayURL, Member: memberURL, Relay: "https://relay.example", Directory: "https://directory.example"})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"signing-root.pem": identity.EncodeCertificates(pki.SigningCA.Root), "gateway.json": b} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	signer := pki.Signing("https://directory.example/a/relay", "Relay Ltd", memberURL, edpRole)
	return Identity{Gateway: gatewayURL, Dir: dir, Roots: pki.SigningCA.Pool(), Key: signer.Key, Chain: signer.Chain, Client: client.Cert()}
}

// written opens a file that is named by a flag; nil where that is empty.
func written(t *testing.T, path string) io.Writer {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func logger(t *testing.T) *slog.Logger {
	f := written(t, *logTo)
	if f == nil {
		return nil
	}
	return slog.New(record.Handler(t, slog.NewTextHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

func TestSimulation(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // memory is there, time is not
	began := time.Now()
	days, many := int(*years*365), *seeds
	if testing.Short() {
		days, many = min(days, 15), 1
	}
	for i := range many {
		seed := *first + uint64(i)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			begun, used := time.Now(), cpu()
			var r Result
			synctest.Test(t, func(t *testing.T) {
				var err error
				if r, err = Run(Options{Seed: seed, Days: days, Meters: *meters, Dir: ramDir(t), Identity: newIdentity(t), Quiet: *quiet, Sparse: *sparse, Stop: *stop, Trace: follow(t), History: written(t, *said), Logger: logger(t)}); err != nil {
					t.Error(err)
				}
			})
			for _, v := range r.Violations {
				t.Error(v)
			}
			if len(r.Log) > 0 {
				t.Log("before the first of them the agent said:\n" + strings.Join(r.Log, "\n"))
			}
			r.Log, r.Violations = nil, nil
			t.Logf("%+v", r)
			if t.Failed() {
				t.Logf("repeat with: go test ./internal/simulation -run TestSimulation -seed %d -seeds 1 -years %g -meters %d -sparse=%v", seed, *years, *meters, *sparse)
			}
			took, my := cpu()-used, float64(days)/365*float64(*meters)
			t.Logf("%.1f meter-years in %s, %s of a core: %.1f a minute of a core", my, time.Since(begun).Round(time.Second), took.Round(time.Second), my/took.Minutes())
		})
	}
	t.Logf("took %s", time.Since(began))
}
