package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// roundsRole commits round after round, goes on where the state in the store
// says that it stopped, sends what is pending to a relay (its output), and
// prints each thing once it has been told that it is durable.
func roundsRole(path string) int {
	s, report, err := Open(path, options())
	if err != nil {
		return failed(err)
	}
	if report.SetAside != "" {
		return failed(errors.New("set aside: " + report.Reason))
	}
	next, err := nextRound(s)
	if err != nil {
		return failed(err)
	}
	lights := len(samplesIn(s, main_)) - next
	for n := next; ; n++ {
		if err := s.Commit(roundOf(n)); err != nil {
			return failed(err)
		}
		fmt.Println("round", n)
		for i := range 3 { // minutes in which no half-hour ends
			if err := s.Commit(lightRoundOf(n, i)); err != nil {
				return failed(err)
			}
			lights++
			fmt.Println("light", lights)
		}
		if n%3 == 0 {
			if err := sendAll(s); err != nil {
				return failed(err)
			}
		}
	}
}

func nextRound(s *Store) (int, error) {
	state, err := s.State(main_)
	if err != nil || state == nil {
		return 0, err
	}
	return int(binary.BigEndian.Uint64(state)), nil
}

func roundOf(n int) (r Round) {
	for _, k := range []energy.Key{main_, gasKey} {
		r.HalfHours = append(r.HalfHours, halfHours(k, n, n+1)...)
		r.States = append(r.States, KeyedState{k, be64(uint64(n + 1))})
		r.Samples = append(r.Samples, KeyedSample{k, energy.Sample{At: day0.Add(time.Duration(n) * energy.Period), Value: int64(n)}})
	}
	if n%5 == 0 {
		r.Statements = []energy.KeyedStatement{{Key: main_, At: day0, Body: fmt.Appendf(nil, "%d", n)}}
	}
	return r
}

// lightRoundOf is what is read after the n-th round and before the next.
func lightRoundOf(n, i int) (r Round) {
	for _, k := range []energy.Key{main_, gasKey} {
		r.States = append(r.States, KeyedState{k, be64(uint64(n + 1))})
		r.Samples = append(r.Samples, KeyedSample{k, energy.Sample{At: day0.Add(time.Duration(n)*energy.Period + time.Duration(i+1)*time.Minute), Value: int64(n)}})
	}
	return r
}

func samplesIn(s *Store, k energy.Key) (all []energy.Sample) {
	for v, err := range s.Samples(k, time.Time{}, forever) {
		if err == nil {
			all = append(all, v)
		}
	}
	return all
}

// sendAll sends a new batch of what is pending of the two registers, after any
// that is still sealed. A batch is its list of "register:start".
func sendAll(s *Store) error {
	seq, hash, err := s.Chain()
	if err != nil {
		return err
	}
	var body []string
	var spans []energy.Span
	for _, k := range []energy.Key{main_, gasKey} {
		all, err := s.Pending(k, time.Time{}, forever, 100)
		if err != nil {
			return err
		}
		for _, h := range all {
			body = append(body, fmt.Sprintf("%d:%d", k.Measure, h.Start.Sub(day0)/energy.Period))
			spans = append(spans, energy.Span{Key: k, From: h.Start, To: h.Start.Add(1)})
		}
	}
	statements, err := s.PendingStatements(3)
	if err != nil {
		return err
	}
	for _, st := range statements {
		body = append(body, "s:"+string(st.Body))
	}
	hash[0]++
	if err := s.Seal(seq+1, hash, []byte(strings.Join(body, ",")), spans, len(statements)); err != nil {
		return err
	}
	for {
		seq, body, err := s.Oldest()
		if err != nil || seq == 0 {
			return err
		}
		fmt.Println("batch", seq, string(body))
		if err := s.Acknowledge(seq); err != nil {
			return err
		}
	}
}

// relay is what the parent knows: what the child was told is durable.
type relay struct {
	rounds  int            // rounds [0, rounds) were acknowledged to the child
	lights  int            // and so many of the rounds between them
	batches map[int]string // by sequence
}

func (r *relay) take(line string) error {
	f := strings.Fields(line)
	var n int
	if len(f) < 2 {
		return fmt.Errorf("%q", line)
	}
	if _, err := fmt.Sscan(f[1], &n); err != nil {
		return err
	}
	switch f[0] {
	case "round":
		r.rounds = max(r.rounds, n+1)
	case "light":
		r.lights = max(r.lights, n)
	case "batch":
		if old, there := r.batches[n]; there && old != f[2] {
			return fmt.Errorf("batch %d came twice with different content", n)
		}
		r.batches[n] = f[2]
	}
	return nil
}

// TestKilledAtAnyMoment is law 3 for the store: kill -9 at 60 random moments,
// creation included, and after each everything that was acknowledged is there,
// nothing is there twice, and the states agree with the half-hours.
func TestKilledAtAnyMoment(t *testing.T) {
	const kills, seed = 60, 20260301
	random := rand.New(rand.NewPCG(seed, 1))
	dir := fastDir(t)
	path := filepath.Join(dir, "agent.db")
	known := &relay{batches: map[int]string{}}
	for kill := range kills {
		if kill%20 == 0 { // begin anew, so that creation is cut off too
			path = filepath.Join(dir, fmt.Sprint("agent-", kill, ".db"))
			known = &relay{batches: map[int]string{}}
		}
		runAndKill(t, path, random, known)
		checkAfterKill(t, path, known)
	}
	if known.rounds < 50 || known.lights < 100 || len(known.batches) < 10 {
		t.Fatalf("the child got no further than %d rounds and %d batches: the test has not tested", known.rounds, len(known.batches))
	}
	t.Logf("%d kills; the last file had %d rounds and %d batches", kills, known.rounds, len(known.batches))
}

// runAndKill runs a child and kills it some milliseconds after it began or
// after some line of its output.
func runAndKill(t *testing.T, path string, random *rand.Rand, known *relay) {
	t.Helper()
	cmd := inRole(t, "rounds", path)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines, after := random.IntN(60), time.Duration(random.IntN(4000))*time.Microsecond
	if random.IntN(4) == 0 { // around the opening
		lines, after = 0, time.Duration(random.IntN(60))*time.Millisecond
	}
	kill := func() { time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) }
	if lines == 0 {
		kill()
	}
	in := bufio.NewReader(out)
	for n := 1; ; n++ {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) { // a part of a line was not yet acknowledged to anyone
			break
		}
		must(t, err)
		must(t, known.take(line))
		if n == lines {
			kill()
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
		t.Fatalf("the child ended by itself: %v", err)
	}
}

func checkAfterKill(t *testing.T, path string, known *relay) {
	t.Helper()
	s, report := mustOpen(t, path)
	defer s.Close()
	if report.SetAside != "" {
		t.Fatalf("a kill made the store corrupt: %s", report.Reason)
	}
	rounds, err := nextRound(s)
	must(t, err)
	if rounds < known.rounds || rounds > known.rounds+1 {
		t.Fatalf("%d rounds are stored, %d were acknowledged", rounds, known.rounds)
	}
	known.rounds = rounds

	where := map[string]string{} // half-hour or statement -> where it is
	put := func(item, place string) {
		if was, there := where[item]; there {
			t.Fatalf("%s is %s and %s", item, was, place)
		}
		where[item] = place
	}
	seq, _, err := s.Chain()
	must(t, err)
	// Two may be sealed: one of the life before, and this life's first.
	must(t, s.view("reading the sealed batches", func(tx *bolt.Tx) error {
		return tx.Bucket(bucketSealed).ForEach(func(k, v []byte) error {
			b, err := decodeBatch(k, v)
			if err != nil {
				return err
			}
			return known.take(fmt.Sprintf("batch %d %s", binary.BigEndian.Uint64(k), b.body))
		})
	}))
	if len(known.batches) != int(seq) {
		t.Fatalf("%d batches were sent or sealed, the chain is at %d", len(known.batches), seq)
	}
	for n, body := range known.batches {
		for item := range strings.SplitSeq(body, ",") {
			put(item, fmt.Sprint("in batch ", n))
		}
	}
	for _, k := range []energy.Key{main_, gasKey} {
		state, err := s.State(k)
		must(t, err)
		if rounds > 0 && binary.BigEndian.Uint64(state) != uint64(rounds) {
			t.Fatalf("the states of the registers disagree")
		}
		same(t, "half-hours", collect(t, s.HalfHours(k, time.Time{}, forever)), plain(halfHours(k, 0, rounds)))
		lights := len(collect(t, s.Samples(k, time.Time{}, forever))) - rounds
		if lights < known.lights || lights > known.lights+1 {
			t.Fatalf("%s: samples of %d minutes are stored, %d were acknowledged", k, lights, known.lights)
		}
		if k == gasKey {
			known.lights = lights
		}
		if _, _, n, err := s.Bounds(k); err != nil || n != rounds {
			t.Fatalf("counted %d of %d, %v", n, rounds, err)
		}
		all, err := s.Pending(k, time.Time{}, forever, 1<<30)
		must(t, err)
		for _, h := range all {
			put(fmt.Sprintf("%d:%d", k.Measure, h.Start.Sub(day0)/energy.Period), "pending")
		}
	}
	statements, err := s.PendingStatements(1 << 30)
	must(t, err)
	for _, st := range statements {
		put("s:"+string(st.Body), "pending")
	}
	if want := 2*rounds + (rounds+4)/5; len(where) != want {
		t.Fatalf("%d half-hours and statements are accounted for, want %d", len(where), want)
	}
}
