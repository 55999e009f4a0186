package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/keystore/keystoretest"
	"github.com/perseus-edge/perseus-edge/sim/meter"
)

// The programs themselves, with the gateway's keys in a PKCS#11 token: enroll
// makes them there, what it signs is taken; the token is pulled out, which the
// gateway says, and what was to be sent meanwhile follows when it is back,
// without a restart. Neither the PIN nor a key is in the identity folder.
func TestKeysInAToken(t *testing.T) {
	tok := keystoretest.NewToken(t, "Gateway 1")
	clock, from := rehearsed(t, 14*24*time.Hour)
	l := &load{base: 1_000_000, rate: 4567}
	w := newWorld(t, clock, weekMeters, map[uint8]meter.Unit{1: {Import: l.Register}})
	must(t, "perseus-agent", "check", "--config", w.gateway.config)
	text, err := os.ReadFile(w.gateway.config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Dir(w.gateway.config), filepath.Base(w.gateway.config), strings.Replace(string(text), "uplink: {", fmt.Sprintf("uplink: {key_store: %q, ", tok.Kind), 1))
	if said := must(t, "perseus-agent", "check", "--config", w.gateway.config); !strings.Contains(said, `New keys are made in the token "Gateway 1" (through `+tok.Module) || strings.Contains(said, "cannot be used") {
		t.Errorf("check says %s", said)
	}
	var again struct{ Code string }
	added := must(t, "perseus-central", "gateway", "add", "--member", "riverside-metering", "--name", "Riverside Unit 5", "--site", "Unit 5", "--config", w.config)
	if err := json.Unmarshal([]byte(added), &again); err != nil {
		t.Fatal(err)
	}
	must(t, "perseus-agent", "enroll", "--config", w.gateway.config, "--url", w.url.directory, "--code", again.Code, "--force", "--other-gateway")
	if n := tok.Keys(); n != 2 {
		t.Fatalf("%d keys are in the token", n)
	}

	w.startGateway()
	w.permit()
	key := energy.Key{Meter: "unit-1", Measure: energy.Import}
	w.waitForStored(time.Time{}, key)
	seam := from.UTC().Truncate(24 * time.Hour)
	brought := func(days int) {
		t.Helper()
		first := seam.AddDate(0, 0, -days)
		file := writeFile(t, w.dir, "history.csv", historyFile("unit-1", []energy.Measure{energy.Import}, first, first.AddDate(0, 0, 1)))
		must(t, "perseus-agent", "import", "--config", w.gateway.config, "--meter", "unit-1", file)
	}
	arrived := func(days int) {
		t.Helper()
		until(t, 240*time.Second, fmt.Sprintf("%d days have arrived", days), w.both(), func() error {
			got, err := w.delivered(seam.AddDate(0, 0, -days), seam)
			if err == nil && len(got) == 0 {
				err = fmt.Errorf("no source of data")
			}
			for _, all := range got {
				if len(all) != days*48 {
					err = fmt.Errorf("%d of %d half-hours", len(all), days*48)
				}
			}
			return err
		})
	}
	brought(1)
	arrived(1)
	if said := must(t, "perseus-agent", "status", "--config", w.gateway.config); !strings.Contains(said, "key store: pkcs11, token Gateway 1, serial number ") || !strings.Contains(said, "All is well.") {
		t.Errorf("status says %s", said)
	}

	back := tok.Pull()
	brought(2)
	until(t, 240*time.Second, "the gateway says that its token is away", w.both(), func() error {
		if said := must(t, "perseus-agent", "status", "--config", w.gateway.config); !strings.Contains(said, `the token "Gateway 1" (serial number `) || !strings.Contains(said, "is not plugged in") || !strings.Contains(said, "Wrong:") {
			return fmt.Errorf("%s", said)
		}
		return nil
	})
	back()
	arrived(2)
	until(t, 240*time.Second, "all is well again", w.both(), func() error {
		if said := must(t, "perseus-agent", "status", "--config", w.gateway.config); !strings.Contains(said, "All is well.") {
			return fmt.Errorf("%s", said)
		}
		return nil
	})

	if err := w.gateway.stop(); err != nil {
		t.Error(err)
	}
	if log := w.gateway.log.last(1 << 20); strings.Contains(fmt.Sprint(log), tok.PIN) {
		t.Error("the PIN is in the log")
	}
	err = filepath.WalkDir(filepath.Join(w.dir, "identity"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), tok.PIN) || strings.Contains(string(b), "BEGIN PRIVATE KEY") && strings.Contains(path, "enrolment-3") {
			t.Errorf("%s has what the token should have", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
