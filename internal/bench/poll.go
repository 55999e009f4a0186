package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/sim/meter"
)

// bank plays 100 gateways with 10 meters each until it is killed.
func bank(port int) error {
	origin := time.Now().Add(-time.Hour)
	counter := func(t time.Time) int64 { return 5_000_000 + int64(t.Sub(origin).Seconds()*3) }
	for g := range gateways {
		m := map[uint8]meter.Unit{}
		for u := range units {
			m[uint8(u+1)] = meter.Unit{Serial: uint32(g*units + u), Import: counter, Export: counter, Reactive: counter}
		}
		s, err := meter.NewServer(fmt.Sprintf("tcp://127.0.0.1:%d", port+g), time.Now, m, meter.Faults{})
		if err != nil {
			return err
		}
		if err := s.Start(); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	select {}
}

// bare is the baseline: for each gateway a connection, for each unit a request
// of the same twelve registers once a second, and the answer is thrown away.
// raw does it on the socket; else with simonvetter's client, as the agent does.
func bare(port int, d time.Duration, raw bool) error {
	var wg sync.WaitGroup
	end := time.Now().Add(d)
	var mu sync.Mutex
	polls := 0
	for g := range gateways {
		wg.Add(1)
		go func() {
			defer wg.Done()
			ask, err := asker(fmt.Sprintf("127.0.0.1:%d", port+g), raw)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return
			}
			n := 0
			for next := time.Now(); next.Before(end); {
				for u := range units {
					// spread over the second, as the agent spreads its polls
					time.Sleep(time.Until(next.Add(time.Duration(u) * time.Second / units)))
					if err := ask(uint8(u + 1)); err != nil {
						fmt.Fprintln(os.Stderr, err)
						return
					}
					n++
				}
				next = next.Add(time.Second)
			}
			mu.Lock()
			polls += n
			mu.Unlock()
		}()
	}
	wg.Wait()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return err
	}
	cpu := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	fmt.Println(polls, cpu.Microseconds())
	return nil
}

func asker(addr string, raw bool) (func(unit uint8) error, error) {
	if !raw {
		c, err := wire.NewClient(&wire.ClientConfiguration{URL: "tcp://" + addr, Timeout: time.Second, Logger: log.New(io.Discard, "", 0)})
		if err != nil {
			return nil, err
		}
		if err := c.Open(); err != nil {
			return nil, err
		}
		return func(unit uint8) error {
			c.SetUnitId(unit)
			_, err := c.ReadRawBytes(meter.ImportAddress, 24, wire.HOLDING_REGISTER)
			return err
		}, nil
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	q, a := make([]byte, 12), make([]byte, 9+24)
	var id uint16
	return func(unit uint8) error {
		id++
		binary.BigEndian.PutUint16(q, id)
		q[5], q[6], q[7] = 6, unit, 3
		binary.BigEndian.PutUint16(q[8:], meter.ImportAddress)
		binary.BigEndian.PutUint16(q[10:], 12)
		if _, err := c.Write(q); err != nil {
			return err
		}
		_, err := io.ReadFull(c, a)
		return err
	}, nil
}

// polls runs the baselines and the agent one after the other on one bank.
func polls(port, seconds int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p, s := strconv.Itoa(port), strconv.Itoa(seconds)
	b := exec.Command(self, "-port-base", p, "bank")
	b.Stderr = os.Stderr
	out, err := b.StdoutPipe()
	if err != nil {
		return err
	}
	if err := b.Start(); err != nil {
		return err
	}
	defer func() { b.Process.Kill(); b.Wait() }()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return fmt.Errorf("the simulated bank did not start: %w", err)
	}
	perPoll := map[string]float64{}
	for _, kind := range []string{"raw", "bare"} {
		out, err := exec.Command(self, "-port-base", p, "-seconds", s, kind).Output()
		if err != nil {
			return err
		}
		var n, us int
		if _, err := fmt.Sscan(string(out), &n, &us); err != nil || n < gateways*units*(seconds-1) {
			return fmt.Errorf("baseline %s printed %q", kind, out)
		}
		perPoll[kind] = float64(us) / float64(n)
	}
	agent, rss, err := agentPolls(port, time.Duration(seconds)*time.Second)
	if err != nil {
		return err
	}
	row("CPU per poll of a meter (3 registers)", fmt.Sprintf("%.1f us", agent), "", fmt.Sprintf("bare loop, same client %.1f us; raw sockets %.1f us", perPoll["bare"], perPoll["raw"]))
	row("  as a ratio to the bare loop", fmt.Sprintf("%.2f", agent/perPoll["bare"]), "2.00", fmt.Sprintf("to raw sockets %.2f", agent/perPoll["raw"]))
	row("resident memory with 1,000 meters at 1 s", fmt.Sprintf("%.1f MiB", rss), "30 MiB", "")
	return nil
}

// agentPolls gives the agent's CPU in microseconds a poll, in its steady state,
// and its resident memory at the end in MiB.
func agentPolls(port int, d time.Duration) (us, rss float64, err error) {
	dir, err := os.MkdirTemp("", "perseus-bench")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "perseus-agent")
	if out, err := exec.Command("go", "build", "-trimpath", "-o", bin, "./cmd/perseus-agent").CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("%w: %s", err, out)
	}
	config := filepath.Join(dir, "agent.yaml")
	if err := os.WriteFile(config, []byte(agentConfig(port)), 0o600); err != nil {
		return 0, 0, err
	}
	cmd := exec.Command(bin, "run", "--config", config)
	logFile, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return 0, 0, err
	}
	defer logFile.Close()
	cmd.Stdout, cmd.Stderr = logFile, logFile
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() }()
	time.Sleep(5 * time.Second) // connected and past its start
	before, err := cpuOf(cmd.Process.Pid)
	if err != nil {
		return 0, 0, err
	}
	n0, err := polled(port + gateways)
	if err != nil {
		return 0, 0, err
	}
	time.Sleep(d)
	after, err := cpuOf(cmd.Process.Pid)
	if err != nil {
		return 0, 0, err
	}
	n1, err := polled(port + gateways)
	if err != nil {
		return 0, 0, err
	}
	if want := gateways * units * (d.Seconds() - 2); n1-n0 < want {
		return 0, 0, fmt.Errorf("the agent polled %.0f times in %v, want %.0f", n1-n0, d, want)
	}
	rss, err = rssOf(cmd.Process.Pid)
	return float64((after - before).Microseconds()) / (n1 - n0), rss, err
}

func agentConfig(port int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "site: {name: Bench, outcode: SW8}\nstore: {path: agent.db}\nweb: {listen: \"127.0.0.1:%d\"}\nbuses:\n", port+gateways)
	for g := range gateways {
		fmt.Fprintf(&s, "  - {id: g%d, driver: modbus, url: \"tcp://127.0.0.1:%d\"}\n", g, port+g)
	}
	s.WriteString("meters:\n")
	for g := range gateways {
		for u := range units {
			fmt.Fprintf(&s, "  - id: m%d-%d\n    bus: g%d\n    unit: %d\n    poll: 1s\n    registers:\n", g, u, g, u+1)
			fmt.Fprintf(&s, "      import: {address: %d, table: holding, type: uint64, unit: Wh}\n", meter.ImportAddress)
			fmt.Fprintf(&s, "      export: {address: %d, table: holding, type: uint64, unit: Wh}\n", meter.ExportAddress)
			fmt.Fprintf(&s, "      reactive-import: {address: %d, table: holding, type: uint64, unit: varh}\n", meter.ReactiveAddress)
		}
	}
	return s.String()
}
