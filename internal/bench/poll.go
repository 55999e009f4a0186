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
	if out, err := exec.Command("go", "build", "-trimpath", "-o", agent, "./cmd/perseus-agent").CombinedOutput(); err != nil {
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
	row("its own memory with 1,000 meters at 1 s", fmt.Sprintf("%.1f MiB", took[2].Own), "", fmt.Sprintf("bare loop %.1f MiB", took[1].Own))
	row("  resident, with the program and the store's pages", fmt.Sprintf("%.1f MiB", took[2].RSS), "30 MiB", fmt.Sprintf("bare loop %.1f MiB; at most %.1f MiB", took[1].RSS, took[2].Peak))
	return nil
}
