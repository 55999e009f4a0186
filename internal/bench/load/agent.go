package load

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Agent is perseus-agent, which also makes half-hours of what it reads and
// keeps them.
func Agent(program string) Reader {
	return Reader{Name: "perseus-agent", Command: func(dir string, port int) (*exec.Cmd, error) {
		file := filepath.Join(dir, "agent.yaml")
		if err := os.WriteFile(file, []byte(agentConfig(port)), 0o600); err != nil {
			return nil, err
		}
		return exec.Command(program, "run", "--config", file), nil
	}}
}

// Loop is the bare request loop: raw on the sockets, else with simonvetter's
// client. The program bench plays it.
func Loop(bench, kind string) Reader {
	return Reader{Name: kind, Command: func(_ string, port int) (*exec.Cmd, error) {
		return exec.Command(bench, "-port-base", strconv.Itoa(port), kind), nil
	}}
}

func agentConfig(port int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "site: {name: Bench, outcode: SW8}\nstore: {path: agent.db}\nweb: {listen: \"127.0.0.1:%d\"}\nbuses:\n", port+Gateways)
	for g := range Gateways {
		fmt.Fprintf(&s, "  - {id: g%d, driver: modbus, timeout: 5s, url: \"tcp://127.0.0.1:%d\"}\n", g, port+g)
	}
	s.WriteString("meters:\n")
	for g := range Gateways {
		for u := range Units {
			fmt.Fprintf(&s, "  - id: m%d-%d\n    bus: g%d\n    unit: %d\n    poll: 1s\n    registers:\n", g, u, g, u+1)
			for i, register := range []string{"import: {unit: Wh", "export: {unit: Wh", "reactive-import: {unit: varh"} {
				fmt.Fprintf(&s, "      %s, address: %d, table: holding, type: uint64}\n", register, Address+4*i)
			}
		}
	}
	return s.String()
}
