package store

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// slotWriter hands a slot to w in pieces of its buffer, whole pages each.
type slotWriter struct {
	w   io.WriterAt
	at  int64
	buf []byte // its capacity is a whole number of pages
	sum uint32
	err error
}

func (w *slotWriter) put(b []byte) {
	w.sum = crc32.Update(w.sum, castagnoli, b)
	for len(b) > 0 {
		n := min(len(b), cap(w.buf)-len(w.buf))
		w.buf = append(w.buf, b[:n]...)
		if b = b[n:]; len(w.buf) == cap(w.buf) {
			w.flush()
		}
	}
}

func (w *slotWriter) flush() {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.w.WriteAt(w.buf, w.at)
	}
	w.at += int64(len(w.buf))
	w.buf = w.buf[:0]
}

// slot writes a whole one. It returns how many bytes, in whole pages.
func (w *slotWriter) slot(on base, number uint64, lines []line, scratch []byte) (int64, error) {
	from := w.at
	w.buf, w.sum, w.err = w.buf[:0], 0, nil
	length, count := slotSize(lines)
	b := append(scratch[:0], slotMagic...)
	b = append(b, slotVersion, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(length))
	b = binary.BigEndian.AppendUint32(b, uint32(count))
	b = binary.BigEndian.AppendUint64(b, number)
	b = binary.BigEndian.AppendUint64(b, on.txid)
	w.put(append(b, on.mark[:]...))
	for i := range lines {
		l := &lines[i]
		if l.empty() {
			continue
		}
		w.put(l.head(scratch[:0]))
		state, _ := l.shown()
		w.put(state)
		w.put(l.count(scratch[:0]))
		w.put(l.samples)
		w.put(l.tail(scratch[:0]))
	}
	w.put(binary.BigEndian.AppendUint32(scratch[:0], w.sum))
	if n := len(w.buf) % slotPage; n > 0 {
		end := len(w.buf) + slotPage - n
		clear(w.buf[len(w.buf):end])
		w.buf = w.buf[:end]
	}
	w.flush()
	return w.at - from, w.err
}
