// Package load puts readers of Modbus side by side on one simulated bank of
// 1,000 meters: 100 gateways with 10 units each, every unit asked for the same
// twelve registers once a second. Requests are counted by the bank, CPU and
// memory by the kernel, so that nothing depends on what a reader says of itself.
package load

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// The bank's size, and where each unit has its registers: import, export and
// reactive import, each an uint64 in Wh or varh.
const (
	Gateways = 100
	Units    = 10
	Meters   = Gateways * Units

	Address = 0x0100
	Words   = 12
)

// ServeBank plays the meters at ports from port on, until the process ends. It
// prints "ready", and for each line on standard input how many requests came.
func ServeBank(port int) error {
	var requests atomic.Int64
	start := time.Now()
	for g := range Gateways {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+g))
		if err != nil {
			return err
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go answer(c, start, &requests)
			}
		}()
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(requests.Load())
	}
	return nil
}

// answer serves one connection, on the bare socket: the bank must not take
// the CPU that its readers are measured by.
func answer(c net.Conn, start time.Time, requests *atomic.Int64) {
	defer c.Close()
	var q [12]byte
	var a [9 + 2*125]byte
	for {
		if _, err := io.ReadFull(c, q[:]); err != nil {
			return
		}
		requests.Add(1)
		copy(a[:], q[:8]) // number, protocol, length, unit, function
		address, words := binary.BigEndian.Uint16(q[8:]), int(binary.BigEndian.Uint16(q[10:]))
		n := 9 + 2*words
		if q[7] != 3 || address < Address || int(address)+words > Address+Words {
			a[7], a[8], n = q[7]|0x80, 2, 9
		} else {
			var image [2 * Words]byte
			for i := range 3 {
				binary.BigEndian.PutUint64(image[8*i:], 5_000_000+uint64(time.Since(start)/time.Millisecond)*uint64(i+1)/1000)
			}
			a[8] = byte(2 * words)
			copy(a[9:], image[2*(address-Address):])
		}
		binary.BigEndian.PutUint16(a[4:], uint16(n-6))
		if _, err := c.Write(a[:n]); err != nil {
			return
		}
	}
}
