package site

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// line is a wire that can be listened at: a socket, or a serial port.
type line struct {
	*wire
	scheme, address string

	mu    sync.Mutex // one question at a time; guards what follows, and the wire
	conns map[io.Closer]bool
}

// run answers until ctx ends.
func (l *line) run(ctx context.Context) error {
	switch l.scheme {
	case "rtu":
		return l.runPort(ctx)
	case "udp":
		return l.runPackets(ctx)
	}
	for ctx.Err() == nil {
		if err := l.accept(ctx); err != nil {
			return err
		}
	}
	return nil
}

// accept takes connections until ctx ends, or the wire is gone for a while:
// then nobody listens either.
func (l *line) accept(ctx context.Context) error {
	listener, err := listenAgain(ctx, l.address)
	if err != nil || listener == nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer l.hangUp()
	var serving sync.WaitGroup
	defer serving.Wait()
	stop := context.AfterFunc(ctx, func() { listener.Close(); l.hangUp() })
	defer stop()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return nil // closed: ctx ended, or the wire is gone
		}
		l.keep(conn)
		serving.Go(func() {
			defer l.drop(conn)
			if l.serve(ctx, conn, conn) {
				listener.Close()
				l.hangUp()
			}
		})
	}
}

// listenAgain opens a listener, where the address was just used until it is
// free again.
func listenAgain(ctx context.Context, address string) (net.Listener, error) {
	for {
		listener, err := net.Listen("tcp", address)
		if err == nil || ctx.Err() != nil {
			return listener, err
		}
		if !errors.Is(err, addressInUse) {
			return nil, err
		}
		if !wait(ctx, 50*time.Millisecond) {
			return nil, fmt.Errorf("%s: %w", address, err)
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (l *line) keep(c io.Closer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = true
}

func (l *line) drop(c io.Closer) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	c.Close()
}

func (l *line) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.Close()
	}
}

// serve answers the questions of one connection until it ends. It reports
// whether the wire is gone.
func (l *line) serve(ctx context.Context, r io.Reader, w io.Writer) (gone bool) {
	in := bufio.NewReader(r)
	for {
		number, unit, pdu, frame, err := l.question(in)
		if err != nil {
			return false
		}
		if gone, err := l.reply(ctx, w, number, unit, pdu, frame); gone || err != nil {
			return gone
		}
	}
}

// reply plays what comes after a question.
func (l *line) reply(ctx context.Context, w io.Writer, number uint16, unit uint8, pdu []byte, frame framer) (gone bool, err error) {
	l.mu.Lock()
	out := l.play(number, unit, pdu, frame)
	l.mu.Unlock()
	for _, e := range out {
		if e.gone {
			return true, nil
		}
		if e.after > 0 && !wait(ctx, e.after) {
			return false, ctx.Err()
		}
		if _, err := w.Write(e.bytes); err != nil {
			return false, err
		}
	}
	return false, nil
}

var errQuestion = errors.New("this is no Modbus")

// question reads one, in the form of the wire.
func (l *line) question(in *bufio.Reader) (number uint16, unit uint8, pdu []byte, frame framer, err error) {
	if l.scheme == "tcp" || l.scheme == "udp" {
		number, unit, pdu, err = readMBAP(in)
		return number, unit, pdu, mbap, err
	}
	unit, pdu, err = readRTU(in)
	return 0, unit, pdu, rtu, err
}

func readMBAP(in io.Reader) (number uint16, unit uint8, pdu []byte, err error) {
	var head [7]byte
	if _, err = io.ReadFull(in, head[:]); err != nil {
		return 0, 0, nil, err
	}
	n := int(binary.BigEndian.Uint16(head[4:])) - 1
	if head[2]|head[3] != 0 || n < 1 || n > 253 {
		return 0, 0, nil, errQuestion
	}
	pdu = make([]byte, n)
	_, err = io.ReadFull(in, pdu)
	return binary.BigEndian.Uint16(head[:]), head[6], pdu, err
}

// readRTU finds the next question on a serial line: what has no sound checksum
// is skipped, a byte at a time.
func readRTU(in *bufio.Reader) (unit uint8, pdu []byte, err error) {
	for {
		head, err := in.Peek(2)
		if err != nil {
			return 0, nil, err
		}
		n := 8
		if head[1] == identify {
			n = 7
		}
		adu, err := in.Peek(n)
		if err != nil {
			return 0, nil, err
		}
		if crc(adu[:n-2]) == binary.LittleEndian.Uint16(adu[n-2:]) {
			pdu = append(pdu, adu[1:n-2]...)
			unit = adu[0]
			_, err = in.Discard(n)
			return unit, pdu, err
		}
		if _, err := in.Discard(1); err != nil {
			return 0, nil, err
		}
	}
}

// runPackets answers over UDP: a frame in each packet.
func (l *line) runPackets(ctx context.Context) error {
	conn, err := net.ListenPacket("udp", l.address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	buffer := make([]byte, 512)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return nil // closed
		}
		if number, unit, pdu, err := readMBAP(bytes.NewReader(buffer[:n])); err == nil {
			if _, err := l.reply(ctx, datagrams{conn, from}, number, unit, pdu, mbap); err != nil {
				return nil // ctx ended
			}
		}
	}
}

// datagrams writes each answer, or piece of one, as a packet.
type datagrams struct {
	net.PacketConn
	to net.Addr
}

func (p datagrams) Write(b []byte) (int, error) { return p.WriteTo(b, p.to) }
