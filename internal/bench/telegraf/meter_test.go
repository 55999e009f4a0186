package main

import (
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"testing"
)

// meter is a device on a socket that counts the questions it is asked. Its
// registers hold their own addresses, which are good totals of every type.
type meter struct {
	address string
	asked   atomic.Int64
	has     map[uint32]bool // registers, by table and address; nil: all, holes too
}

// place is a register's key in a meter: function 3 or 4, and address.
func place(function uint8, address uint16) uint32 { return uint32(function)<<16 | uint32(address) }

// newMeter makes one that has the registers of these fields, and where strict
// is false all others too.
func newMeter(t *testing.T, fields []field, strict bool) *meter {
	t.Helper()
	m := &meter{}
	if strict {
		m.has = map[uint32]bool{}
		for _, f := range fields {
			for i := range f.words {
				m.has[place(f.function, f.address+i)] = true
			}
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	m.address = l.Addr().String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.serve(c)
		}
	}()
	return m
}

func (m *meter) serve(c net.Conn) {
	defer c.Close()
	q := make([]byte, 12)
	for {
		if _, err := io.ReadFull(c, q); err != nil {
			return
		}
		m.asked.Add(1)
		if _, err := c.Write(m.answer(q)); err != nil {
			return
		}
	}
}

func (m *meter) answer(q []byte) []byte {
	address, words := binary.BigEndian.Uint16(q[8:]), binary.BigEndian.Uint16(q[10:])
	a := append(q[:8:8], byte(2*words))
	refused := words > 125
	for i := range words {
		refused = refused || m.has != nil && !m.has[place(q[7], address+i)]
		// A 0 in every other nibble keeps it a decimal, and below every bound.
		a = binary.BigEndian.AppendUint16(a, (address+i)&0x0707)
	}
	if refused {
		a = append(q[:7:7], q[7]|0x80, 2)
	}
	binary.BigEndian.PutUint16(a[4:], uint16(len(a)-6))
	return a
}
