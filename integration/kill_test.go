package integration

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/internal/rehearsal"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/sim/meter"
	"github.com/perseus-edge/perseus-edge/store"
	"github.com/perseus-edge/perseus-edge/uplink"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

const killMeters = `  - {id: unit-1, bus: plant-room, unit: 1, poll: 100ms, registers: {import: {address: 0x0100, type: uint64, unit: Wh}, export: {address: 0x0104, type: uint64, unit: Wh}}}
  - {id: unit-2, bus: plant-room, unit: 2, poll: 100ms, registers: {import: {address: 0x0100, type: uint64, unit: Wh}}}
  - {id: unit-3, bus: plant-room, unit: 3, poll: 100ms, registers: {import: {address: 0x0100, type: uint64, unit: Wh}}}
`

const (
	agentKills   = 25
	centralKills = 25
	chunks       = 18 // files of history, a meter's and 5 days' each
	chunkDays    = 5
)

// killing is one run of the test.
type killing struct {
	*world
	rng     *rand.Rand
	loads   map[energy.Key]*load
	seam    time.Time // history ends here
	chunk   int       // next file of history
	highest uint64    // batch that the gateway said was acknowledged
}

// kill -9 of the agent and of the relay at random moments, many times over,
// while meters count, history is imported and batches flow: in the end the
// relay has every half-hour that the gateway has, each once, in one unbroken
// chain, and they sum to what the meters counted.
func TestKillAtRandomMoments(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("PERSEUS_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d (PERSEUS_TEST_SEED=%d draws the same moments)", seed, seed)

	// A thousand times as fast as life: a half-hour takes 1.8 s. The clock would
	// catch up with the present after eight minutes.
	anchor := time.Now()
	from := anchor.Add(-8 * 1000 * time.Minute)
	clock, err := rehearsal.New(anchor, from, 1000)
	if err != nil {
		t.Fatal(err)
	}
	k := &killing{rng: rand.New(rand.NewPCG(seed, 0)), seam: from.UTC().Truncate(energy.Period).Add(-24 * time.Hour), loads: map[energy.Key]*load{
		{Meter: "unit-1", Measure: energy.Import}: {base: 10_000_000, rate: 7321},
		{Meter: "unit-1", Measure: energy.Export}: {base: 20_000_000, rate: 2903},
		{Meter: "unit-2", Measure: energy.Import}: {base: 30_000_000, rate: 12_007},
		{Meter: "unit-3", Measure: energy.Import}: {base: 40_000_000, rate: 611},
	}}
	counter := func(meter string, m energy.Measure) meter.Counter {
		return k.loads[energy.Key{Meter: meter, Measure: m}].Register
	}
	k.world = newWorld(t, clock, killMeters, map[uint8]meter.Unit{
		1: {Import: counter("unit-1", energy.Import), Export: counter("unit-1", energy.Export)},
		2: {Import: counter("unit-2", energy.Import)},
		3: {Import: counter("unit-3", energy.Import)},
	})
	k.startGateway()
	k.permit()
	k.waitForStored(time.Time{}, k.keys()...)
	for _, l := range k.loads {
		l.begin(clock.Now())
	}

	began := time.Now()
	k.kill()
	t.Logf("%d kills of the agent and %d of central in %v, %d files of history", agentKills, centralKills, time.Since(began).Round(time.Millisecond), k.chunk)

	stop := clock.Now()
	for _, l := range k.loads {
		l.end(stop)
	}
	last := stop.Truncate(energy.Period).Add(2 * energy.Period) // by then every register has stood still for a half-hour
	k.waitForStored(last, k.keys()...)
	k.settle(last.Add(energy.Period))
	k.check(last.Add(energy.Period))
}

func (k *killing) keys() []energy.Key { return slices.Collect(maps.Keys(k.loads)) }

// kill kills, and starts again, in an order and after times drawn by lot.
func (k *killing) kill() {
	agents, centrals := agentKills, centralKills
	for n := 1; agents+centrals > 0; n++ {
		k.pause()
		if k.rng.IntN(agents+centrals) < agents {
			agents--
			k.gateway.process.kill()
			if k.chunk < chunks && k.rng.IntN(10) < 6 {
				k.importHistory()
			}
			k.startGateway()
		} else {
			centrals--
			k.central.kill()
			k.startCentral()
		}
		if n%10 == 0 {
			k.breathe()
		}
	}
	for k.chunk < chunks {
		k.importHistory() // the rest, into the running agent
	}
}

// pause waits for a random time, sometimes hardly any: so that starting is cut
// off as well as working.
func (k *killing) pause() {
	d := time.Duration(k.rng.IntN(1800)) * time.Millisecond
	if k.rng.IntN(4) == 0 {
		d = time.Duration(k.rng.IntN(150)) * time.Millisecond
	}
	select {
	case <-time.After(d):
	case <-k.t.Context().Done():
		k.t.Fatal(k.t.Context().Err())
	}
}

// breathe lets the two alone until one more batch is acknowledged: the kills
// must fall among real work.
func (k *killing) breathe() {
	k.t.Helper()
	before := uint64(0)
	until(k.t, 60*time.Second, "another batch is acknowledged", k.both(), func() error {
		s, err := k.gateway.status()
		if err != nil {
			return err
		}
		if s.Uplink == nil || s.Uplink.Status == nil {
			return errors.New("no uplink yet")
		}
		u := s.Uplink.Status
		k.highest = max(k.highest, u.Acknowledged)
		if u.Acknowledged == 0 || u.Acknowledged <= before {
			return fmt.Errorf("acknowledged %d, pending %d, sealed %v, connected %v: %s", u.Acknowledged, u.Pending, u.Sealed, u.Connected, u.Error)
		}
		return nil
	})
}

var meterMeasures = map[string][]energy.Measure{
	"unit-1": {energy.Import, energy.Export}, "unit-2": {energy.Import}, "unit-3": {energy.Import},
}

// chunkOf gives the n-th file's meter and days.
func (k *killing) chunkOf(n int) (meter string, from, to time.Time) {
	from = k.seam.AddDate(0, 0, -chunkDays*(n/3+1))
	return fmt.Sprintf("unit-%d", n%3+1), from, from.AddDate(0, 0, chunkDays)
}

// importHistory imports the next file; now and then the import is killed on the
// way, and tried again: taking a file twice must change nothing.
func (k *killing) importHistory() {
	k.t.Helper()
	m, from, to := k.chunkOf(k.chunk)
	k.chunk++
	file := writeFile(k.t, k.dir, "history.csv", historyFile(m, meterMeasures[m], from, to))
	args := []string{"import", "--config", k.gateway.config, "--meter", m, file}
	if k.rng.IntN(3) == 0 {
		p := start(k.t, "import", "perseus-agent", args...)
		select {
		case <-time.After(time.Duration(k.rng.IntN(120)) * time.Millisecond):
		case <-p.done:
		}
		p.kill()
	}
	must(k.t, "perseus-agent", args...)
}

// settle waits until the consumption API serves, of every register, all that
// was imported and measured before to.
func (k *killing) settle(to time.Time) {
	k.t.Helper()
	_, from, _ := k.chunkOf(chunks - 1)
	until(k.t, 90*time.Second, "the relay has everything", k.both(), func() error {
		got, err := k.delivered(to.AddDate(0, 0, -2), to)
		if err != nil {
			return err
		}
		if len(got) != len(k.loads) {
			return fmt.Errorf("%d registers of %d", len(got), len(k.loads))
		}
		for id, all := range got {
			if n := len(all); n == 0 || !all[n-1].To.Equal(to) {
				return fmt.Errorf("%s: %d half-hours, not up to %v yet", id, n, to)
			}
		}
		for t := from; t.Before(k.seam); t = t.AddDate(0, 0, chunkDays) {
			got, err := k.delivered(t, t.AddDate(0, 0, chunkDays))
			if err != nil {
				return err
			}
			for id, all := range got {
				if len(all) != chunkDays*48 {
					return fmt.Errorf("%s: %d of %d half-hours from %v", id, len(all), chunkDays*48, t)
				}
			}
		}
		return nil
	})
}

// check stops both and compares what they hold.
func (k *killing) check(to time.Time) {
	t := k.t
	t.Helper()
	if err := k.gateway.stop(); err != nil {
		t.Fatalf("the agent did not stop cleanly: %v\n%s", err, k.gateway.log.last(20))
	}
	if err := k.central.stop(); err != nil {
		t.Fatalf("central did not stop cleanly: %v\n%s", err, k.central.log.last(20))
	}
	k.noneSetAside()
	mine, open := k.gatewayHalfHours()
	theirs := k.relayHalfHours()
	carried := k.checkBatches()

	_, from, _ := k.chunkOf(chunks - 1)
	total := 0
	for key, l := range k.loads {
		var measured int64
		n := 0
		for at, r := range theirs[key] {
			total++
			h, ok := mine[key][at]
			if !ok || h.Energy != r.Energy || h.Quality != r.Quality || h.Cumulative != r.Cumulative {
				t.Errorf("%s %v: the relay has %+v, the gateway %+v", key, at, r, h)
			}
			if carried[key][at] != 1 {
				t.Errorf("%s %v: it is in %d batches", key, at, carried[key][at])
			}
			switch {
			case at.Before(k.seam):
				if want := historyWh(key, at); r.Energy != want {
					t.Errorf("%s %v: %d Wh, the file said %d", key, at, r.Energy, want)
				}
			case at.Before(to):
				n++
				measured += r.Energy
			}
		}
		for at := range mine[key] {
			if _, ok := theirs[key][at]; !ok && !open[key][at] {
				t.Errorf("%s %v: acknowledged, but the relay does not have it", key, at)
			}
		}
		for at := from; at.Before(k.seam); at = at.Add(energy.Period) {
			if _, ok := theirs[key][at]; !ok {
				t.Errorf("%s %v: imported, but the relay does not have it", key, at)
			}
		}
		if measured != l.advance() {
			t.Errorf("%s: %d half-hours sum to %d Wh, the meter counted %d", key, n, measured, l.advance())
		}
		t.Logf("%s: %d half-hours measured, %d Wh, as the meter counted", key, n, measured)
	}
	t.Logf("%d half-hours at the relay", total)
}

type halfHours map[energy.Key]map[time.Time]energy.HalfHour

// gatewayHalfHours opens the gateway's store. open are those that the relay has
// not acknowledged.
func (k *killing) gatewayHalfHours() (all halfHours, open map[energy.Key]map[time.Time]bool) {
	t := k.t
	t.Helper()
	s, report, err := store.Open(filepath.Join(k.dir, "agent.db"), store.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil || report.SetAside != "" || report.Created {
		t.Fatalf("the gateway's store: %+v, %v", report, err)
	}
	defer s.Close()
	var unread uplink.Outbox = s
	_, sealed, err := unread.Oldest()
	if err != nil {
		t.Fatal(err)
	}
	all, open = halfHours{}, map[energy.Key]map[time.Time]bool{}
	end := time.Now()
	for key := range k.loads {
		all[key], open[key] = map[time.Time]energy.HalfHour{}, map[time.Time]bool{}
		for h, err := range s.HalfHours(key, time.Time{}, end) {
			if err != nil {
				t.Fatal(err)
			}
			all[key][h.Start] = h
		}
		pending, err := unread.Pending(key, time.Time{}, end, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range pending {
			open[key][h.Start] = true
		}
	}
	if sealed != nil {
		b, err := batch.Decode(sealed)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range b.Series {
			for i := range x.Values {
				open[energy.Key{Meter: x.Meter, Measure: x.Measure}][x.First.Add(time.Duration(i)*energy.Period)] = true
			}
		}
	}
	return all, open
}

func (k *killing) database() *database.DB {
	k.t.Helper()
	db, err := database.Open("sqlite:" + filepath.Join(k.dir, "central.db"))
	if err != nil {
		k.t.Fatal(err)
	}
	return db
}

func (k *killing) relayHalfHours() map[energy.Key]map[time.Time]ingest.Reading {
	t := k.t
	t.Helper()
	db := k.database()
	defer db.Close()
	var sound string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&sound); err != nil || sound != "ok" {
		t.Errorf("central's database: %s, %v", sound, err)
	}
	s := ingest.New(ingest.Config{DB: db})
	out := map[energy.Key]map[time.Time]ingest.Reading{}
	for key := range k.loads {
		out[key] = map[time.Time]ingest.Reading{}
		for r, err := range s.Readings(t.Context(), k.gatewayURL(), key, time.Unix(0, 0), time.Now()) {
			if err != nil {
				t.Fatal(err)
			}
			if _, twice := out[key][r.Start]; twice {
				t.Errorf("%s %v: the relay has it twice", key, r.Start)
			}
			out[key][r.Start] = r
		}
	}
	return out
}

func (k *killing) gatewayURL() string {
	k.t.Helper()
	e, err := uplink.ReadEnrolment(filepath.Join(k.dir, "identity"))
	if err != nil {
		k.t.Fatal(err)
	}
	return e.Gateway
}

// checkBatches reads the relay's batches: numbered from 1 without a hole, each
// with the hash of the one before, signed by the gateway. It counts in how many
// of them each half-hour is.
func (k *killing) checkBatches() map[energy.Key]map[time.Time]int {
	t := k.t
	t.Helper()
	certs, err := identity.ReadCertificates(filepath.Join(k.dir, "identity", "signing.pem"))
	if err != nil {
		t.Fatal(err)
	}
	db := k.database()
	defer db.Close()
	rows, err := db.Query(`SELECT sequence, hash, body FROM batch WHERE gateway = $1 ORDER BY sequence`, k.gatewayURL())
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	carried := map[energy.Key]map[time.Time]int{}
	var previous batch.Hash
	n := uint64(0)
	for rows.Next() {
		var sequence int64
		var hash, body []byte
		if err := rows.Scan(&sequence, &hash, &body); err != nil {
			t.Fatal(err)
		}
		n++
		b, err := batch.Decode(body)
		if err != nil {
			t.Fatalf("batch %d: %v", sequence, err)
		}
		if err := b.Verify(certs[0].PublicKey.(*ecdsa.PublicKey)); err != nil {
			t.Errorf("batch %d: %v", sequence, err)
		}
		if uint64(sequence) != n || b.Sequence != n || b.Previous != previous || batch.Hash(hash) != b.Hash() {
			t.Fatalf("the chain breaks at row %d: batch %d of number %d follows %v, hash %x", n, sequence, b.Sequence, b.Previous, hash)
		}
		previous = b.Hash()
		for _, x := range b.Series {
			key := energy.Key{Meter: x.Meter, Measure: x.Measure}
			if carried[key] == nil {
				carried[key] = map[time.Time]int{}
			}
			for i := range x.Values {
				carried[key][x.First.Add(time.Duration(i)*energy.Period).UTC()]++
			}
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if n < k.highest || n < 10 {
		t.Errorf("%d batches at the relay; the gateway was told of %d, and at least 10 are needed for this to mean something", n, k.highest)
	}
	t.Logf("%d batches in one chain", n)
	return carried
}
