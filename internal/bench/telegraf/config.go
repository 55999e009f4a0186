package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/perseus-edge/perseus-edge/internal/bench/load"
)

// telegrafReader reads the same registers of the same meters as often, and throws
// them away. An input for each gateway, a request for each unit, as its
// documentation has it.
func telegrafReader(program string) load.Reader {
	return load.Reader{Name: "telegraf", Command: func(dir string, port int) (*exec.Cmd, error) {
		file := filepath.Join(dir, "telegraf.conf")
		if err := os.WriteFile(file, []byte(telegrafConfig(port)), 0o600); err != nil {
			return nil, err
		}
		return exec.Command(program, file), nil
	}}
}

func telegrafConfig(port int) string {
	var s strings.Builder
	s.WriteString("[agent]\n  interval = \"1s\"\n  flush_interval = \"10s\"\n  omit_hostname = true\n[[outputs.discard]]\n")
	for g := range load.Gateways {
		fmt.Fprintf(&s, "[[inputs.modbus]]\n  name = \"g%d\"\n  controller = \"tcp://127.0.0.1:%d\"\n  timeout = \"5s\"\n  configuration_type = \"request\"\n", g, port+g)
		for u := range load.Units {
			fmt.Fprintf(&s, "  [[inputs.modbus.request]]\n    slave_id = %d\n    register = \"holding\"\n    optimization = \"rearrange\"\n    fields = [\n", u+1)
			for i, name := range []string{"import", "export", "reactive_import"} {
				fmt.Fprintf(&s, "      { address = %d, name = %q, type = \"UINT64\" },\n", load.Address+4*i, name)
			}
			s.WriteString("    ]\n")
		}
	}
	return s.String()
}
