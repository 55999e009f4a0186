package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// checkpointSuffix names the file beside the store, of two slots of one size.
const checkpointSuffix = ".checkpoint"

const (
	slotBuffer = 16 * slotPage // most of what is in memory of a slot that is being written
	slotMost   = 8 << 20       // bytes; a site of 20,000 registers. What is larger goes to bbolt
)

// slotFile is what a checkpoint asks of its file.
type slotFile interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Close() error
}

// dataFile syncs what is needed to read the file again, and no times.
type dataFile struct{ *os.File }

func (f dataFile) Sync() error { return dataSync(f.File) }

// slotPair is the checkpoint file. A slot is written over in place and synced: the
// other one holds the checkpoint before, so that a power cut in the middle
// costs the new one alone. All its room is taken when it is made.
type slotPair struct {
	path string
	wrap func(slotFile) slotFile // of tests; may be nil
	f    slotFile                // nil: there is none yet, or none that can be used
	size int64                   // of a slot
	live int                     // the slot with the newest checkpoint: the other is written next

	out     slotWriter
	scratch []byte // for one head at a time
	number  uint64 // of the last checkpoint
	rest    int    // rounds for which the file is let be, after an error
	bytes   uint64 // written by the last call that wrote
	syncs   uint64 // and synced
}

// restRounds is for how many rounds a file that cannot be written is let be: an hour.
const restRounds = 60

// write puts a checkpoint into the slot that is not live and makes it durable.
// It becomes the live one when the caller says so: see flip.
func (c *slotPair) write(on base, lines []line) error {
	c.bytes, c.syncs = 0, 0
	length, count := slotSize(lines)
	if length > slotMost {
		return fmt.Errorf("%d bytes are too many for a checkpoint", length)
	}
	if c.f == nil || int64(length) > c.size {
		return c.make(on, lines, roomFor(length, count))
	}
	return c.writeTo(c.f, 1-c.live, on, lines)
}

func (c *slotPair) writeTo(f slotFile, into int, on base, lines []line) error {
	if length, _ := slotSize(lines); cap(c.out.buf) < min(wholePages(length), slotBuffer) {
		c.out.buf = make([]byte, 0, min(wholePages(length), slotBuffer))
	}
	if c.scratch == nil {
		c.scratch = make([]byte, 0, 64)
	}
	c.out.w, c.out.at = f, int64(into)*c.size
	n, err := c.out.slot(on, c.number+1, lines, c.scratch)
	c.out.w = nil
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	c.number++
	c.bytes += uint64(n)
	c.syncs++
	return nil
}

// flip makes the slot that was written last the live one.
func (c *slotPair) flip() { c.live = 1 - c.live }

// roomFor gives the size of a slot in which so many registers find room for
// some more samples: half an hour of one a minute.
func roomFor(length, count int) int64 {
	return int64(wholePages(max(length*5/4, length+count*30*6)))
}

func wholePages(n int) int { return (n + slotPage - 1) / slotPage * slotPage }

// make begins a new file of that size of slot, with the checkpoint in it, and
// puts it in the place of the one before: a valid slot is never shortened.
func (c *slotPair) make(on base, lines []line, size int64) (err error) {
	temp := c.path + newSuffix[:len(newSuffix)-1]
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp)
		}
	}()
	was := c.size
	c.size, err = size, fill(f, 2*size)
	if err == nil {
		err = c.writeTo(c.wrapped(f), 0, on, lines)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		c.size = was
		return err
	}
	c.bytes += uint64(2 * size)
	c.close() // some systems rename nothing over a file that is open
	if err := os.Rename(temp, c.path); err != nil {
		return err
	}
	if err := syncFolder(filepath.Dir(c.path)); err != nil {
		return err
	}
	c.syncs++
	if f, err = os.OpenFile(c.path, os.O_RDWR, 0); err != nil {
		return err
	}
	c.f, c.live = c.wrapped(f), 1 // the caller flips
	return nil
}

func (c *slotPair) wrapped(f *os.File) slotFile {
	if c.wrap == nil {
		return dataFile{f}
	}
	return c.wrap(dataFile{f})
}

// fill takes the room on the disk, so that no later write needs any.
func fill(f *os.File, size int64) error {
	zeros := make([]byte, slotBuffer)
	for at := int64(0); at < size; at += slotBuffer {
		if _, err := f.WriteAt(zeros[:min(slotBuffer, size-at)], at); err != nil {
			return err
		}
	}
	return nil
}

func (c *slotPair) close() {
	if c.f != nil {
		_ = c.f.Close()
		c.f = nil
	}
}

// open reads the file: the newest checkpoint that lies upon the given
// transaction, ok where there is one, and in words what was found amiss.
func (c *slotPair) open(on base) (best slot, ok bool, amiss []string, err error) {
	info, err := os.Lstat(c.path)
	if err != nil {
		return best, false, nil, err
	}
	if !info.Mode().IsRegular() {
		return best, false, nil, errNotOurs
	}
	if info.Size() == 0 || info.Size()%(2*slotPage) != 0 || info.Size() > 4*slotMost {
		return best, false, []string{fmt.Sprintf("it has %d bytes and is no checkpoint", info.Size())}, nil
	}
	f, err := os.OpenFile(c.path, os.O_RDWR, 0)
	if err != nil {
		return best, false, nil, err
	}
	c.f, c.size = c.wrapped(f), info.Size()/2
	for i := range 2 {
		s, err := c.read(i)
		c.number = max(c.number, s.number)
		switch {
		case errors.Is(err, errUnwritten):
		case err != nil:
			amiss = append(amiss, err.Error())
		case s.on == on && (!ok || s.number > best.number):
			best, ok, c.live = s, true, i
		case s.on != on && s.on.txid >= on.txid: // an older one is only out of date
			amiss = append(amiss, "a slot belongs to another store, or to another state of this one")
		}
	}
	return best, ok, amiss, nil
}

// errNotOurs says that something stands in the place of the checkpoint file
// that is not to be written over.
var errNotOurs = errors.New("it is not a regular file")

func (c *slotPair) read(i int) (slot, error) {
	b := make([]byte, slotHead)
	if _, err := c.f.ReadAt(b, int64(i)*c.size); err != nil {
		return slot{}, fmt.Errorf("%w: %w", errTornSlot, err)
	}
	length, err := slotLength(b)
	if err != nil {
		return slot{}, err
	}
	if int64(length) > c.size {
		return slot{}, fmt.Errorf("%w: it claims %d bytes of %d", errTornSlot, length, c.size)
	}
	b = make([]byte, length)
	if _, err := c.f.ReadAt(b, int64(i)*c.size); err != nil {
		return slot{}, fmt.Errorf("%w: %w", errTornSlot, err)
	}
	return parseSlot(b)
}

// moveCheckpoint takes a store's checkpoint along when the store is set aside,
// for whoever wants to look. One that stays where it was does no harm: it lies
// upon no transaction of another store.
func moveCheckpoint(from, to string) {
	_ = os.Rename(from+checkpointSuffix, to+checkpointSuffix)
}
