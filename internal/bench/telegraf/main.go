// Command telegraf puts perseus-agent, Telegraf and the bare request loop side
// by side on one simulated bank of 1,000 meters: requests, CPU and memory. The
// runs take turns, so that other load on the machine meets them all alike.
//
//	go run . [-rounds 3] [-seconds 20]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/bench/load"
)

const root = "../../.." // the project's main module

// patience is for one answer, on a machine that has other things to do.
const patience = 30 * time.Second

func main() {
	rounds := flag.Int("rounds", 3, "how many times each reader runs")
	seconds := flag.Int("seconds", 20, "how long each run is measured")
	port := flag.Int("port-base", 21200, "first of the 101 loopback ports used")
	only := flag.String("only", "", "one reader by its name, for a look at it")
	flag.Parse()
	if err := compare(*rounds, time.Duration(*seconds)*time.Second, *port, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench-telegraf:", err)
		os.Exit(1)
	}
}

func compare(rounds int, d time.Duration, port int, only string) error {
	dir, err := os.MkdirTemp("", "perseus-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	agent, bench, small := filepath.Join(dir, "perseus-agent"), filepath.Join(dir, "bench"), filepath.Join(dir, "telegraf")
	for _, b := range []struct{ in, to, pkg string }{{root, agent, "./cmd/perseus-agent"}, {root, bench, "./internal/bench"}, {".", small, "./small"}} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.to, b.pkg)
		cmd.Dir, cmd.Env = b.in, append(os.Environ(), "CGO_ENABLED=0") // as both projects release it
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w: %s", b.pkg, err, out)
		}
	}
	bank, err := load.StartBank(bench, port)
	if err != nil {
		return err
	}
	defer bank.Stop()
	readers := []load.Reader{load.Loop(bench, "raw"), load.Loop(bench, "bare"), telegrafReader(small), load.Agent(agent)}
	results := map[string][]load.Result{}
	fmt.Printf("%-16s %6s %12s %14s %12s %12s %12s\n", "1,000 meters", "run", "requests/s", "CPU a poll", "resident", "its own", "at most")
	for round := range rounds {
		for _, r := range readers {
			if only != "" && r.Name != only {
				continue
			}
			res, err := bank.Run(r, load.Settle, d)
			if err != nil {
				return err
			}
			show(r.Name, fmt.Sprint(round+1), res)
			results[r.Name] = append(results[r.Name], res)
		}
	}
	if only == "" {
		verdict(results)
	}
	return nil
}

func show(name, run string, r load.Result) {
	fmt.Printf("%-16s %6s %12.0f %11.1f us %8.1f MiB %8.1f MiB %8.1f MiB\n", name, run, float64(r.Requests)/r.Over.Seconds(), r.PerPoll(), r.RSS, r.Own, r.Peak)
}

// verdict compares the middle ones of each reader's runs.
func verdict(all map[string][]load.Result) {
	cpu := func(name string) float64 { return middle(all[name], load.Result.PerPoll) }
	resident := func(name string) float64 { return middle(all[name], func(r load.Result) float64 { return r.RSS }) }
	own := func(name string) float64 { return middle(all[name], func(r load.Result) float64 { return r.Own }) }
	const ours, theirs = "perseus-agent", "telegraf"
	fmt.Println()
	for _, l := range []struct {
		what      string
		got, most float64
	}{
		{"CPU a poll, to Telegraf's", cpu(ours) / cpu(theirs), 1. / 2},
		{"resident memory, to Telegraf's", resident(ours) / resident(theirs), 1. / 3},
		{"its own memory, to Telegraf's", own(ours) / own(theirs), 1. / 3},
		{"CPU a poll, to the bare loop's", cpu(ours) / cpu("bare"), 1.5},
		{"CPU a poll, to raw sockets'", cpu(ours) / cpu("raw"), 0},
	} {
		word := "met"
		switch {
		case l.most == 0:
			fmt.Printf("%-34s %.2f\n", l.what, l.got)
			continue
		case l.got > l.most:
			word = "MISSED"
		}
		fmt.Printf("%-34s %.2f, aim at most %.2f: %s\n", l.what, l.got, l.most, word)
	}
}

func middle(rs []load.Result, of func(load.Result) float64) float64 {
	v := make([]float64, len(rs))
	for i, r := range rs {
		v[i] = of(r)
	}
	slices.Sort(v)
	return v[len(v)/2]
}
