package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// checkFile looks through a bbolt file without bbolt, which trusts its pages
// and panics (or walks in circles) when it should not. Every page that can be
// reached must be what it is said to be, lie within the file, be reached once,
// have its keys in order, and not be in the list of free pages, from which a
// later commit would overwrite it; every other page must be in that list. What values hold is not looked at: they
// carry checksums of their own.
//
// The format is bbolt's version 2, unchanged since 2014, in the byte order of
// the machine. Only one page (with its overflow) is held in memory at a time.
func checkFile(f io.ReaderAt, size int64) error {
	m, err := readMeta(f)
	if err != nil {
		return err
	}
	if int64(m.high) < 0 || int64(m.high) > size/m.pageSize {
		return fmt.Errorf("it is cut off: %d bytes of %d", size, m.high*uint64(m.pageSize))
	}
	c := &fileCheck{f: f, meta: m, seen: make([]bool, m.high)}
	if err := c.tree(m.root, nil, nil, 0); err != nil {
		return err
	}
	if m.free == noFreelist {
		return nil
	}
	return c.freelist()
}

const (
	pageHead     = 16
	metaBytes    = 64
	pageBranch   = 0x01
	pageLeaf     = 0x02
	pageFreelist = 0x10
	leafBucket   = 0x01
	boltMagic    = 0xED0CDAED
	noFreelist   = ^uint64(0)
	maxDepth     = 40 // far deeper than any file that fits a disk
)

var native = binary.NativeEndian

type fileMeta struct {
	pageSize               int64
	root, free, high, txid uint64 // high: pages from here on do not exist yet
}

// readMeta gives the newer of the two meta pages that are whole.
func readMeta(f io.ReaderAt) (best fileMeta, err error) {
	found := false
	page, sum := make([]byte, pageHead+metaBytes), fnv.New64a()
	take := func(at int64) {
		b := page
		if _, err := f.ReadAt(b, at); err != nil {
			return
		}
		b = b[pageHead:]
		sum.Reset()
		_, _ = sum.Write(b[:56])
		m := fileMeta{int64(native.Uint32(b[8:])), native.Uint64(b[16:]), native.Uint64(b[32:]), native.Uint64(b[40:]), native.Uint64(b[48:])}
		if native.Uint32(b) != boltMagic || native.Uint64(b[56:]) != sum.Sum64() || m.pageSize < 1024 || m.pageSize > 1<<24 {
			return
		}
		if !found || m.txid > best.txid {
			best, found = m, true
		}
	}
	take(0)
	for size := int64(1024); size <= 1<<24; size *= 2 { // the second page starts where the first ends, whatever its size
		take(size)
	}
	if !found {
		return best, errors.New("it is not a store: neither of its first two pages is whole")
	}
	return best, nil
}

type fileCheck struct {
	f    io.ReaderAt
	meta fileMeta
	seen []bool
}

// page reads a page that must be there, and must not have been reached before.
func (c *fileCheck) page(id uint64) ([]byte, error) {
	if id < 2 || id >= c.meta.high {
		return nil, fmt.Errorf("page %d does not exist", id)
	}
	b := make([]byte, c.meta.pageSize)
	if _, err := c.f.ReadAt(b, int64(id)*c.meta.pageSize); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	if got := native.Uint64(b); got != id {
		return nil, fmt.Errorf("page %d says that it is page %d", id, got)
	}
	last := id + uint64(native.Uint32(b[12:]))
	if last >= c.meta.high {
		return nil, fmt.Errorf("page %d is longer than the file", id)
	}
	for i := id; i <= last; i++ {
		if c.seen[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		c.seen[i] = true
	}
	if last == id {
		return b, nil
	}
	b = make([]byte, int64(last-id+1)*c.meta.pageSize)
	if _, err := c.f.ReadAt(b, int64(id)*c.meta.pageSize); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return b, nil
}

// tree checks the pages from id down, whose keys must begin with low and stay
// below high; nil: no bound.
func (c *fileCheck) tree(id uint64, low, high []byte, depth int) error {
	if depth > maxDepth {
		return errors.New("its pages form a circle")
	}
	b, err := c.page(id)
	if err != nil {
		return err
	}
	if err := c.node(b, low, high, depth); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

func (c *fileCheck) node(b, low, high []byte, depth int) error {
	flags, count := native.Uint16(b[8:]), int(native.Uint16(b[10:]))
	if flags != pageLeaf && flags != pageBranch {
		return fmt.Errorf("it is of an unknown kind (%x)", flags)
	}
	if count == 0 && (flags == pageBranch || low != nil) || pageHead+16*count > len(b) {
		return fmt.Errorf("it claims %d entries", count)
	}
	type child struct {
		id  uint64
		key []byte
	}
	var children []child
	var before []byte
	end := uint64(pageHead + 16*count) // what the entries say lies one after the other, without a gap
	for i := range count {
		at := pageHead + 16*i
		e := b[at : at+16]
		var pos, klen, vlen uint64
		if flags == pageBranch {
			pos, klen = uint64(native.Uint32(e)), uint64(native.Uint32(e[4:]))
		} else {
			pos, klen, vlen = uint64(native.Uint32(e[4:])), uint64(native.Uint32(e[8:])), uint64(native.Uint32(e[12:]))
		}
		from := uint64(at) + pos
		if klen == 0 || from != end || from+klen+vlen > uint64(len(b)) {
			return fmt.Errorf("entry %d of %d is not where it should be", i+1, count)
		}
		end = from + klen + vlen
		key := b[from : from+klen]
		if i == 0 && low != nil && !bytes.Equal(key, low) || i > 0 && bytes.Compare(key, before) <= 0 ||
			high != nil && bytes.Compare(key, high) >= 0 {
			return fmt.Errorf("entry %d of %d is out of order", i+1, count)
		}
		before = key
		if flags == pageBranch {
			children = append(children, child{native.Uint64(e[8:]), key})
			continue
		}
		switch native.Uint32(e) {
		case 0:
		case leafBucket:
			if err := c.bucket(b[from+klen:from+klen+vlen], depth); err != nil {
				return fmt.Errorf("part %q: %w", key, err)
			}
		default:
			return fmt.Errorf("entry %d of %d is of an unknown kind", i+1, count)
		}
	}
	for i, ch := range children {
		next := high
		if i+1 < len(children) {
			next = children[i+1].key
		}
		if err := c.tree(ch.id, ch.key, next, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// bucket checks a bucket: its root's page id and a sequence, then, where that
// id is 0, the root page itself.
func (c *fileCheck) bucket(v []byte, depth int) error {
	if len(v) < 16 {
		return errors.New("it has no root")
	}
	root := native.Uint64(v)
	if root != 0 {
		return c.tree(root, nil, nil, depth+1)
	}
	if len(v) < 16+pageHead || native.Uint16(v[16+8:]) != pageLeaf {
		return errors.New("its root is not a page")
	}
	return c.node(v[16:], nil, nil, depth+1)
}

// checkFreelist looks only at the head of the list of free pages, before each
// commit: bbolt frees as many pages as that head claims, without a look at it,
// and a bad one would take all memory. It takes a few small reads.
func checkFreelist(f io.ReaderAt) error {
	m, err := readMeta(f)
	if err != nil || m.free == noFreelist {
		return err
	}
	b := make([]byte, pageHead)
	if _, err := f.ReadAt(b, int64(m.free)*m.pageSize); err != nil {
		return err
	}
	if native.Uint64(b) != m.free || native.Uint16(b[8:]) != pageFreelist || m.free+uint64(native.Uint32(b[12:])) >= m.high {
		return errors.New("the list of free pages is not one")
	}
	return nil
}

// freelist checks the list of free pages against what is in use.
func (c *fileCheck) freelist() error {
	b, err := c.page(c.meta.free)
	if err != nil {
		return fmt.Errorf("the list of free pages: %w", err)
	}
	if native.Uint16(b[8:]) != pageFreelist {
		return errors.New("the list of free pages is not one")
	}
	n, ids := uint64(native.Uint16(b[10:])), b[pageHead:]
	if n == 0xFFFF && len(ids) >= 8 {
		n, ids = native.Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids)/8) {
		return fmt.Errorf("the list of free pages claims %d", n)
	}
	for i := range n {
		id := native.Uint64(ids[8*i:])
		if id < 2 || id >= c.meta.high || c.seen[id] {
			return fmt.Errorf("the list of free pages names page %d, which is in use, named twice or does not exist", id)
		}
		c.seen[id] = true
	}
	for id := uint64(2); id < c.meta.high; id++ {
		if !c.seen[id] { // it was cut off with a part of a page that led to it, or of this list
			return fmt.Errorf("page %d is neither in use nor free", id)
		}
	}
	return nil
}
