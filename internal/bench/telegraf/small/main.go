// Command small is the smallest Telegraf that reads Modbus: its own agent, its
// modbus input and the output that throws everything away. What tools/
// custom_builder of Telegraf makes has its command line and services besides.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/influxdata/telegraf/agent"
	"github.com/influxdata/telegraf/config"
	_ "github.com/influxdata/telegraf/plugins/inputs/modbus"
	_ "github.com/influxdata/telegraf/plugins/outputs/discard"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "small telegraf:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, path string) error {
	c := config.NewConfig()
	c.Agent.Quiet = true
	if err := c.LoadAll(path); err != nil {
		return err
	}
	return agent.NewAgent(c).Run(ctx)
}
