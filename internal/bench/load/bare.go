package load

import (
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	wire "github.com/simonvetter/modbus"
)

// Bare is the baseline, until the process ends: for each gateway a connection,
// for each unit a request once a second, in rounds as the agent and Telegraf
// do it, and the answer is thrown away. Raw does it on the socket; else with
// simonvetter's client.
func Bare(port int, raw bool) error {
	failed := make(chan error)
	for g := range Gateways {
		go func() { failed <- loop(fmt.Sprintf("127.0.0.1:%d", port+g), raw) }()
	}
	return <-failed
}

func loop(addr string, raw bool) error {
	ask, err := asker(addr, raw)
	if err != nil {
		return err
	}
	for {
		now := time.Now()
		time.Sleep(now.Truncate(time.Second).Add(time.Second).Sub(now))
		for u := range Units {
			if err := ask(uint8(u + 1)); err != nil {
				return err
			}
		}
	}
}

func asker(addr string, raw bool) (func(unit uint8) error, error) {
	if !raw {
		c, err := wire.NewClient(&wire.ClientConfiguration{URL: "tcp://" + addr, Timeout: patience, Logger: log.New(io.Discard, "", 0)})
		if err != nil {
			return nil, err
		}
		if err := c.Open(); err != nil {
			return nil, err
		}
		return func(unit uint8) error {
			c.SetUnitId(unit)
			_, err := c.ReadRawBytes(Address, 2*Words, wire.HOLDING_REGISTER)
			return err
		}, nil
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	q, a := make([]byte, 12), make([]byte, 9+2*Words)
	var id uint16
	return func(unit uint8) error {
		id++
		binary.BigEndian.PutUint16(q, id)
		q[5], q[6], q[7] = 6, unit, 3
		binary.BigEndian.PutUint16(q[8:], Address)
		binary.BigEndian.PutUint16(q[10:], Words)
		if _, err := c.Write(q); err != nil {
			return err
		}
		_, err := io.ReadFull(c, a)
		return err
	}, nil
}

// patience is for one answer, on a machine that has other things to do.
const patience = 5 * time.Second
