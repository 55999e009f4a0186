package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/bench/load"
)

// polls runs the baselines and the agent one after the other on one bank.
func polls(port, seconds int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "perseus-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	agent := filepath.Join(dir, "perseus-agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", agent, "./cmd/perseus-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released, see scripts/cross
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	bank, err := load.StartBank(self, port)
	if err != nil {
		return err
	}
	defer bank.Stop()
	var took [3]load.Result
	for i, r := range []load.Reader{load.Loop(self, "raw"), load.Loop(self, "bare"), load.Agent(agent)} {
		if took[i], err = bank.Run(r, load.Settle, time.Duration(seconds)*time.Second); err != nil {
			return err
		}
	}
	raw, bare, ours := took[0].PerPoll(), took[1].PerPoll(), took[2].PerPoll()
	row("CPU per poll of a meter (3 registers)", fmt.Sprintf("%.1f us", ours), "", fmt.Sprintf("bare loop with simonvetter's client %.1f us; on raw sockets %.1f us", bare, raw))
	row("  as a ratio to the bare loop", fmt.Sprintf("%.2f", ours/bare), "1.50", fmt.Sprintf("to raw sockets %.2f", ours/raw))
	row("resident memory with 1,000 meters at 1 s, at most", fmt.Sprintf("%.1f MiB", took[2].Most), "30 MiB", fmt.Sprintf("bare loop %.1f MiB; over %v with a commit (VmHWM), program and store's pages included", took[1].Most, took[2].Over.Round(time.Second)))
	row("  at the end of that time", fmt.Sprintf("%.1f MiB", took[2].RSS), "", fmt.Sprintf("%.1f MiB of it its own (RssAnon); bare loop %.1f MiB and %.1f", took[2].Own, took[1].RSS, took[1].Own))
	row("  at most since the start", fmt.Sprintf("%.1f MiB", took[2].Peak), "", "the first commit of 3,000 new registers, or reading their configuration")
	return nil
}
