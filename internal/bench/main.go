// Command bench prints the project's measures beside their baselines, all in
// one run: CPU per poll against a bare request loop on the same simulated bank,
// resident memory with 1,000 meters, bytes on disk and on the wire, and what a
// sample costs on its way through energy and store.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/perseus-edge/perseus-edge/internal/bench/load"
)

func main() {
	seconds := flag.Int("seconds", 40, "how long to poll, each")
	port := flag.Int("port-base", 21000, "first of the 101 loopback ports used")
	flag.Parse()
	var err error
	switch flag.Arg(0) {
	case "bank": // the simulated meters, a process of their own so that their CPU is not counted
		err = load.ServeBank(*port)
	case "metering": // one part by itself
		err = metering()
	case "polls": // likewise
		err = polls(*port, *seconds)
	case "bare", "raw": // the baselines, likewise
		err = load.Bare(*port, flag.Arg(0) == "raw")
	default:
		err = measure(*port, *seconds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(port, seconds int) error {
	fmt.Println("measure                                                value      limit   baseline")
	if err := wireSize(); err != nil {
		return err
	}
	if err := storeSize(); err != nil {
		return err
	}
	if err := metering(); err != nil {
		return err
	}
	return polls(port, seconds)
}

func row(what, value, limit, baseline string) {
	fmt.Printf("%-50s %12s %10s   %s\n", what, value, limit, baseline)
}
